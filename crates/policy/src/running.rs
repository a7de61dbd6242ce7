//! One request on its way through the model.
//!
//! ```text
//!            ┌────── chunk by chunk ┐                           ┌─ token by token ┐
//!  cached ─► Prefill (one row) ─────┴─► Known ─► K first tokens ─► Decode ────────┴─► Expansion
//!    └── all of it, and the output at its end ──┘
//! ```

use crate::cache::{NodeId, PrefixCache};
use crate::error::ModelPolicyError;
use crate::rows::{RowLimits, SampledRow};
use crate::sampler::{Scratch, likeliest, logprob};
use espalier_model::{DecodeGroup, KvSegment, ModelError, States};
use espalier_search::{Candidate, Expansion, Report, StepRequest, Told, Unit, Wishes};
use espalier_tokenizer::{End, Tokenizer};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// Tokens of a prefix whose logits are made at a time.
const LOGIT_ROWS: usize = 64;

enum Phase {
    /// The prefix runs through the model, as one row; it began at token `start`.
    Prefill { group: DecodeGroup, start: usize },
    /// The model's output `[1, H]` at the prefix's last token is known.
    Known(States),
    /// The unfinished rows run through the model.
    Decode(DecodeGroup),
}

/// A request as it waits.
pub(crate) struct Asked {
    pub request: StepRequest<'static>,
    pub wishes: Wishes,
}

/// A request and its state.
pub(crate) struct Running {
    pub request: StepRequest<'static>,
    pub wishes: Wishes,
    max_tokens: usize,
    phase: Phase,
    /// The node of the cache whose memory it holds.
    pin: Option<NodeId>,
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
    /// What is told of the prefix, as far as it is read.
    prefix: Vec<Told>,
    /// The logits of the prefix were not finite.
    broken: bool,
}

impl Running {
    /// Looks up what is cached of the prefix and prepares the rest. `room` is what the context leaves for new tokens.
    pub fn new(
        Asked { request, wishes }: Asked,
        room: usize,
        tokenizer: &Tokenizer,
        cache: &mut PrefixCache,
    ) -> Result<Running, ModelPolicyError> {
        let max_tokens = request.max_tokens.min(room);
        let rows = if max_tokens == 0 { 0 } else { request.k };
        let overhang = request.overhang(|ids| tokenizer.decode(ids));
        let rows: Vec<SampledRow> =
            (0..rows).map(|index| SampledRow::new(&request, index, &overhang, tokenizer)).collect();
        let length = request.prefix_ids.len();
        let mut cached = cache.find(request.tree, &request.prefix_ids);
        if let Some(first) = wishes.prefix {
            // What is kept of a prefix does not say how likely its tokens are: the token before the first one is fed again.
            cached.truncate(first.saturating_sub(1));
            cached.state = None;
        }
        cached.node.inspect(|&node| cache.pin(node));
        let phase = match cached.state.take() {
            Some(state) => Phase::Known(state),
            None => {
                // The last token is fed in any case: the rows and the value start from its output.
                cached.truncate(length - 1);
                let group = DecodeGroup::new(&cached.segments, 1, length - cached.tokens)?;
                Phase::Prefill { group, start: cached.tokens }
            }
        };
        Ok(Running {
            max_tokens,
            phase,
            pin: cached.node,
            segments: cached.segments,
            fed: cached.tokens,
            in_pass: false,
            lanes: vec![0; rows.len()],
            rows,
            next_ids: Vec::new(),
            candidates: Vec::new(),
            value: None,
            prefix: Vec::new(),
            broken: false,
            request,
            wishes,
        })
    }

    /// Prefix tokens whose keys and values are there or in the present pass.
    pub fn fed(&self) -> usize {
        self.fed
    }

    /// Tokens at the beginning of `ids` that it is reading, or has read and not yet left to the cache.
    pub fn reads_of(&self, ids: &[u32]) -> usize {
        if !matches!(self.phase, Phase::Prefill { .. }) {
            return 0;
        }
        // The last token of a text is read for its output in any case.
        let ids = &ids[..ids.len().saturating_sub(1)];
        self.request.prefix_ids.iter().zip(ids).take_while(|(own, other)| own == other).count()
    }

