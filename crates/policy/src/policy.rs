//! The batch: requests of many trees, decoded together.

use crate::cache::PrefixCache;
use crate::config::PolicyConfig;
use crate::error::ModelPolicyError;
use crate::numerics::{kind, numerics};
use crate::request::{check, tokenize};
use crate::rows::{RowContext, RowLimits, SampledRow};
use crate::running::{Asked, Running};
use crate::sampler::Scratch;
use espalier_model::{Decoder, States, Transformer};
use espalier_search::{About, Expansion, Policy, PolicyError, PolicyStats, Report, StepRequest, Wish, Wishes};
use espalier_tokenizer::Tokenizer;
use rayon::prelude::*;
use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tch::Device;

/// Rows times vocabulary from which on sampling is spread over threads.
const PARALLEL_LOGITS: usize = 1 << 16;

/// A language model behind [`Policy`]: continuous batching over the requests of many trees.
///
/// In the invariant numerics the answer to a request depends on the request alone: not on other requests, the order of submission,
/// `max_rows`, or what is cached. Rows share matrix products but no number, and each has its own generator.
pub struct ModelPolicy {
    decoder: Decoder,
    tokenizer: Arc<Tokenizer>,
    config: PolicyConfig,
    max_context_tokens: usize,
    cache: PrefixCache,
    queue: VecDeque<Asked>,
    running: Vec<Running>,
    answered: Vec<Expansion>,
    /// What is to be told of requests under way.
    reports: Vec<Report>,
    /// Requests that were given up.
    failed: VecDeque<PolicyError>,
    /// Whether requests were put back for want of memory, and none has ended since: then none is admitted.
    is_full: bool,
    /// Rows decoded at the same time: those of the configuration, fewer once a device has run out of memory.
    max_rows: usize,
    hash: String,
    stats: PolicyStats,
}

/// Loads a policy's folder (`config.json`, `tokenizer.json`, weights, and a value head if there is one).
///
/// # Errors
/// What the model or the tokenizer lacks, or the option that is out of range.
pub fn open_policy(dir: &Path, device: Device, config: PolicyConfig) -> Result<ModelPolicy, ModelPolicyError> {
    let tokenizer = Tokenizer::load(dir)?;
    let model = Transformer::load(dir, device, kind(config.sampling.precision))?;
    ModelPolicy::new(model, tokenizer, config)
}

