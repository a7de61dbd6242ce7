//! One request on its way through the model.
//!
//! ```text
//!            ┌────── chunk by chunk ┐                           ┌─ token by token ┐
//!  cached ─► Prefill (one row) ─────┴─► Known ─► K first tokens ─► Decode ────────┴─► Expansion
//!    └── all of it, and the output at its end ──┘
//! ```

use crate::cache::PrefixCache;
use crate::error::ModelPolicyError;
use crate::rows::{RowLimits, SampledRow};
use espalier_model::{DecodeGroup, KvSegment, Transformer};
use espalier_search::{Candidate, Expansion, StepRequest, Unit};
use espalier_tokenizer::{End, Tokenizer};
use std::collections::HashMap;
use tch::Tensor;

enum Phase {
    /// The prefix runs through the model, as one row; it began at token `start`.
    Prefill { group: DecodeGroup, start: usize },
    /// The model's output `[1, H]` at the prefix's last token is known.
    Known(Tensor),
    /// The unfinished rows run through the model.
    Decode(DecodeGroup),
}

/// A request and its state.
pub(crate) struct Running {
    pub request: StepRequest<'static>,
    max_tokens: usize,
    phase: Phase,
    /// Keys and values of the prefix; handed over to the rows' group.
    segments: Vec<KvSegment>,
    /// Tokens of the prefix whose keys and values are there or in the present pass.
    fed: usize,
    in_pass: bool,
    /// Unfinished rows in order.
    rows: Vec<SampledRow>,
    /// The group's row of each unfinished row. Rows whose tokens are equal so far share one: what is equal is computed
    /// once, and they part where they draw different tokens.
    lanes: Vec<usize>,
    /// The last token of each of the group's rows, to be fed next.
    next_ids: Vec<u32>,
    candidates: Vec<(usize, Candidate)>,
    value: Option<f32>,
}

impl Running {
    /// Looks up what is cached of the prefix and prepares the rest. `room` is what the context leaves for new tokens.
    pub fn new(
        request: StepRequest<'static>,
        room: usize,
        model: &Transformer,
        tokenizer: &Tokenizer,
        cache: &mut PrefixCache,
    ) -> Result<Running, ModelPolicyError> {
        let max_tokens = request.max_tokens.min(room);
        let rows = if max_tokens == 0 { 0 } else { request.k };
        let overhang = request.overhang(|ids| tokenizer.decode(ids));
        let rows: Vec<SampledRow> =
            (0..rows).map(|index| SampledRow::new(&request, index, &overhang, tokenizer)).collect();
        let length = request.prefix_ids.len();
        let mut cached = cache.begin(request.tree, &request.prefix_ids, &request.step_ends);
        let phase = match cached.hidden.take() {
            Some(hidden) => Phase::Known(hidden),
            None => {
                // The last token is fed in any case: the rows and the value start from its output.
                cached.truncate(length - 1);
                let group = DecodeGroup::new(model, &cached.segments, 1, length - cached.tokens)?;
                Phase::Prefill { group, start: cached.tokens }
            }
        };
        Ok(Running {
            max_tokens,
            phase,
            segments: cached.segments,
            fed: cached.tokens,
            in_pass: false,
            lanes: vec![0; rows.len()],
            rows,
            next_ids: Vec::new(),
            candidates: Vec::new(),
            value: None,
            request,
        })
    }

    /// Prefix tokens whose keys and values are there or in the present pass.
    pub fn fed(&self) -> usize {
        self.fed
    }

    /// Whether a part of its prefix that it has not read to the end is also one of `other`'s, of the same tree.
    pub fn is_reading_for(&self, other: &StepRequest<'_>) -> bool {
        let Phase::Prefill { start, .. } = self.phase else { return false };
        let own = &self.request;
        other.tree == own.tree
            && own.step_ends.iter().map(|&end| end as usize).any(|end| {
                end > start
                    && other.step_ends.contains(&(end as u32))
                    && other.prefix_ids[..end] == own.prefix_ids[..end]
            })
    }

    /// Whether it is past its prefix and its first tokens.
    pub fn is_decoding(&self) -> bool {
        matches!(self.phase, Phase::Decode(_))
    }

    /// Outputs that its unfinished rows sample from.
    pub fn outputs(&self) -> usize {
        match &self.phase {
            Phase::Prefill { .. } => 0,
            Phase::Known(_) => self.rows.len().min(1),
            Phase::Decode(group) => group.rows(),
        }
    }

    /// What goes into the next pass, if anything: the group and its new tokens. `prefill` is what is left of the pass's
    /// budget for prefix tokens.
    pub fn feed(&mut self, chunk_tokens: usize, prefill: &mut usize) -> Option<(&mut DecodeGroup, &[u32])> {
        self.in_pass = false;
        match &mut self.phase {
            Phase::Known(_) => None,
            Phase::Prefill { .. } if *prefill == 0 => None,
            Phase::Prefill { group, .. } => {
                let chunk = self.fed..self.request.prefix_ids.len().min(self.fed + chunk_tokens);
                *prefill = prefill.saturating_sub(chunk.len());
                self.fed = chunk.end;
                self.in_pass = true;
                Some((group, &self.request.prefix_ids[chunk]))
            }
            Phase::Decode(group) => {
                self.in_pass = true;
                Some((group, &self.next_ids))
            }
        }
    }

