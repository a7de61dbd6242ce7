//! A prover: another policy that goes on from a state, whose paths are judged.

use super::Searched;
use super::retold::Retold;
use crate::config::RunConfig;
use crate::stage::policy_source::PolicySource;
use crate::stage::search::settings;
use crate::stage::tasks::{filled, prompt_ids};
use anyhow::{Result, bail};
use espalier_eval::stops;
use espalier_search::{PathsReading, Policy, PolicyValuer, Valuer};
use espalier_tokenizer::Tokenizer;
use std::sync::Arc;

/// Opens a prover for the searches of a policy.
pub(super) fn open<'s>(
    prover: &PolicySource,
    policy: &PolicySource,
    searched: Searched<'s>,
    config: &RunConfig,
    notice: fn(&str),
) -> Result<Box<dyn Valuer + 's>> {
    let Some(judge) = searched.judge else {
        bail!("a prover's paths are judged by the references, which must not be looked at here; take another source");
    };
    // The same task in the words of the prover's own model.
    let own = policy.tokenizer()?;
    let tokenizer = prover.tokenizer()?;
    let task = filled(&config.task_of(policy.prompting())?, config, || Ok(Arc::clone(&tokenizer)))?;
    let search = settings(config, &task, false);
    let decoding = Arc::clone(&tokenizer);
    let reading = PathsReading {
        count: config.values.paths,
        max_step_tokens: search.max_step_tokens,
        max_depth: search.max_depth,
        temperature: search.temperature,
        stops: stops(&task),
        seed: config.seed,
        info: searched.info,
        decode: move |ids: &[u32]| decoding.decode(ids),
        judge,
    };
    let rows = (config.runtime.max_rows / config.values.paths).max(1);
    let asked = opened(prover, config, notice)?;
    let valuer = PolicyValuer::new(asked, reading, rows);
    if own.fingerprint() == tokenizer.fingerprint() && !task.is_chat() {
        return Ok(Box::new(valuer));
    }
    let prompts = move |tree: u64, tokenizer: &Tokenizer| {
        let prompt = task.prompt_of(&(searched.info)(tree).question).map_err(|error| error.to_string())?;
        prompt_ids(&task, tokenizer, &(prompt + &(searched.start)(tree))).map_err(|error| format!("{error:#}"))
    };
    Ok(Box::new(Retold::new(valuer, own, tokenizer, prompts)))
}

/// The prover's own policy.
fn opened(prover: &PolicySource, config: &RunConfig, notice: fn(&str)) -> Result<Box<dyn Policy + Send>> {
    Ok(match prover {
        #[cfg(feature = "local")]
        PolicySource::Folder(folder) => Box::new(super::folders::opened(folder, config)?),
        PolicySource::Servers(servers) => Box::new(servers.open(config, notice)?),
        other => bail!("{} cannot be a prover in this program", other.name()),
    })
}
