//! One continuation while it is told: which of its text can be given away already, and what of it stays back.
//!
//! A stop string is no part of an answer, so text that may turn out to be the beginning of one is held until more is known; so is
//! a character whose bytes are not all there. What is given away piece by piece is, joined, what would be given whole.

use super::error::Refusal;
use espalier_search::{Candidate, Told};
use espalier_tokenizer::{Continuation, Tokenizer};
use std::sync::Arc;

/// A continuation that grows.
pub(crate) struct Growing {
    continuation: Continuation,
    stops: Arc<[String]>,
    /// Bytes of its text that were given away.
    given: usize,
    /// Bytes and characters of its text so far.
    bytes: usize,
    characters: usize,
}

/// What is new of a continuation.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Grown {
    pub text: String,
    pub tokens: Vec<Told>,
    /// Where each token's text begins, in characters of the continuation's text.
    pub offsets: Vec<usize>,
}

impl Growing {
    pub fn new(prefix_ids: &[u32], stops: Arc<[String]>, tokenizer: &Tokenizer) -> Growing {
        let continuation = Continuation::new(prefix_ids, "", tokenizer);
        Growing { continuation, stops, given: 0, bytes: 0, characters: 0 }
    }

    /// Tokens so far.
    pub fn len(&self) -> usize {
        self.continuation.token_ids().len()
    }

    /// Takes tokens, the first of which is the continuation's token `first`; those that are known already are left out.
    pub fn tell(&mut self, first: usize, tokens: Vec<Told>, tokenizer: &Tokenizer) -> Grown {
        let mut grown = self.take(first, tokens, tokenizer);
        let text = self.continuation.text();
        let rest = &text[self.given..];
        let safe = cut(rest, &self.stops).unwrap_or_else(|| rest.len() - held(rest, &self.stops));
        rest[..safe].clone_into(&mut grown.text);
        self.given += safe;
        grown
    }

    /// What is left of the finished candidate.
    pub fn end(&mut self, candidate: Candidate, tokenizer: &Tokenizer) -> Result<Grown, Refusal> {
        let Candidate { text, token_ids, logprobs, .. } = candidate;
        let told = |(id, logprob)| Told { id, logprob, alternatives: Vec::new() };
        let is_same = token_ids.starts_with(self.continuation.token_ids())
            && text.as_bytes().starts_with(&self.continuation.text().as_bytes()[..self.given]);
        if !is_same || token_ids.len() != logprobs.len() {
            return Err(Refusal::failed("the policy has drawn something else than what it told"));
        }
        let mut grown = self.take(0, token_ids.into_iter().zip(logprobs).map(told).collect(), tokenizer);
        let rest = &text[self.given..];
        rest[..cut(rest, &self.stops).unwrap_or(rest.len())].clone_into(&mut grown.text);
        Ok(grown)
    }

    fn take(&mut self, first: usize, tokens: Vec<Told>, tokenizer: &Tokenizer) -> Grown {
        let known = self.len();
        let mut grown = Grown::default();
        // What comes too early comes again with the answer.
        if first > known {
            return grown;
        }
        for told in tokens.into_iter().skip(known - first) {
            grown.offsets.push(self.characters);
            self.continuation.push(told.id, &[], usize::MAX, tokenizer);
            let text = self.continuation.text();
            self.characters += text[self.bytes..].chars().count();
            self.bytes = text.len();
            grown.tokens.push(told);
        }
        grown
    }
}

/// Where a text ends before the stop string that is complete in it first; of those that end together the longest.
fn cut(text: &str, stops: &[String]) -> Option<usize> {
    let found = stops.iter().filter_map(|stop| text.find(stop.as_str()).map(|start| (start + stop.len(), start)));
    found.min().map(|(_, start)| start)
}

