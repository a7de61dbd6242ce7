//! From `search.evaluation` to the sources of values that it names.
//!
//! ```text
//!   folder:DIR    a value head on its own device ─────────────┐
//!   implicit:DIR  beta (log pi - log pi_ref) of the last step ┤
//!   prover:DIR, :URL  mean reward of paths   ─────────────────┼─► each on a thread ─► WithValues ◄─ the policy that samples
//!   server:URL    a head, a reward model or a grade ──────────┤
//!   self          the policy asked about its step ────────────┘
//! ```

#[cfg(feature = "local")]
mod folders;
mod prover;
mod retold;
mod server;

use crate::config::{RunConfig, ValuesConfig};
use crate::contract::Identity;
use crate::stage::policy_folder::{PolicyFolder, fingerprint};
use crate::stage::policy_source::{PolicySource, ServerSource};
use anyhow::{Context as _, Result, bail};
use espalier_search::{Combine, Evaluation, Judge, OwnQuestion, Policy, Source, ValueSource, Valuer, Wish, WithValues};
use espalier_server::Servers;
use espalier_tokenizer::Tokenizer;
use espalier_tree::TreeInfo;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// What the sources know of the trees that are searched.
#[derive(Clone, Copy)]
pub struct Searched<'s> {
    /// The problem of a tree.
    pub info: &'s (dyn Fn(u64) -> TreeInfo + Sync),
    /// What stands in a tree's root behind the prompt.
    pub start: &'s (dyn Fn(u64) -> String + Sync),
    /// Who says what a path is worth; nobody, where references must not be looked at.
    pub judge: Option<&'s dyn Judge>,
}

/// Values from elsewhere, looked at but not opened.
#[derive(Clone, Debug)]
pub struct Values {
    /// None where values come from the policy itself, or from nowhere.
    sources: Vec<(Source, Looked)>,
    combine: Combine,
}

/// A source whose files are there.
#[derive(Clone, Debug)]
enum Looked {
    Folder(PolicyFolder),
    Implicit { policy: PolicyFolder, reference: PolicyFolder },
    Prover(PolicySource),
    Server(Servers),
    Own,
}

/// Sources that can be asked.
pub struct Opened<'s> {
    sources: Vec<ValueSource<'s>>,
    own: Option<OwnQuestion>,
    combine: Combine,
}

impl Values {
    /// No values from elsewhere.
    pub const NONE: Values = Values { sources: Vec::new(), combine: Combine::Min };

    /// Looks at the sources that the configuration names.
    ///
    /// # Errors
    /// A source that is not there, that there is no way to ask, or that does not go with the policy.
    pub fn look(config: &RunConfig, policy: &PolicySource) -> Result<Values> {
        let Evaluation::Outside(outside) = &config.search.evaluation else { return Ok(Values::NONE) };
        if outside.sources.iter().filter(|source| **source == Source::Own).count() > 1 {
            bail!("search.evaluation is {outside}, but the policy has one opinion; name self once");
        }
        let sources = outside.sources.iter().map(|source| {
            let looked = look(source, config, policy);
            Ok((source.clone(), looked.with_context(|| format!("search.evaluation {outside}: the source {source}"))?))
        });
        Ok(Values { sources: sources.collect::<Result<_>>()?, combine: outside.combine })
    }

    /// Adds what decides the values, if they come from elsewhere: the settings, and the contents of the folders.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn identify(&self, mut identity: Identity, config: &RunConfig) -> Result<Identity> {
        if self.sources.is_empty() {
            return Ok(identity);
        }
        let server = config.values.server.deciding();
        let deciding = ValuesConfig { device: None, server, ..config.values.clone() };
        identity = identity.setting("values", &deciding, &ValuesConfig::default())?;
        for (source, looked) in &self.sources {
            match looked {
                Looked::Folder(folder) | Looked::Prover(PolicySource::Folder(folder)) => {
                    identity = identity.input(&source.to_string(), fingerprint(folder.path())?);
                }
                Looked::Implicit { policy, reference } => {
                    identity = identity.input(&source.to_string(), fingerprint(policy.path())?);
                    identity = identity.input(&format!("reference of {source}"), fingerprint(reference.path())?);
                }
                Looked::Prover(_) | Looked::Server(_) | Looked::Own => {}
            }
        }
        Ok(identity)
    }

    /// Opens the sources.
    ///
    /// # Errors
    /// A model or server that cannot be used.
    pub fn open<'s>(
        &self,
        searched: Searched<'s>,
        policy: &PolicySource,
        config: &'s RunConfig,
        notice: fn(&str),
    ) -> Result<Opened<'s>> {
        let (mut sources, mut own): (Vec<ValueSource<'s>>, _) = (Vec::new(), None);
        for (source, looked) in &self.sources {
            let opened: Result<Box<dyn Valuer + 's>> = match looked {
                Looked::Own => {
                    own = Some(question(&config.values, policy.tokenizer()?.as_ref())?);
                    continue;
                }
                Looked::Server(servers) => {
                    let tokenizer = policy.tokenizer()?;
                    let opened = server::open(servers, searched, tokenizer, config, notice);
                    sources.push(opened.with_context(|| format!("cannot open the source of values {source}"))?);
                    continue;
                }
                Looked::Prover(prover) => prover::open(prover, policy, searched, config, notice),
                #[cfg(feature = "local")]
                Looked::Folder(folder) => folders::head(folder, config),
                #[cfg(feature = "local")]
                Looked::Implicit { policy, reference } => folders::ratio(policy, reference, config),
                #[cfg(not(feature = "local"))]
                Looked::Folder(folder) | Looked::Implicit { policy: folder, .. } => bail!(
                    "{} is a model folder, but this program was built without LibTorch; build with the feature `local`",
                    folder.path().display()
                ),
            };
            sources.push(vec![opened.with_context(|| format!("cannot open the source of values {source}"))?]);
        }
        Ok(Opened { sources, own, combine: self.combine })
    }
}