impl ModelPolicy {
    /// A policy over a loaded model, which is converted to the precision of `config`, and its tokenizer.
    ///
    /// # Errors
    /// [`ModelPolicyError::Config`] for an option out of its range, and for a tokenizer that knows more ids than the
    /// model.
    pub fn new(
        mut model: Transformer,
        tokenizer: impl Into<Arc<Tokenizer>>,
        config: PolicyConfig,
    ) -> Result<ModelPolicy, ModelPolicyError> {
        let tokenizer = tokenizer.into();
        config.check()?;
        model.convert(kind(config.sampling.precision))?;
        let own_context = model.config().max_position_embeddings;
        let max_context_tokens = config.max_context_tokens.map_or(own_context, |context| context.min(own_context));
        let vocabulary = model.config().vocab_size;
        // A token that was added for padding, say, needs no place in the model until a text holds it.
        let own = tokenizer.own_vocab_size();
        if own > vocabulary {
            return Err(ModelPolicyError::Vocabulary { tokenizer: own, model: vocabulary });
        }
        // The model goes: what decodes has weights of its own.
        let decoder = Decoder::new(&model, numerics(config.sampling.numerics, model.device()), config.cache_bytes)?;
        Ok(ModelPolicy {
            max_context_tokens,
            cache: PrefixCache::new(),
            queue: VecDeque::new(),
            running: Vec::new(),
            answered: Vec::new(),
            reports: Vec::new(),
            failed: VecDeque::new(),
            is_full: false,
            max_rows: config.max_rows,
            hash: model.hash(),
            stats: PolicyStats::default(),
            decoder,
            tokenizer,
            config,
        })
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Arc<Tokenizer> {
        &self.tokenizer
    }

    pub(crate) fn threads(&self) -> usize {
        self.config.threads
    }

    /// V of the model.
    pub(crate) fn vocab_size(&self) -> usize {
        self.decoder.config().vocab_size
    }

    /// Moves requests from the queue into the batch, in order, as long as there are rows and blocks. One whose beginning another
    /// is reading waits for it: what begins alike is read once.
    fn admit(&mut self) -> Result<(), ModelPolicyError> {
        let mut rows: usize = self.running.iter().map(|running| running.request.k).sum();
        let mut place = 0;
        while let Some(Asked { request, .. }) = self.queue.get(place) {
            if !self.running.is_empty() && (self.is_full || rows + request.k > self.max_rows) {
                break;
            }
            let known = self.cache.known(&request.prefix_ids);
            if self.running.iter().any(|running| running.reads_of(&request.prefix_ids) > known) {
                place += 1;
                continue;
            }
            let Some(asked) = self.queue.remove(place) else { break };
            let request = &asked.request;
            let Some(room) = self.max_context_tokens.checked_sub(request.prefix_ids.len()) else {
                self.answered.push(Expansion { ticket: request.ticket, value: None, candidates: Vec::new() });
                continue;
            };
            rows += request.k;
            let running = Running::new(asked, room, &self.tokenizer, &mut self.cache)?;
            self.stats.tokens_reused += running.fed() as u64;
            self.running.push(running);
        }
        Ok(())
    }

    /// Makes room for the next pass: drops what was used longest ago, then puts back the requests that began last. One that runs
    /// alone goes on as long as there is memory at all.
    fn make_room(&mut self) {
        let chunk = self.config.prefill_chunk_tokens;
        loop {
            let mut claimed = HashSet::new();
            let needed: usize = self.running.iter().map(|running| running.blocks_for(chunk, &mut claimed)).sum();
            let pool = self.decoder.pool();
            while pool.in_use() + needed > pool.limit() && self.cache.evict() {}
            if pool.in_use() + needed <= pool.limit() || self.running.len() < 2 {
                return;
            }
            if let Some(last) = self.running.pop() {
                self.is_full = true;
                self.stats.restarts += 1;
                self.queue.push_front(last.into_asked(&mut self.cache));
            }
        }
    }

    /// After a device ran out of memory in a pass: puts all requests back, and runs at most half as many rows from now on.
    fn begin_again(&mut self) {
        let rows: usize = self.running.iter().map(|running| running.request.k).sum();
        self.max_rows = (rows / 2).max(1);
        self.stats.restarts += self.running.len() as u64;
        while let Some(last) = self.running.pop() {
            self.queue.push_front(last.into_asked(&mut self.cache));
        }
        while self.cache.evict() {}
    }

    /// One pass of the batch through the model and one token for every row that is due one.
    fn step(&mut self) -> Result<(), ModelPolicyError> {
        self.make_room();
        let chunk = self.config.prefill_chunk_tokens;
        let mut prefill = self.config.max_prefill_tokens;
        let (mut decoding, mut starting): (Vec<&mut Running>, Vec<&mut Running>) =
            self.running.iter_mut().partition(|running| running.is_decoding());
        let decoding_requests = decoding.len();
        let decoding_rows: usize = decoding.iter().map(|running| running.outputs()).sum();
        let tells_prefix = starting.iter().any(|running| running.tells_prefix());
        let mut calls: Vec<_> =
            decoding.iter_mut().chain(&mut starting).filter_map(|running| running.feed(chunk, &mut prefill)).collect();
        // New tokens of each prefix that is read.
        let read: Vec<usize> = calls.iter().skip(decoding_requests).map(|(_, ids)| ids.len()).collect();

        // Outputs to sample from: those of the decoding rows, then one for each request that begins to sample.
        let mut sampled_from = None;
        if !calls.is_empty() {
            self.stats.passes += 1;
            self.stats.tokens_forwarded += calls.iter().map(|(_, ids)| ids.len() as u64).sum::<u64>();
            let computed =
                if tells_prefix { self.decoder.extend_all(&mut calls) } else { self.decoder.extend(&mut calls) };
            let states = match computed {
                Ok(states) => states,
                Err(error) if error.is_out_of_memory() && self.running.len() > 1 => {
                    self.begin_again();
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            };
            let reading = starting.iter_mut().filter(|running| running.is_reading());
            let mut row = decoding_rows;
            for (running, tokens) in reading.zip(read) {
                // The states of its new tokens, or that of the last of them.
                let rows = if tells_prefix { row..row + tokens } else { row..row + 1 };
                row = rows.end;
                if running.tells_prefix() {
                    let choices = self.tokenizer.vocab_size().min(self.decoder.config().vocab_size);
                    running.read(tokens, choices, |places| {
                        self.decoder.logits(&states.narrow(rows.start + places.start..rows.start + places.end))
                    })?;
                }
                running.receive(|| states.narrow(row - 1..row), &mut self.cache);
            }
            sampled_from = Some(if decoding_rows < states.rows() { states.narrow(0..decoding_rows) } else { states });
        }
        starting.retain(|running| running.known().is_some());
        for running in &mut starting {
            let Some(state) = running.known() else { continue };
            let wanted = running.request.want_value;
            let value = if wanted { self.decoder.values(state)?.first().copied() } else { None };
            running.set_value(value);
        }
        let beginning = starting.iter().filter(|running| running.outputs() > 0).filter_map(|running| running.known());
        let outputs: Vec<&States> = sampled_from.iter().chain(beginning).filter(|states| states.rows() > 0).collect();

        if !outputs.is_empty() {
            let vocabulary = self.decoder.config().vocab_size;
            let logits = match outputs.as_slice() {
                [one] => self.decoder.logits(one)?,
                all => self.decoder.logits(&States::join(all))?,
            };
            let mut lines = logits.chunks_exact(vocabulary);
            let mut work = Vec::new();
            for running in decoding.iter_mut().chain(&mut starting) {
                let own: Vec<&[f32]> = lines.by_ref().take(running.outputs()).collect();
                work.extend(running.sampling().map(|(row, lane, limits)| (row, own[lane], limits)));
            }
            let context = RowContext { tokenizer: &self.tokenizer, sampling: &self.config.sampling };
            self.stats.tokens_sampled += work.len() as u64;
            sample(work, vocabulary, &context);
        }
        decoding.iter_mut().chain(&mut starting).for_each(|running| running.tell(&mut self.reports));

        let mut staying = Vec::with_capacity(self.running.len());
        for mut running in std::mem::take(&mut self.running) {
            let settled = if running.is_decoding() || running.known().is_some() {
                running.settle(&self.tokenizer, &mut self.cache)
            } else {
                Ok(None)
            };
            match settled {
                Ok(None) => {
                    staying.push(running);
                    continue;
                }
                Ok(Some(answer)) => self.answered.push(answer),
                // One request is lost; those beside it go on.
                Err(error) => self.failed.push_back(error.into()),
            }
            self.is_full = false;
            running.into_asked(&mut self.cache);
        }
        self.running = staying;
        Ok(())
    }

    /// Takes in what can begin, does at most one pass, and returns what is answered by then.
    fn pass(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        self.admit()?;
        if self.answered.is_empty() && self.failed.is_empty() && !self.running.is_empty() {
            self.step()?;
        }
        if self.answered.is_empty()
            && let Some(error) = self.failed.pop_front()
        {
            return Err(error);
        }
        self.stats.requests += self.answered.len() as u64;
        Ok(std::mem::take(&mut self.answered))
    }
}

impl Policy for ModelPolicy {
    fn about(&self) -> About {
        About {
            policy_hash: self.hash.clone(),
            max_context_tokens: Some(self.max_context_tokens),
            has_value_head: self.decoder.has_value_head(),
        }
    }

    fn stats(&self) -> PolicyStats {
        let pool = self.decoder.pool();
        PolicyStats {
            evictions: self.cache.evictions(),
            cached_bytes: (pool.in_use() * pool.block_bytes()) as u64,
            most_cached_bytes: (pool.most_in_use() * pool.block_bytes()) as u64,
            ..self.stats
        }
    }

    fn pending(&self) -> usize {
        self.queue.len() + self.running.len() + self.answered.len() + self.failed.len()
    }

    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        tokenize(&self.tokenizer, prompt, Some(self.max_context_tokens))
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        self.submit_with(request, &Wishes::default())
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        loop {
            let answers = self.pass()?;
            if !answers.is_empty() || self.pending() == 0 {
                return Ok(answers);
            }
        }
    }

    fn poll_for(&mut self, at_most: Duration) -> Result<Vec<Expansion>, PolicyError> {
        let began = Instant::now();
        loop {
            let answers = self.pass()?;
            if !answers.is_empty() || self.pending() == 0 || began.elapsed() >= at_most {
                return Ok(answers);
            }
        }
    }

    fn can(&self, _wish: Wish) -> bool {
        true
    }

    fn submit_with(&mut self, request: StepRequest<'_>, wishes: &Wishes) -> Result<(), PolicyError> {
        check(&request, wishes, self.vocab_size()).map_err(|error| PolicyError::of_tree(request.tree, error))?;
        self.queue.push_back(Asked { request: request.into_owned(), wishes: wishes.clone() });
        Ok(())
    }

    fn reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    fn cut_short(&mut self, ticket: u64) {
        if let Some(place) = self.queue.iter().position(|asked| asked.request.ticket == ticket) {
            self.queue.remove(place);
        } else if let Some(place) = self.running.iter().position(|running| running.request.ticket == ticket) {
            self.running.remove(place).into_asked(&mut self.cache);
            self.is_full = false;
        } else {
            return;
        }
        self.answered.push(Expansion { ticket, value: None, candidates: Vec::new() });
    }

    fn forget(&mut self, tree: u64) {
        self.cache.forget(tree);
    }
}

/// Samples one token for each row. Rows share nothing, so it does not matter which thread takes which.
fn sample(work: Vec<(&mut SampledRow, &[f32], RowLimits)>, vocabulary: usize, context: &RowContext) {
    if work.len() * vocabulary >= PARALLEL_LOGITS {
        work.into_par_iter().for_each_init(Scratch::default, |scratch, (row, logits, limits)| {
            row.advance(logits, limits, context, scratch);
        });
    } else {
        let mut scratch = Scratch::default();
        for (row, logits, limits) in work {
            row.advance(logits, limits, context, &mut scratch);
        }
    }
}
