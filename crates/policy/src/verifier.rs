//! Values of the states along given paths, by a model with a value head or an ensemble of them.
//!
//! ```text
//!   paths, cut at their ends:   prompt ─┬─ step ─── step         each piece runs through the model once, behind the keys
//!                                       └─ step ─┬─ step         and values of the pieces before it, many at a time
//!                                                └─ step
//! ```

use crate::PolicyConfig;
use crate::error::ModelPolicyError;
use crate::numerics::{kind, numerics};
use espalier_model::{DecodeGroup, Decoder, KvSegment, ModelError, Transformer};
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::path::Path;
use tch::Device;

/// More than a piece can take of the cache beyond its tokens: what is left of its last block.
const PIECE_SLACK: usize = 32;

/// A text of tokens, of which some beginnings are states to be valued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValuedPath<'a> {
    /// The prompt's tokens and those of the steps.
    pub ids: &'a [u32],
    /// Offsets into `ids` past the last token of each state, rising, at least 1. Paths that begin alike are read once as far as
    /// their ends are the same, so the prompt's belongs here, too.
    pub ends: &'a [u32],
}

/// What the K heads of a verifier say of a state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StateValue {
    /// V(s), the mean over the heads, in [-1, 1].
    pub mean: f64,
    /// The standard deviation over the heads, with K - 1 in its denominator; 0 of one head.
    pub deviation: f64,
}

/// A verifier: a model with a value head, or an ensemble of K.
///
/// In the invariant numerics a state's value depends on the state alone, to the last bit: not on the paths beside it.
#[derive(Debug)]
pub struct Verifier {
    decoder: Decoder,
    threads: ThreadPool,
    /// Tokens of pieces whose keys and values are there at a time.
    kept_tokens: usize,
    /// Tokens of a pass.
    pass_tokens: usize,
    /// Longest part of one piece in one pass.
    chunk_tokens: usize,
}

impl Verifier {
    /// Loads a folder of `step-train verifier`, or any policy's with a value head. Of `config` it takes precision and numerics,
    /// the tokens of a pass and of a chunk, the memory for keys and values, and the threads.
    ///
    /// # Errors
    /// What the model lacks: [`ModelPolicyError::NoValueHead`], or a file; an option out of its range.
    pub fn open(folder: &Path, device: Device, config: &PolicyConfig) -> Result<Verifier, ModelPolicyError> {
        Verifier::new(Transformer::load(folder, device, kind(config.sampling.precision))?, config)
    }

    /// As [`open`](Verifier::open), of a loaded model.
    ///
    /// # Errors
    /// As [`open`](Verifier::open).
    pub fn new(mut model: Transformer, config: &PolicyConfig) -> Result<Verifier, ModelPolicyError> {
        if model.heads() == 0 {
            return Err(ModelPolicyError::NoValueHead);
        }
        config.check()?;
        model.convert(kind(config.sampling.precision))?;
        let shape = model.config();
        let numbers = 2 * shape.num_hidden_layers * shape.num_key_value_heads * shape.head_dim;
        let token_bytes = numbers * model.kind().elt_size_in_bytes();
        let kept_tokens = (config.cache_bytes / token_bytes).max(shape.max_position_embeddings + PIECE_SLACK);
        let numerics = numerics(config.sampling.numerics, model.device());
        let decoder = Decoder::new(&model, numerics, kept_tokens * token_bytes)?;
        let threads = ThreadPoolBuilder::new().num_threads(config.threads).build();
        let threads = threads.map_err(|error| ModelPolicyError::Devices { problem: error.to_string() })?;
        let (pass_tokens, chunk_tokens) = (config.max_prefill_tokens, config.prefill_chunk_tokens);
        Ok(Verifier { decoder, threads, kept_tokens, pass_tokens, chunk_tokens })
    }

    /// K.
    pub fn heads(&self) -> usize {
        self.decoder.heads()
    }

    /// Longest path in tokens.
    pub fn context(&self) -> usize {
        self.decoder.config().max_position_embeddings
    }

