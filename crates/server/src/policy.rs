//! [`ServerPolicy`]: requests out to the servers, answers back to the search.

use crate::address::{Servers, is_open_to_others};
use crate::call::Caller;
use crate::candidate::{Dialect, Model, Sampled, Wanted};
use crate::config::ServerConfig;
use crate::endpoints::{self, Endpoints};
use crate::error::ServerError;
use crate::handshake;
use crate::tokens::TokenReader;
use crate::workers::{Counters, Done, Ended, Job, Shared};
use espalier_search::{
    About, Candidate, Expansion, Policy, PolicyError, PolicyStats, Report, SamplingConfig, ServerStats, StepRequest,
    Told, Unit, Wish, Wishes,
};
use espalier_tokenizer::Tokenizer;
use sha2::{Digest, Sha256};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// A wait without an end is one of many waits.
const LOOK: Duration = Duration::from_secs(3600);

/// A model on servers behind [`Policy`].
///
/// The answer to a request depends on the request alone as far as the servers' does on theirs: each candidate is asked for
/// with a seed of its own, made of the request's seed and the candidate's place. A server that fails is left alone for a
/// while and its requests go to the others, or wait; nothing is lost.
pub struct ServerPolicy {
    shared: Arc<Shared>,
    results: Receiver<Done>,
    pending: HashMap<u64, Pending>,
    ready: VecDeque<Result<Expansion, PolicyError>>,
    max_context_tokens: Option<usize>,
    /// Requests answered, tokens sampled, candidates left out.
    answered: u64,
    tokens_sampled: u64,
    unreadable: u64,
    /// What is to be told of requests.
    reports: Vec<Report>,
    notice: endpoints::Notice,
}

/// A request whose candidates are not all there.
struct Pending {
    tree: u64,
    /// The tokens of the prompt, where there is no step behind it.
    prompt_tokens: Option<usize>,
    /// How often each candidate is taken: greedy ones are all the same, and asked for once.
    copies: usize,
    candidates: Vec<Option<Candidate>>,
    missing: usize,
    failed: Option<PolicyError>,
    /// Whether its tokens are told, at once when a candidate is whole.
    is_watched: bool,
}