impl Opened<'_> {
    /// Runs with the policy as it is with these values; each source works on a thread of its own meanwhile.
    ///
    /// # Errors
    /// A policy that cannot be asked about its own step, and what `run` returns.
    pub fn with<R>(self, policy: &mut dyn Policy, run: impl FnOnce(&mut dyn Policy) -> Result<R>) -> Result<R> {
        let Opened { sources, own, combine } = self;
        if sources.is_empty() && own.is_none() {
            return run(policy);
        }
        if own.is_some() && !policy.can(Wish::Alternatives) {
            bail!(
                "search.evaluation asks for the policy's own opinion (self), but this policy does not say how likely other tokens \
                 than the drawn ones are; take a model folder, or another source"
            );
        }
        std::thread::scope(|scope| {
            run(&mut WithValues::new(policy, sources, own, combine, |work| drop(scope.spawn(work))))
        })
    }
}

fn look(source: &Source, config: &RunConfig, policy: &PolicySource) -> Result<Looked> {
    let folder = |path: &str| PolicyFolder::open(Path::new(path));
    Ok(match source {
        Source::Own => Looked::Own,
        Source::Folder(path) => {
            let folder = folder(path)?;
            folder.check_value_head()?;
            policy.check_tokens_of(&folder)?;
            Looked::Folder(folder)
        }
        Source::Implicit(path) => {
            let trained = folder(path)?;
            let reference = match (&config.values.reference, policy) {
                (Some(path), _) => folder(path)?,
                (None, PolicySource::Folder(own) | PolicySource::Served(own, _)) => own.clone(),
                (None, PolicySource::Servers(_)) => {
                    bail!("the policy is on servers; name the folder of the reference in values.reference")
                }
            };
            policy.check_tokens_of(&trained)?;
            policy.check_tokens_of(&reference)?;
            Looked::Implicit { policy: trained, reference }
        }
        Source::Prover(place) if Servers::is_address(place) => {
            let tokenizer = match (&config.values.tokenizer, policy) {
                (Some(path), _) => PathBuf::from(path),
                (None, PolicySource::Servers(servers)) => servers.tokenizer_folder().to_owned(),
                (None, PolicySource::Folder(own) | PolicySource::Served(own, _)) => own.path().to_owned(),
            };
            let (servers, timeout) = (Servers::parse([place.as_str()])?, config.serving.request_timeout());
            Looked::Prover(PolicySource::Servers(ServerSource::new(servers, &tokenizer, timeout)?))
        }
        Source::Prover(path) => Looked::Prover(PolicySource::Folder(folder(path)?)),
        // A list of sources has commas between; addresses of one have blanks.
        Source::Server(place) => Looked::Server(Servers::parse(place.split_whitespace())?),
    })
}

/// The question about the last step, in tokens.
fn question(config: &ValuesConfig, tokenizer: &Tokenizer) -> Result<OwnQuestion> {
    let ids = tokenizer.encode_after("", &[], &config.question).context("values.question")?;
    let first = |words: &[String]| -> Result<HashSet<u32>> {
        let first = |word: &String| Ok(tokenizer.encode_after(&config.question, &ids, word)?.first().copied());
        words.iter().filter_map(|word| first(word).transpose()).collect()
    };
    let (yes, no) = (first(&config.yes).context("values.yes")?, first(&config.no).context("values.no")?);
    if yes.is_empty() || no.is_empty() || !yes.is_disjoint(&no) {
        bail!(
            "values.yes {:?} and values.no {:?} begin with the same token, or with none; choose words that differ in their first \
             token",
            config.yes,
            config.no
        );
    }
    Ok(OwnQuestion::new(ids, yes, no))
}