    /// Blocks that its next pass takes.
    pub fn blocks_for(&self, chunk_tokens: usize, claimed: &mut HashSet<usize>) -> usize {
        match &self.phase {
            Phase::Known(_) => 0,
            Phase::Prefill { group, .. } => {
                group.blocks_for((self.request.prefix_ids.len() - self.fed).min(chunk_tokens), claimed)
            }
            Phase::Decode(group) => group.blocks_for(1, claimed),
        }
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

    /// Takes over what the pass gave for a prefix: `output` yields the output `[1, H]` at its last new token.
    pub fn receive(&mut self, output: impl FnOnce() -> States, cache: &mut PrefixCache) {
        let length = self.request.prefix_ids.len();
        let Phase::Prefill { group, start } = &self.phase else { return };
        if !self.in_pass || self.fed < length {
            return;
        }
        let state = output();
        let segment = group.suffix(0, 0..length - start);
        let kept = cache.keep(self.request.tree, &self.request.prefix_ids, &segment, Some(state.narrow(0..1)));
        kept.inspect(|&node| cache.pin(node));
        std::mem::replace(&mut self.pin, kept).inspect(|&node| cache.unpin(node));
        self.segments.push(segment);
        self.phase = Phase::Known(state);
    }

    /// Gives up what it holds, and its request.
    pub fn into_asked(self, cache: &mut PrefixCache) -> Asked {
        self.pin.inspect(|&node| cache.unpin(node));
        Asked { request: self.request, wishes: self.wishes }
    }

    /// Whether the outputs at all tokens of its prefix are wanted, which it reads still.
    pub fn tells_prefix(&self) -> bool {
        self.wishes.prefix.is_some() && matches!(self.phase, Phase::Prefill { .. })
    }

    /// Takes over how likely the prefix's tokens are of which the present pass has read the ones before: `logits` yields those
    /// `[N V]` at some of its new tokens.
    pub fn read(
        &mut self,
        tokens: usize,
        choices: usize,
        mut logits: impl FnMut(Range<usize>) -> Result<Vec<f32>, ModelError>,
    ) -> Result<(), ModelError> {
        let (start, scratch) = (self.fed - tokens, &mut Scratch::default());
        // The output at a token says what follows it.
        let wanted = self.wishes.prefix.unwrap_or(1).saturating_sub(1);
        let followed = start.max(wanted)..self.fed.min(self.request.prefix_ids.len() - 1);
        for first in followed.clone().step_by(LOGIT_ROWS) {
            let places = first..followed.end.min(first + LOGIT_ROWS);
            let lines = logits(places.start - start..places.end - start)?;
            for (line, at) in lines.chunks_exact(lines.len() / places.len()).zip(places) {
                let id = self.request.prefix_ids[at + 1];
                let Some(logprob) = logprob(line, id, scratch) else {
                    self.broken = true;
                    return Ok(());
                };
                let alternatives = likeliest(line, choices, self.wishes.alternatives, scratch);
                self.prefix.push(Told { id, logprob, alternatives });
            }
        }
        Ok(())
    }

    /// Tells what is new, if that is wished for.
    pub fn tell(&mut self, reports: &mut Vec<Report>) {
        if !self.wishes.is_watched() {
            return;
        }
        let ticket = self.request.ticket;
        if !self.prefix.is_empty() && !matches!(self.phase, Phase::Prefill { .. }) {
            let (tokens, first) = (std::mem::take(&mut self.prefix), self.wishes.prefix.unwrap_or(1));
            reports.push(Report { ticket, candidate: None, first, tokens });
        }
        for row in &mut self.rows {
            let (first, tokens) = row.tell();
            if !tokens.is_empty() {
                reports.push(Report { ticket, candidate: Some(row.index), first, tokens });
            }
        }
    }

    /// Whether it reads its prefix in the present pass.
    pub fn is_reading(&self) -> bool {
        self.in_pass && matches!(self.phase, Phase::Prefill { .. })
    }

    /// The output `[1, H]` at the prefix's last token, once it is known and until the first tokens are sampled.
    pub fn known(&self) -> Option<&States> {
        match &self.phase {
            Phase::Known(state) => Some(state),
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
            sampling: self.wishes.sampling.as_ref(),
            alternatives: self.wishes.alternatives,
        };
        self.rows.iter_mut().zip(&self.lanes).map(move |(row, &lane)| (row, lane, limits))
    }

    /// After sampling: puts finished rows aside, keeps what their children will need, and gets the others ready for
    /// the next pass. The answer, once all rows are finished.
    pub fn settle(
        &mut self,
        tokenizer: &Tokenizer,
        cache: &mut PrefixCache,
    ) -> Result<Option<Expansion>, ModelPolicyError> {
        let request = &self.request;
        if self.broken || self.rows.iter().any(|row| row.broken) {
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
                let ids = [&*request.prefix_ids, &candidate.token_ids[..segment.len()]].concat();
                cache.keep(request.tree, &ids, &segment, None);
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
            Phase::Decode(group) => group.keep_rows(&kept),
            phase => {
                // The last token of a row is never fed.
                let capacity = self.max_tokens - 1;
                *phase = Phase::Decode(DecodeGroup::new(&self.segments, kept.len(), capacity)?);
                self.segments.clear();
            }
        }
        self.rows = unfinished;
        Ok(None)
    }
}