/// Bytes at the end of a text that may be the beginning of a stop string.
fn held(text: &str, stops: &[String]) -> usize {
    let longest = stops.iter().map(String::len).max().unwrap_or(0);
    let starts = text.char_indices().map(|(at, _)| at).skip_while(|at| at + longest <= text.len());
    let mut starts = starts.filter(|&at| stops.iter().any(|stop| stop.starts_with(&text[at..])));
    starts.next().map_or(0, |at| text.len() - at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use espalier_search::Finish;

    fn tokenizer() -> Tokenizer {
        let sentences = ["5 € für 2 Äpfel", "the total and the rest of the total", "</step> the step"];
        Tokenizer::train_bpe(sentences, 300, &["</step>"]).unwrap()
    }

    fn stops(stops: &[&str]) -> Arc<[String]> {
        stops.iter().map(ToString::to_string).collect()
    }

    /// The text up to the stop, given away after every token and whole.
    fn both(text: &str, at: &[&str]) -> (Vec<String>, String) {
        let tokenizer = tokenizer();
        let prefix = tokenizer.encode("the").unwrap();
        let token_ids = tokenizer.encode(text).unwrap();
        let logprobs = vec![-1.0; token_ids.len()];
        let mut growing = Growing::new(&prefix, stops(at), &tokenizer);
        let mut pieces = Vec::new();
        for (first, &id) in token_ids.iter().enumerate() {
            let told = Told { id, logprob: -1.0, alternatives: Vec::new() };
            // Each token is told twice.
            let grown = growing.tell(first, vec![told.clone()], &tokenizer);
            assert_eq!(grown.tokens.len(), 1);
            pieces.push(grown.text);
            assert_eq!(growing.tell(first, vec![told], &tokenizer), Grown::default());
        }
        let candidate = Candidate { text: text.to_owned(), token_ids, logprobs, finish: Finish::Stop };
        let rest = growing.end(candidate.clone(), &tokenizer).unwrap();
        assert!(rest.tokens.is_empty());
        pieces.push(rest.text);
        let whole = Growing::new(&prefix, stops(at), &tokenizer).end(candidate, &tokenizer).unwrap();
        (pieces, whole.text)
    }

    #[test]
    fn the_pieces_are_the_whole_without_its_stop_string() {
        let cases: [(&str, &[&str], &str); 8] = [
            ("the total and the rest", &[], "the total and the rest"),
            ("the total and</step>", &["</step>"], "the total and"),
            ("the total and</ste", &["</step>"], "the total and</ste"),
            ("5 € für 2", &["€ für 3"], "5 € für 2"),
            ("5 € für", &["€ für"], "5 "),
            // The one that ends first; of two that end together the longer one.
            ("the total and", &["total and", "ta", "otal"], "the to"),
            ("the total", &["al", "total"], "the "),
            ("aaab", &["aab"], "a"),
        ];
        for (text, stops, expected) in cases {
            let (pieces, whole) = both(text, stops);
            assert_eq!((pieces.concat().as_str(), whole.as_str()), (expected, expected), "{text:?} {stops:?}");
        }
        let (pieces, _) = both("the total and the rest", &["never"]);
        assert!(pieces.iter().filter(|piece| !piece.is_empty()).count() > 2, "{pieces:?} comes at once");
    }

    #[test]
    fn only_the_beginning_of_a_stop_is_held() {
        let stops = stops(&["</step>", "€€"]);
        for (text, bytes) in
            [("a", 0), ("a<", 1), ("a</s", 3), ("a</st ", 0), ("a€", 3), ("é€", 3), ("", 0), ("<</step", 6)]
        {
            assert_eq!(held(text, &stops), bytes, "{text:?}");
        }
    }

    #[test]
    fn offsets_count_characters() {
        let tokenizer = tokenizer();
        let token_ids = tokenizer.encode("5 € für").unwrap();
        let candidate = Candidate {
            text: "5 € für".into(),
            logprobs: vec![-1.0; token_ids.len()],
            token_ids: token_ids.clone(),
            finish: Finish::Length,
        };
        let grown = Growing::new(&[], stops(&[]), &tokenizer).end(candidate, &tokenizer).unwrap();
        assert_eq!(grown.offsets[0], 0);
        for (at, &offset) in grown.offsets.iter().enumerate() {
            let before = tokenizer.decode(&token_ids[..at]);
            assert_eq!(offset, before.trim_end_matches('\u{fffd}').chars().count(), "token {at}");
        }
    }

    #[test]
    fn a_policy_that_changes_its_mind_is_found_out() {
        let tokenizer = tokenizer();
        let ids = tokenizer.encode("the total").unwrap();
        let mut growing = Growing::new(&[], stops(&[]), &tokenizer);
        growing.tell(0, vec![Told { id: ids[1], logprob: -1.0, alternatives: Vec::new() }], &tokenizer);
        let candidate = Candidate {
            text: "the total".into(),
            logprobs: vec![-1.0; ids.len()],
            token_ids: ids,
            finish: Finish::Stop,
        };
        assert!(growing.end(candidate, &tokenizer).is_err());
    }
}