    /// Takes over what the pass gave for a prefix: `row` yields the output `[1, H]` at its last new token.
    pub fn receive(&mut self, mut row: impl FnMut() -> Tensor, cache: &mut PrefixCache) {
        let length = self.request.prefix_ids.len();
        let Phase::Prefill { group, start } = &self.phase else { return };
        if !self.in_pass {
            return;
        }
        let hidden = row();
        if self.fed < length {
            return;
        }
        let mut from = *start;
        for end in self.request.step_ends.iter().map(|&end| end as usize) {
            if end > from {
                let segment = group.suffix(0, from - start..end - start);
                let last = (end == length).then(|| hidden.shallow_clone());
                self.segments.push(segment.shallow_clone());
                cache.keep(self.request.tree, &self.request.prefix_ids[..end], from, segment, last);
                from = end;
            }
        }
        self.phase = Phase::Known(hidden);
    }

    /// The output `[1, H]` at the prefix's last token, once it is known and until the first tokens are sampled.
    pub fn known(&self) -> Option<&Tensor> {
        match &self.phase {
            Phase::Known(hidden) => Some(hidden),
            _ => None,
        }
    }

    /// Sets the state's value.
    pub fn set_value(&mut self, value: Option<f32>) {
        self.value = value;
    }

    /// The rows that sample their next token, each with its place among the [`outputs`](Self::outputs) and with what it
    /// needs.
    pub fn sampling(&mut self) -> impl Iterator<Item = (&mut SampledRow, usize, RowLimits<'_>)> {
        let limits = RowLimits {
            prefix_ids: &self.request.prefix_ids,
            temperature: self.request.temperature,
            max_tokens: self.max_tokens,
            stops: self.request.stop_strings(),
        };
        self.rows.iter_mut().zip(&self.lanes).map(move |(row, &lane)| (row, lane, limits))
    }

    /// After sampling: puts finished rows aside, keeps what their children will need, and gets the others ready for
    /// the next pass. The answer, once all rows are finished.
    pub fn settle(
        &mut self,
        model: &Transformer,
        tokenizer: &Tokenizer,
        cache: &mut PrefixCache,
    ) -> Result<Option<Expansion>, ModelPolicyError> {
        let request = &self.request;
        if self.rows.iter().any(|row| row.broken) {
            return Err(ModelPolicyError::NotFinite { ticket: request.ticket, tree: request.tree });
        }
        let mut unfinished = Vec::new();
        // The new rows of the group: the old one that each continues, and its new token.
        let mut kept = Vec::new();
        let mut lane_of = HashMap::new();
        let old_lanes = std::mem::take(&mut self.lanes);
        self.next_ids.clear();
        for (row, old_lane) in std::mem::take(&mut self.rows).into_iter().zip(old_lanes) {
            let Some(end) = row.continuation.end() else {
                let token = row.continuation.token_ids().last().copied().unwrap_or_default();
                let lane = *lane_of.entry((old_lane, token)).or_insert_with(|| {
                    kept.push(old_lane);
                    self.next_ids.push(token);
                    kept.len() - 1
                });
                self.lanes.push(lane);
                unfinished.push(row);
                continue;
            };
            // Only a step that ended by its stop string, and not by one that ends the path, is ever continued. Its last
            // token was not fed.
            let (index, ends_path) = (row.index, row.continuation.stopped_by(&request.stops.path));
            let candidate = row.into_candidate(tokenizer);
            if let (End::StopString, Unit::Step, Phase::Decode(group), false) =
                (end, request.unit, &self.phase, ends_path)
            {
                let segment = group.suffix(old_lane, 0..candidate.token_ids.len() - 1);
                let ids = [&*request.prefix_ids, candidate.token_ids.as_slice()].concat();
                cache.keep(request.tree, &ids, request.prefix_ids.len(), segment, None);
            }
            self.candidates.push((index, candidate));
        }
        if unfinished.is_empty() {
            let mut candidates = std::mem::take(&mut self.candidates);
            candidates.sort_by_key(|&(index, _)| index);
            return Ok(Some(Expansion {
                ticket: request.ticket,
                value: self.value,
                candidates: candidates.into_iter().map(|(_, candidate)| candidate).collect(),
            }));
        }
        match &mut self.phase {
            Phase::Decode(group) if kept.iter().copied().eq(0..group.rows()) => {}
            Phase::Decode(group) => group.keep_rows(&kept)?,
            phase => {
                // The last token of a row is never fed.
                let capacity = self.max_tokens - 1;
                *phase = Phase::Decode(DecodeGroup::new(model, &self.segments, kept.len(), capacity)?);
                self.segments.clear();
            }
        }
        self.rows = unfinished;
        Ok(None)
    }
}
