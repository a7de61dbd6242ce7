//! One candidate: its requests, and where it ends.
//!
//! Where a step ends is decided here, token by token, as every policy does it: at the first stop
//! string that is complete, at an end-of-text token, or at the limit. What servers do with stop strings differs: vLLM,
//! SGLang and llama-cpp-python cut them off the text but list their tokens; llama.cpp's own server drops those, and with them
//! the log-probabilities that the tree needs. Such a server is told no stop strings and asked for [`PIECE_TOKENS`] at a
//! time; what it draws beyond the end is dropped.

use crate::call::Failure;
use crate::tokens::{TokenReader, Tokens, Unreadable};
use crate::wire::{Ask, Choice, Completion, Extras, Prompt};
use espalier_search::{Candidate, Finish, SamplingConfig, candidate_generator};
use espalier_tokenizer::{Continuation, End, Tokenizer};
use rand_chacha::rand_core::Rng;
use std::sync::Arc;

/// Tokens that a server is asked for at a time when it does not list those of a stop string.
pub(crate) const PIECE_TOKENS: usize = 16;

/// What the servers can do, found out at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// Whether they take prompts as ids.
    pub takes_ids: bool,
    /// Whether they take fields that are not OpenAI's.
    pub takes_extras: bool,
    /// Whether they list the tokens of the stop string that ended a text.
    pub lists_stops: bool,
}

/// What all requests have in common.
pub(crate) struct Model {
    pub name: String,
    pub tokenizer: Arc<Tokenizer>,
    pub reader: TokenReader,
    pub sampling: SamplingConfig,
    pub dialect: Dialect,
}

/// One candidate that is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub prefix_ids: Arc<[u32]>,
    /// The end of the prefix's text that belongs to the candidate.
    pub overhang: Arc<str>,
    pub stops: Arc<[String]>,
    pub max_tokens: usize,
    pub temperature: f32,
    /// The request's seed, and the candidate's place among those of the request.
    pub seed: u64,
    pub index: usize,
    /// So many of the likeliest tokens in each place are told.
    pub alternatives: usize,
}

/// What one request has drawn.
#[derive(Debug)]
pub(crate) enum Reply {
    Drawn {
        tokens: Tokens,
        /// By a stop string or an end-of-text token, not by the limit.
        is_stopped: bool,
    },
    /// The prompt fills the context; what the server says.
    NoRoom(String),
    /// The answer cannot be taken back to tokens.
    Unreadable(String),
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Sampled {
    /// With the likeliest tokens in the place of each of its own, where they were asked for.
    Candidate(Candidate, Vec<Vec<(u32, f32)>>),
    /// The prefix fills the context; what the server says.
    NoRoom(String),
    /// The server's answer cannot be taken back to tokens.
    Unreadable(String),
}

impl Model {
    /// The prompt in the form that the servers take. Text goes without the tokens that servers put before every text.
    pub fn prompt(&self, ids: &[u32]) -> Prompt {
        if self.dialect.takes_ids {
            return Prompt::Ids(ids.to_vec());
        }
        let start = self.tokenizer.prompt_start();
        Prompt::Text(self.tokenizer.decode(ids.strip_prefix(start).unwrap_or(ids)))
    }

    /// What goes beyond the API with a request of so many tokens, those of its longest continuation among them.
    pub fn extras(&self, tokens: usize) -> Option<Extras> {
        self.dialect.takes_extras.then(|| Extras::new(&self.sampling, self.tokenizer.vocab_size(), tokens))
    }

    /// What an answer to a request that was told these stop strings has drawn.
    pub fn reply(&self, answer: &Completion, told: &[String]) -> Result<Reply, Failure> {
        let choice = &answer.choices[0];
        match self.reader.read(choice, told) {
            Ok(tokens) => Ok(Reply::Drawn { tokens, is_stopped: choice.finish_reason.as_deref() == Some("stop") }),
            Err(Unreadable::Malformed(problem)) => Err(Failure::Unusable(problem)),
            Err(Unreadable::Ambiguous(problem)) => Ok(Reply::Unreadable(problem)),
        }
    }