impl ServerPolicy {
    /// Meets the servers and finds out what they can do. `notice` is given what people should know of them, a line at a
    /// time: failures, returns, what is left out.
    ///
    /// # Errors
    /// No server answers in `config.start_patience`; one refuses the key or the model, has another tokenizer, or gives
    /// no log-probabilities of the model's own; the servers are of different kinds; an option is out of range.
    pub fn open(
        servers: &Servers,
        tokenizer: Tokenizer,
        config: ServerConfig,
        notice: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<ServerPolicy, ServerError> {
        config.check()?;
        let notice: endpoints::Notice = Arc::new(notice);
        for url in servers.urls.iter().filter(|url| config.api_key.is_some() && is_open_to_others(url)) {
            notice(&format!("the API key goes to {url} in the open, for all on its way to read; use https://"));
        }
        let caller = Caller::new(&config)?;
        let tokenizer = Arc::new(tokenizer);
        let mut model = Model {
            name: String::new(),
            reader: TokenReader::new(Arc::clone(&tokenizer)),
            tokenizer,
            sampling: config.sampling.clone(),
            dialect: Dialect { takes_ids: true, takes_extras: true, lists_stops: true },
        };
        let wanted = servers.model.as_deref();
        let met = handshake::meet(&servers.urls, config.start_patience, &*notice, |url| {
            let found = handshake::find_model(&caller, url, wanted)?;
            model.name.clone_from(&found.model);
            let dialect = handshake::find_dialect(&caller, url, &mut model)?;
            Ok((found, dialect))
        })?;
        let up: Vec<bool> = met.iter().map(Option::is_some).collect();
        let mut contexts = Vec::new();
        let mut first: Option<(&String, String, Dialect)> = None;
        for (url, (found, dialect)) in servers.urls.iter().zip(met).filter_map(|(url, met)| Some((url, met?))) {
            contexts.extend(found.context);
            let problem = match &first {
                Some((other, name, _)) if *name != found.model => {
                    format!(
                        "its model is {:?}, that of {other} is {name:?}; name one that all have: {url}#MODEL",
                        found.model
                    )
                }
                Some((other, _, known)) if *known != dialect => {
                    format!("it answers in another form than {other}; give servers of one kind")
                }
                Some(_) => continue,
                None => {
                    first = Some((url, found.model, dialect));
                    continue;
                }
            };
            return Err(ServerError::Server { url: url.clone(), problem });
        }
        let Some((_, name, dialect)) = first else { return Err(ServerError::Unreachable(servers.urls.join(", "))) };
        if !dialect.takes_extras
            && config.sampling != (SamplingConfig { top_p: config.sampling.top_p, ..Default::default() })
        {
            let problem = "it takes no top_k, min_p or repetition_penalty; leave them out".to_owned();
            return Err(ServerError::Server { url: servers.urls[0].clone(), problem });
        }
        if !dialect.takes_ids {
            notice("the server takes no token ids: prompts are sent as text, which it may read as other tokens");
        }
        (model.name, model.dialect) = (name, dialect);
        let max_context_tokens = contexts.into_iter().chain(config.max_context_tokens).min();
        let endpoints = Endpoints::new(servers.urls.clone(), &up, config.backoff, Arc::clone(&notice));
        let shared = Arc::new(Shared::new(model, caller, endpoints));
        let results = shared.start(config.max_requests)?;
        Ok(ServerPolicy {
            shared,
            results,
            pending: HashMap::new(),
            ready: VecDeque::new(),
            max_context_tokens,
            answered: 0,
            tokens_sampled: 0,
            unreadable: 0,
            reports: Vec::new(),
            notice,
        })
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.shared.model.tokenizer
    }

    /// SHA-256 over the model's name and the tokenizer, wherever the servers are. What weights they have is up to them.
    fn hash(&self) -> String {
        let model = &self.shared.model;
        let mut hash = Sha256::new();
        hash.update(format!("remote {} {}\n", model.name.len(), model.name));
        hash.update(model.tokenizer.fingerprint());
        hex::encode(hash.finalize())
    }

    fn take(&mut self, done: Done) {
        let Some(pending) = self.pending.get_mut(&done.ticket) else { return };
        pending.missing -= 1;
        match done.outcome {
            Ok(Sampled::Candidate(candidate, alternatives)) => {
                if pending.is_watched {
                    self.reports.push(report(done.ticket, done.index, &candidate, alternatives));
                }
                self.tokens_sampled += candidate.token_ids.len() as u64;
                pending.candidates[done.index] = Some(candidate);
            }
            Ok(Sampled::Unreadable(problem)) => {
                self.unreadable += 1;
                if self.unreadable == 1 {
                    (self.notice)(&format!("a candidate is left out, and others may be: {problem}"));
                }
            }
            Err(Ended::Request(error)) => {
                pending.failed.get_or_insert(PolicyError::of_tree(pending.tree, error));
            }
            Err(Ended::Server(error)) => {
                self.pending.remove(&done.ticket);
                return self.ready.push_front(Err(PolicyError::new(error)));
            }
            Ok(Sampled::NoRoom(said)) => {
                // A path that fills the context has its end there; a problem of which that is true has no tree.
                if let Some(tokens) = pending.prompt_tokens {
                    let error = ServerError::NoRoom { tokens, said };
                    pending.failed.get_or_insert(PolicyError::of_tree(pending.tree, error));
                }
            }
            Err(Ended::Closed) => {}
        }
        if pending.missing > 0 {
            return;
        }
        let Some(pending) = self.pending.remove(&done.ticket) else { return };
        self.ready.push_back(match pending.failed {
            Some(error) => Err(error),
            None => Ok(Expansion {
                ticket: done.ticket,
                value: None,
                candidates: pending
                    .candidates
                    .into_iter()
                    .flatten()
                    .flat_map(|candidate| std::iter::repeat_n(candidate, pending.copies))
                    .collect(),
            }),
        });
    }
}

impl Policy for ServerPolicy {
    fn about(&self) -> About {
        About { policy_hash: self.hash(), max_context_tokens: self.max_context_tokens, has_value_head: false }
    }

    fn stats(&self) -> PolicyStats {
        let Counters { sent, failed, recounted } = &self.shared.counters;
        let [requests, failures, recounted] = [sent, failed, recounted].map(|counter| counter.load(Ordering::Relaxed));
        PolicyStats {
            requests: self.answered,
            tokens_sampled: self.tokens_sampled,
            servers: Some(ServerStats { requests, failures, unreadable: self.unreadable, recounted }),
            ..PolicyStats::default()
        }
    }