    /// The values of the states of each path, one for each of its ends.
    ///
    /// # Errors
    /// [`ModelPolicyError::Text`] for ends that do not rise within the path, a path that is longer than the context, an id that
    /// does not exist, and values that are no numbers; nothing was run but for the last.
    pub fn values(&mut self, paths: &[ValuedPath]) -> Result<Vec<Vec<StateValue>>, ModelPolicyError> {
        for (index, path) in paths.iter().enumerate() {
            self.check(path).map_err(|problem| ModelPolicyError::Text { index, problem })?;
        }
        let mut found = Vec::with_capacity(paths.len());
        while found.len() < paths.len() {
            let mut pieces = Pieces::default();
            for path in &paths[found.len()..] {
                if !pieces.take(path, self.kept_tokens) {
                    break;
                }
            }
            let (decoder, tokens) = (&mut self.decoder, [self.pass_tokens, self.chunk_tokens]);
            let values = self.threads.install(|| read(decoder, &mut pieces, tokens))?;
            for places in &pieces.of_paths {
                let of_path: Vec<StateValue> = places.iter().map(|&place| values[place]).collect();
                if of_path.iter().any(|value| value.mean.is_nan()) {
                    let problem = "its value is no number; the weights are broken".to_owned();
                    return Err(ModelPolicyError::Text { index: found.len(), problem });
                }
                found.push(of_path);
            }
        }
        Ok(found)
    }

    fn check(&self, path: &ValuedPath) -> Result<(), String> {
        let ValuedPath { ids, ends } = path;
        let (context, vocabulary) = (self.context(), self.decoder.config().vocab_size);
        let rising = ends.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || ends.first() == Some(&0) || ends.last().is_some_and(|&last| last as usize > ids.len()) {
            return Err(format!("its states end at {ends:?}, which do not rise within its {} tokens", ids.len()));
        }
        if ids.len() > context {
            return Err(format!("it has {} tokens, more than the model's context of {context}", ids.len()));
        }
        match ids.iter().find(|&&id| id as usize >= vocabulary) {
            Some(id) => Err(format!("token {id} is not among the model's {vocabulary}")),
            None => Ok(()),
        }
    }
}

/// The value at the end of each piece, in passes of so many tokens, of one piece at most so many.
fn read(
    decoder: &mut Decoder,
    pieces: &mut Pieces,
    [pass_tokens, chunk_tokens]: [usize; 2],
) -> Result<Vec<StateValue>, ModelPolicyError> {
    let nothing = StateValue { mean: f64::NAN, deviation: 0.0 };
    let mut values = vec![nothing; pieces.all.len()];
    // Those to be read next are at the end.
    let mut waiting: Vec<usize> = pieces.roots.iter().rev().copied().collect();
    let mut begun: VecDeque<Reading> = VecDeque::new();
    loop {
        let (mut readings, mut tokens) = (Vec::new(), 0);
        while tokens < pass_tokens {
            let reading = match (begun.pop_front(), waiting.pop()) {
                (Some(reading), next) => {
                    waiting.extend(next);
                    reading
                }
                (None, Some(place)) => Reading::new(place, &pieces.all)?,
                (None, None) => break,
            };
            tokens += reading.left(&pieces.all).min(chunk_tokens);
            readings.push(reading);
        }
        if readings.is_empty() {
            return Ok(values);
        }
        let mut calls: Vec<_> = readings.iter_mut().map(|reading| reading.feed(&pieces.all, chunk_tokens)).collect();
        let states = decoder.extend(&mut calls)?;
        let heads = decoder.head_values(&states)?;
        for (reading, heads) in readings.into_iter().zip(heads.chunks_exact(decoder.heads())) {
            if reading.left(&pieces.all) > 0 {
                begun.push_back(reading);
                continue;
            }
            values[reading.place] = of_heads(heads);
            waiting.extend(pieces.close(reading));
        }
    }
}

/// Mean and deviation of what the heads say.
fn of_heads(values: &[f64]) -> StateValue {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    StateValue { mean, deviation: if values.len() > 1 { (squares / (n - 1.0)).sqrt() } else { 0.0 } }
}

