//! The batch: requests of many trees, decoded together.

use crate::cache::PrefixCache;
use crate::config::PolicyConfig;
use crate::error::ModelPolicyError;
use crate::rows::{RowContext, RowLimits, SampledRow};
use crate::running::Running;
use crate::sampler::Scratch;
use espalier_model::Transformer;
use espalier_search::{About, Expansion, Policy, PolicyError, PolicyStats, Precision, StepRequest};
use espalier_tokenizer::Tokenizer;
use rayon::prelude::*;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::OnceLock;
use tch::{Device, Kind, Tensor};

/// Rows times vocabulary from which on sampling is spread over threads.
const PARALLEL_LOGITS: usize = 1 << 16;

/// A language model behind [`Policy`]: continuous batching over the requests of many trees.
///
/// The answer to a request depends on the request and on the earlier requests of its tree, never on other trees, on
/// the order of submission or on `max_rows`: rows share matrix products but no number, each row has its own generator,
/// and a tree's requests run one after the other, so that what it finds cached is its own history.
pub struct ModelPolicy {
    model: Transformer,
    tokenizer: Tokenizer,
    config: PolicyConfig,
    max_context_tokens: usize,
    cache: PrefixCache,
    queue: VecDeque<StepRequest<'static>>,
    running: Vec<Running>,
    answered: Vec<Expansion>,
    /// Requests that were given up.
    failed: VecDeque<PolicyError>,
    /// Made when somebody first asks: all weights go into it.
    hash: OnceLock<String>,
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
        tokenizer: Tokenizer,
        config: PolicyConfig,
    ) -> Result<ModelPolicy, ModelPolicyError> {
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
        Ok(ModelPolicy {
            max_context_tokens,
            cache: PrefixCache::new(config.tree_cache_bytes, config.cache_bytes),
            queue: VecDeque::new(),
            running: Vec::new(),
            answered: Vec::new(),
            failed: VecDeque::new(),
            hash: OnceLock::new(),
            stats: PolicyStats::default(),
            model,
            tokenizer,
            config,
        })
    }

    /// The model.
    pub fn model(&self) -> &Transformer {
        &self.model
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    fn check(&self, request: &StepRequest<'_>) -> Result<(), ModelPolicyError> {
        let problem = if request.prefix_ids.is_empty() {
            "its prefix has no tokens".to_owned()
        } else if request.step_ends.last().map(|&end| end as usize) != Some(request.prefix_ids.len()) {
            format!("step_ends {:?} do not end at the {} prefix tokens", request.step_ends, request.prefix_ids.len())
        } else if !request.step_ends.is_sorted() {
            format!("step_ends {:?} fall", request.step_ends)
        } else if let Some(id) = request.prefix_ids.iter().find(|&&id| id as usize >= self.model.config().vocab_size) {
            format!("token {id} is not among the model's {}", self.model.config().vocab_size)
        } else if !(request.temperature >= 0.0 && request.temperature.is_finite()) {
            format!("temperature is {}, but must be 0 or above and finite", request.temperature)
        } else {
            return Ok(());
        };
        Err(ModelPolicyError::Request { ticket: request.ticket, tree: request.tree, problem })
    }

    /// Moves requests from the queue into the batch, in order, as long as there are rows. Several of one tree run side by
    /// side, as those of leaves that are evaluated at the same time; one that needs what another is reading waits for it.
    fn admit(&mut self) -> Result<(), ModelPolicyError> {
        let mut rows: usize = self.running.iter().map(|running| running.request.k).sum();
        let mut place = 0;
        while let Some(request) = self.queue.get(place) {
            if self.running.iter().any(|running| running.is_reading_for(request)) {
                place += 1;
                continue;
            }
            if !self.running.is_empty() && rows + request.k > self.config.max_rows {
                break;
            }
            let Some(request) = self.queue.remove(place) else { break };
            let Some(room) = self.max_context_tokens.checked_sub(request.prefix_ids.len()) else {
                self.answered.push(Expansion { ticket: request.ticket, value: None, candidates: Vec::new() });
                continue;
            };
            rows += request.k;
            let running = Running::new(request, room, &self.model, &self.tokenizer, &mut self.cache)?;
            self.stats.tokens_reused += running.fed() as u64;
            self.running.push(running);
        }
        Ok(())
    }

    /// One pass of the batch through the model and one token for every row that is due one.
    fn step(&mut self) -> Result<(), ModelPolicyError> {
        let chunk = self.config.prefill_chunk_tokens;
        let mut prefill = self.config.max_prefill_tokens;
        let (mut decoding, mut starting): (Vec<&mut Running>, Vec<&mut Running>) =
            self.running.iter_mut().partition(|running| running.is_decoding());
        let decoding_rows: usize = decoding.iter().map(|running| running.outputs()).sum();
        let mut calls: Vec<_> =
            decoding.iter_mut().chain(&mut starting).filter_map(|running| running.feed(chunk, &mut prefill)).collect();

        // Outputs to sample from: those of the decoding rows, then one for each request that begins to sample.
        let mut outputs = Vec::new();
        if !calls.is_empty() {
            self.stats.passes += 1;
            self.stats.tokens_forwarded += calls.iter().map(|(_, ids)| ids.len() as u64).sum::<u64>();
            let hidden = self.model.extend(&mut calls)?;
            if decoding_rows > 0 {
                outputs.push(hidden.narrow(0, 0, decoding_rows as i64));
            }
            let mut row = decoding_rows as i64;
            for running in &mut starting {
                let output = || {
                    row += 1;
                    // A copy: a view would keep the whole pass's output alive in the cache.
                    hidden.narrow(0, row - 1, 1).copy()
                };
                running.receive(output, &mut self.cache);
            }
        }
        starting.retain(|running| running.known().is_some());
        for running in &mut starting {
            let Some(hidden) = running.known() else { continue };
            let value = if running.request.want_value { value(&self.model, hidden) } else { None };
            if running.outputs() > 0 {
                outputs.push(hidden.shallow_clone());
            }
            running.set_value(value);
        }

        if !outputs.is_empty() {
            let hidden = if outputs.len() == 1 { outputs.remove(0) } else { Tensor::cat(&outputs, 0) };
            let vocabulary = self.model.config().vocab_size;
            let logits = self.model.logits(&hidden).to_kind(Kind::Float).to_device(Device::Cpu).contiguous();
            let logits = Vec::<f32>::try_from(logits.view(-1))?;
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

        let mut staying = Vec::with_capacity(self.running.len());
        for mut running in std::mem::take(&mut self.running) {
            let settled = if running.is_decoding() || running.known().is_some() {
                running.settle(&self.model, &self.tokenizer, &mut self.cache)
            } else {
                Ok(None)
            };
            match settled {
                Ok(Some(answer)) => self.answered.push(answer),
                Ok(None) => staying.push(running),
                // One request is lost; those beside it go on.
                Err(error) => self.failed.push_back(error.into()),
            }
        }
        self.running = staying;
        Ok(())
    }
}

impl Policy for ModelPolicy {
    fn about(&self) -> About {
        About {
            policy_hash: self.hash.get_or_init(|| self.model.hash()).clone(),
            max_context_tokens: Some(self.max_context_tokens),
            has_value_head: self.model.value_head().is_some(),
        }
    }

    fn stats(&self) -> PolicyStats {
        PolicyStats { evictions: self.cache.evictions(), cached_bytes: self.cache.bytes() as u64, ..self.stats }
    }

    fn pending(&self) -> usize {
        self.queue.len() + self.running.len() + self.answered.len() + self.failed.len()
    }

    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        let ids = self.tokenizer.encode_prompt(prompt).map_err(ModelPolicyError::from)?;
        if ids.len() >= self.max_context_tokens {
            return Err(ModelPolicyError::LongPrompt { tokens: ids.len(), context: self.max_context_tokens }.into());
        }
        Ok(ids)
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        self.check(&request).map_err(|error| PolicyError::of_tree(request.tree, error))?;
        self.queue.push_back(request.into_owned());
        Ok(())
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        tch::no_grad(|| {
            loop {
                self.admit()?;
                if self.answered.is_empty()
                    && let Some(error) = self.failed.pop_front()
                {
                    return Err(error);
                }
                if !self.answered.is_empty() || self.running.is_empty() {
                    self.stats.requests += self.answered.len() as u64;
                    return Ok(std::mem::take(&mut self.answered));
                }
                self.step()?;
            }
        })
    }

    fn forget(&mut self, tree: u64) {
        self.cache.forget(tree);
    }
}

/// LibTorch's name for a precision.
pub fn kind(precision: Precision) -> Kind {
    match precision {
        Precision::Float32 => Kind::Float,
        Precision::Bfloat16 => Kind::BFloat16,
    }
}

/// V(s) of the state whose last token's output is `hidden` `[1, H]`; `None` for a model without a value head.
fn value(model: &Transformer, hidden: &Tensor) -> Option<f32> {
    model.value_head().map(|_| model.values(hidden).double_value(&[0]) as f32)
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