    fn pending(&self) -> usize {
        self.pending.len() + self.ready.len()
    }

    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        let ids = self.tokenizer().encode_prompt(prompt).map_err(|error| PolicyError::new(ServerError::from(error)))?;
        match self.max_context_tokens {
            Some(context) if ids.len() >= context => {
                Err(PolicyError::new(ServerError::LongPrompt { tokens: ids.len(), context }))
            }
            _ => Ok(ids),
        }
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        self.submit_with(request, &Wishes::default())
    }

    fn can(&self, wish: Wish) -> bool {
        wish == Wish::Alternatives
    }

    fn submit_with(&mut self, request: StepRequest<'_>, wishes: &Wishes) -> Result<(), PolicyError> {
        wishes.check(request.tree, |wish| self.can(wish))?;
        let room =
            self.max_context_tokens.map_or(usize::MAX, |context| context.saturating_sub(request.prefix_ids.len()));
        let max_tokens = request.max_tokens.min(room);
        let ticket = request.ticket;
        if request.k == 0 || max_tokens == 0 {
            self.ready.push_back(Ok(Expansion { ticket, value: None, candidates: Vec::new() }));
            return Ok(());
        }
        let (asked, copies) = if request.temperature > 0.0 { (request.k, 1) } else { (1, request.k) };
        let candidates = (0..asked).map(|_| None).collect();
        let prompt_tokens = (request.step_ends.len() == 1).then_some(request.prefix_ids.len());
        let pending = Pending {
            tree: request.tree,
            prompt_tokens,
            copies,
            candidates,
            missing: asked,
            failed: None,
            is_watched: wishes.is_watched(),
        };
        self.pending.insert(ticket, pending);
        let overhang: Arc<str> = request.overhang(|ids| self.tokenizer().decode(ids)).into();
        let prefix_ids: Arc<[u32]> = request.prefix_ids.into();
        let stops = match request.unit {
            Unit::Step => &request.stops.step,
            Unit::Path => &request.stops.path,
        };
        for index in 0..asked {
            let wanted = Wanted {
                prefix_ids: Arc::clone(&prefix_ids),
                overhang: Arc::clone(&overhang),
                stops: Arc::clone(stops),
                max_tokens,
                temperature: request.temperature,
                seed: request.seed,
                index,
                alternatives: wishes.alternatives,
            };
            self.shared.push(Job { ticket, wanted });
        }
        Ok(())
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        loop {
            let answers = self.poll_for(LOOK)?;
            if !answers.is_empty() || self.pending() == 0 {
                return Ok(answers);
            }
        }
    }

    fn poll_for(&mut self, at_most: Duration) -> Result<Vec<Expansion>, PolicyError> {
        let until = Instant::now() + at_most.min(LOOK);
        while self.ready.is_empty() && !self.pending.is_empty() {
            match self.results.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(done) => self.take(done),
                Err(RecvTimeoutError::Timeout) => return Ok(Vec::new()),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(PolicyError::new("all threads that send requests have ended"));
                }
            }
        }
        while let Ok(done) = self.results.try_recv() {
            self.take(done);
        }
        let mut answers = Vec::new();
        while let Some(Ok(_)) = self.ready.front() {
            if let Some(Ok(answer)) = self.ready.pop_front() {
                answers.push(answer);
                self.answered += 1;
            }
        }
        match self.ready.pop_front() {
            Some(Err(error)) if answers.is_empty() => Err(error),
            Some(error) => {
                self.ready.push_front(error);
                Ok(answers)
            }
            None => Ok(answers),
        }
    }

    fn reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    fn forget(&mut self, _tree: u64) {}
}

/// What is told of a candidate.
fn report(ticket: u64, index: usize, candidate: &Candidate, alternatives: Vec<Vec<(u32, f32)>>) -> Report {
    let tokens = candidate.token_ids.iter().zip(&candidate.logprobs).zip(alternatives);
    let told = tokens.map(|((&id, &logprob), alternatives)| Told { id, logprob, alternatives });
    Report { ticket, candidate: Some(index), first: 0, tokens: told.collect() }
}

impl Drop for ServerPolicy {
    fn drop(&mut self) {
        self.shared.close();
    }
}