    /// Samples a candidate. `send` sends a request until it is answered; it is told the number of tokens of the prompt.
    pub fn sample<E>(
        &self,
        wanted: &Wanted,
        mut send: impl FnMut(&Ask, usize) -> Result<Reply, E>,
    ) -> Result<Sampled, E> {
        let stops = &*wanted.stops;
        let mut seeds = candidate_generator(wanted.seed, wanted.index);
        let mut row = ServedRow::new(&wanted.prefix_ids, &wanted.overhang, &self.tokenizer);
        let mut ids = wanted.prefix_ids.to_vec();
        while row.token_ids().len() < wanted.max_tokens {
            let left = wanted.max_tokens - row.token_ids().len();
            let (max_tokens, stop) =
                if self.dialect.lists_stops { (left, stops) } else { (left.min(PIECE_TOKENS), &[][..]) };
            let ask = Ask {
                model: &self.name,
                prompt: &self.prompt(&ids),
                n: 1,
                max_tokens,
                temperature: wanted.temperature,
                top_p: self.sampling.top_p,
                // Servers take different ranges; all take 31 bits.
                seed: seeds.next_u32() >> 1,
                logprobs: wanted.alternatives.max(1) as u32,
                stop,
                extras: self.extras(ids.len() + max_tokens),
            };
            let (tokens, is_stopped) = match send(&ask, ids.len())? {
                Reply::Drawn { tokens, is_stopped } => (tokens, is_stopped),
                Reply::NoRoom(said) if row.token_ids().is_empty() => return Ok(Sampled::NoRoom(said)),
                Reply::NoRoom(_) => break,
                Reply::Unreadable(problem) => return Ok(Sampled::Unreadable(problem)),
            };
            let drawn = tokens.ids.len();
            let finish = row.extend(tokens, stops, wanted.max_tokens, &self.tokenizer);
            // At an end-of-text token that the server does not list.
            if let Some(finish) = finish.or(is_stopped.then_some(Finish::Stop)) {
                return Ok(row.finish(finish, &self.tokenizer));
            }
            // The server's own context is full.
            if drawn < max_tokens {
                break;
            }
            ids.truncate(wanted.prefix_ids.len());
            ids.extend(row.token_ids());
        }
        Ok(row.finish(Finish::Length, &self.tokenizer))
    }
}

/// Whether an answer is one of one continuation that ended by itself.
pub(crate) fn checked(completion: Completion) -> Result<Completion, Failure> {
    match completion.choices.as_slice() {
        [Choice { index: Some(index), .. }] if *index != 0 => {
            Err(Failure::Unusable(format!("its only choice has the index {index}")))
        }
        [Choice { finish_reason, .. }] => match finish_reason.as_deref() {
            None | Some("stop" | "length") => Ok(completion),
            Some(other) => Err(Failure::Unusable(format!("it ended a text for another reason ({other})"))),
        },
        choices => Err(Failure::Unusable(format!("it gives {} choices where one was asked for", choices.len()))),
    }
}

/// A candidate that grows.
struct ServedRow {
    continuation: Continuation,
    logprobs: Vec<f32>,
    alternatives: Vec<Vec<(u32, f32)>>,
}

impl ServedRow {
    fn new(prefix_ids: &[u32], overhang: &str, tokenizer: &Tokenizer) -> ServedRow {
        let continuation = Continuation::new(prefix_ids, overhang, tokenizer);
        ServedRow { continuation, logprobs: Vec::new(), alternatives: Vec::new() }
    }

    fn token_ids(&self) -> &[u32] {
        self.continuation.token_ids()
    }

    /// Takes tokens up to where the candidate ends, if it does.
    fn extend(&mut self, more: Tokens, stops: &[String], max_tokens: usize, tokenizer: &Tokenizer) -> Option<Finish> {
        for ((id, logprob), alternatives) in more.ids.into_iter().zip(more.logprobs).zip(more.alternatives) {
            self.logprobs.push(logprob);
            self.alternatives.push(alternatives);
            match self.continuation.push(id, stops, max_tokens, tokenizer) {
                Some(End::StopString | End::EndOfText) => return Some(Finish::Stop),
                Some(End::Length) => return Some(Finish::Length),
                None => {}
            }
        }
        None
    }