/// The tokens between two ends, or before the first.
struct Piece<'a> {
    ids: &'a [u32],
    parent: Option<usize>,
    children: Vec<usize>,
    /// Children that are not read to their ends.
    unread: usize,
    /// Keys and values from the path's beginning to its end, while a child needs them.
    kept: Vec<KvSegment>,
}

/// The pieces of some paths, each once, parents before children.
#[derive(Default)]
struct Pieces<'a> {
    all: Vec<Piece<'a>>,
    roots: Vec<usize>,
    known: HashMap<(Option<usize>, &'a [u32]), usize>,
    /// The piece at each end of each path.
    of_paths: Vec<Vec<usize>>,
    tokens: usize,
}

impl<'a> Pieces<'a> {
    /// Adds a path, if all pieces together then have no more than `most` tokens, or if it is the first.
    fn take(&mut self, path: &ValuedPath<'a>, most: usize) -> bool {
        let starts = std::iter::once(0).chain(path.ends.iter().copied());
        let ranges: Vec<Range<usize>> =
            starts.zip(path.ends).map(|(start, &end)| start as usize..end as usize).collect();
        let (mut at, mut known) = (None, 0);
        while let Some(range) = ranges.get(known)
            && let Some(&place) = self.known.get(&(at, &path.ids[range.clone()]))
        {
            (at, known) = (Some(place), known + 1);
        }
        let tokens = self.tokens + ranges[known..].iter().map(|range| range.len() + PIECE_SLACK).sum::<usize>();
        if tokens > most && !self.of_paths.is_empty() {
            return false;
        }
        self.tokens = tokens;
        let mut parent = None;
        let mut places = Vec::with_capacity(ranges.len());
        for range in ranges {
            let ids = &path.ids[range];
            let place = *self.known.entry((parent, ids)).or_insert_with(|| {
                let place = self.all.len();
                match parent.and_then(|parent: usize| self.all.get_mut(parent)) {
                    Some(above) => {
                        above.children.push(place);
                        above.unread += 1;
                    }
                    None => self.roots.push(place),
                }
                self.all.push(Piece { ids, parent, children: Vec::new(), unread: 0, kept: Vec::new() });
                place
            });
            places.push(place);
            parent = Some(place);
        }
        self.of_paths.push(places);
        true
    }

    /// Keeps what the children of a piece need that was read to its end, drops what nobody needs any more, and gives the
    /// children, the first one last.
    fn close(&mut self, reading: Reading) -> Vec<usize> {
        let Reading { place, segments, group } = reading;
        if let Some(above) = self.all[place].parent.map(|parent| &mut self.all[parent]) {
            above.unread -= 1;
            if above.unread == 0 {
                above.kept = Vec::new();
            }
        }
        let piece = &mut self.all[place];
        if !piece.children.is_empty() {
            let own = group.suffix(0, 0..piece.ids.len());
            piece.kept = segments.into_iter().chain([own]).collect();
        }
        piece.children.iter().rev().copied().collect()
    }
}

/// A piece on its way through the model.
struct Reading {
    place: usize,
    /// Of the pieces before it.
    segments: Vec<KvSegment>,
    group: DecodeGroup,
}

impl Reading {
    fn new(place: usize, pieces: &[Piece]) -> Result<Reading, ModelError> {
        let segments = pieces[place].parent.map(|above| pieces[above].kept.clone()).unwrap_or_default();
        let group = DecodeGroup::new(&segments, 1, pieces[place].ids.len())?;
        Ok(Reading { place, segments, group })
    }

    /// Tokens that are still to be read.
    fn left(&self, pieces: &[Piece]) -> usize {
        pieces[self.place].ids.len() - self.group.used()
    }

    /// Its next tokens.
    fn feed<'a>(&'a mut self, pieces: &[Piece<'a>], chunk_tokens: usize) -> (&'a mut DecodeGroup, &'a [u32]) {
        let (ids, used) = (pieces[self.place].ids, self.group.used());
        (&mut self.group, &ids[used..ids.len().min(used + chunk_tokens)])
    }
}