    fn finish(self, finish: Finish, tokenizer: &Tokenizer) -> Sampled {
        let (text, token_ids) = self.continuation.into_parts(tokenizer);
        Sampled::Candidate(Candidate { text, token_ids, logprobs: self.logprobs, finish }, self.alternatives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEXT: &str = "the total and</step> the rest: 2718281828459045235360287471352662497757";

    fn model(dialect: Dialect) -> Model {
        let sentences = ["the total and the rest of the total", "</step> the step"];
        let tokenizer = Arc::new(Tokenizer::train_bpe(sentences, 300, &["<pad>"]).unwrap());
        let reader = TokenReader::new(Arc::clone(&tokenizer));
        Model { name: "m".into(), tokenizer, reader, sampling: SamplingConfig::default(), dialect }
    }

    fn dialect() -> Dialect {
        Dialect { takes_ids: true, takes_extras: true, lists_stops: true }
    }

    fn wanted(model: &Model, max_tokens: usize, stops: Vec<String>) -> Wanted {
        let prefix_ids = model.tokenizer.encode("the").unwrap().into();
        let overhang = "".into();
        Wanted {
            prefix_ids,
            overhang,
            stops: stops.into(),
            max_tokens,
            temperature: 1.0,
            seed: 1,
            index: 0,
            alternatives: 0,
        }
    }

    /// A server that continues every prompt towards [`TEXT`], and stops only where it is told.
    fn server(model: &Model) -> impl FnMut(&Ask, usize) -> Result<Reply, Failure> {
        let (prefix, ids) = (model.tokenizer.encode("the").unwrap().len(), model.tokenizer.encode(TEXT).unwrap());
        let decode = |ids: &[u32]| model.tokenizer.decode(ids);
        move |ask, prompt_tokens| {
            let rest = &ids[prompt_tokens - prefix..];
            let stop =
                (1..=rest.len()).find(|&n| ask.stop.iter().any(|stop| decode(&rest[..n]).contains(stop.as_str())));
            let count = stop.unwrap_or(rest.len()).min(ask.max_tokens);
            let reason = if stop == Some(count) { "stop" } else { "length" };
            let logprobs: Vec<f32> = (0..count).map(|i| -((prompt_tokens + i) as f32)).collect();
            let choice = json!({
                "text": "", "finish_reason": reason, "token_ids": rest[..count], "logprobs": { "token_logprobs": logprobs },
            });
            let answer = checked(serde_json::from_value(json!({ "choices": [choice] })).unwrap())?;
            model.reply(&answer, ask.stop)
        }
    }

    fn sample(model: &Model, max_tokens: usize, stops: &[&str]) -> Candidate {
        let stops: Vec<String> = stops.iter().map(ToString::to_string).collect();
        match model.sample(&wanted(model, max_tokens, stops), server(model)).unwrap() {
            Sampled::Candidate(candidate, _) => candidate,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_candidate_ends_where_the_local_policy_would_end_it() {
        let model = model(dialect());
        let whole = model.tokenizer.encode(TEXT).unwrap();
        let stopped = sample(&model, 100, &["</step>", "</solution>"]);
        assert_eq!((stopped.text.as_str(), stopped.finish), ("the total and</step>", Finish::Stop));
        assert!(whole.starts_with(&stopped.token_ids));
        assert_eq!(stopped.token_ids.len(), stopped.logprobs.len());
        // A stop that ends in the middle of a token: token and text stay whole.
        let inside = sample(&model, 100, &["</ste"]);
        assert_eq!(inside.text, "the total and</step");
        assert_eq!(model.tokenizer.decode(&inside.token_ids), inside.text);
        let cut = sample(&model, 2, &["</step>"]);
        assert_eq!((cut.token_ids.as_slice(), cut.finish), (&whole[..2], Finish::Length));
        // The server ended by itself: its context is full.
        assert_eq!(sample(&model, 100, &["never"]).finish, Finish::Length);
        assert_eq!(sample(&model, 100, &["never"]).text, TEXT);
    }

    #[test]
    fn pieces_make_the_same_candidate() {
        let whole = model(dialect());
        let pieces = model(Dialect { lists_stops: false, ..dialect() });
        let length = whole.tokenizer.encode(TEXT).unwrap().len();
        assert!(length > 2 * PIECE_TOKENS, "{length}");
        for stops in [&["</step>"][..], &["</ste"], &["never"], &[" rest"]] {
            for max_tokens in [1, 5, PIECE_TOKENS, 2 * PIECE_TOKENS + 1, 100] {
                assert_eq!(sample(&pieces, max_tokens, stops), sample(&whole, max_tokens, stops));
            }
        }
    }

    #[test]
    fn seeds_differ_between_candidates_and_pieces() {
        let model = model(dialect());
        let seed_of = |index, seed| {
            let mut seen = 0;
            let wanted = Wanted { seed, index, ..wanted(&model, 5, Vec::new()) };
            let mut server = server(&model);
            model
                .sample(&wanted, |ask, tokens| {
                    seen = ask.seed;
                    server(ask, tokens)
                })
                .unwrap();
            seen
        };
        let seeds = [seed_of(0, 1), seed_of(1, 1), seed_of(0, 2)];
        assert!(seeds.iter().all(|&seed| seed < 1 << 31));
        assert!(seeds[0] != seeds[1] && seeds[1] != seeds[2] && seeds[0] != seeds[2]);
        assert_eq!(seed_of(1, 1), seeds[1]);
    }

    #[test]
    fn a_prefix_without_room_is_no_error() {
        let model = model(dialect());
        let full = |_: &Ask, _: usize| Ok::<_, Failure>(Reply::NoRoom("full".into()));
        let sampled = model.sample(&wanted(&model, 5, Vec::new()), full);
        assert!(matches!(sampled, Ok(Sampled::NoRoom(said)) if said == "full"));
    }

    #[test]
    fn prompts_go_as_ids_or_as_text() {
        let ids = model(dialect());
        let prefix = ids.tokenizer.encode("the rest").unwrap();
        assert_eq!(ids.prompt(&prefix), Prompt::Ids(prefix.clone()));
        let text = model(Dialect { takes_ids: false, ..dialect() });
        assert_eq!(text.prompt(&prefix), Prompt::Text("the rest".into()));
    }
}
