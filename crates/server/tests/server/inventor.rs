//! Models behind the fake server that invent steps.

use espalier_search::fake::{FakeSource, FakeTexts};
use espalier_search::{Candidate, Finish, StepRequest, Stops, Unit};
use espalier_server::testing::{Asked, Brain, Drawn};
use espalier_tokenizer::Tokenizer;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::sync::Arc;

/// The stop strings of tagged steps.
pub fn tagged() -> Stops {
    Stops { step: ["</step>", "</solution>"].map(String::from).into(), path: ["</solution>".into()].into() }
}

/// A tokenizer whose tokens are bytes, and a model that invents steps.
pub struct Inventor {
    tokenizer: Tokenizer,
    texts: FakeTexts,
}

impl Inventor {
    pub fn new() -> Arc<Inventor> {
        let texts = FakeTexts { values: false, ..FakeTexts::new(5) };
        Arc::new(Inventor { tokenizer: bytes(), texts })
    }
}

/// Byte-level BPE without merges, its ids the bytes.
pub fn bytes() -> Tokenizer {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let mut others = 256_u32..;
    let vocabulary: Map<String, Value> = (0..=255_u8)
        .map(|byte| {
            let code = if printable(byte) { u32::from(byte) } else { others.next().unwrap() };
            (char::from_u32(code).unwrap().to_string(), byte.into())
        })
        .collect();
    let level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false });
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": level, "post_processor": null, "decoder": level,
        "model": { "type": "BPE", "vocab": vocabulary, "merges": [] },
    });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), file.to_string()).unwrap();
    Tokenizer::load(folder.path()).unwrap()
}

impl Brain for Inventor {
    fn encode(&self, text: &str) -> Vec<u32> {
        self.tokenizer.encode(text).unwrap()
    }

    fn decode(&self, ids: &[u32]) -> String {
        self.tokenizer.decode(ids)
    }

    fn draw(&self, asked: &Asked) -> Drawn {
        let text = self.decode(&asked.prefix_ids);
        let prompt = text.find("<plan>").map_or(text.len(), |at| at + "<plan>".len());
        let ends = text[prompt..].match_indices("</step>").map(|(at, stop)| prompt + at + stop.len());
        let request = StepRequest {
            ticket: 0,
            tree: 0,
            prefix_ids: asked.prefix_ids.as_slice().into(),
            step_ends: std::iter::once(prompt).chain(ends).map(|end| end as u32).collect::<Vec<_>>().into(),
            k: 1,
            max_tokens: asked.max_tokens,
            unit: if asked.stops.len() == 1 { Unit::Path } else { Unit::Step },
            stops: Cow::Owned(Stops::default()),
            temperature: asked.temperature,
            seed: asked.seed,
            want_value: false,
        };
        let Candidate { mut text, mut token_ids, finish, .. } = self.texts.answer(&request).candidates.remove(0);
        // A server stops where it is told, be it in the middle of what this model would say.
        let end = asked.stops.iter().filter_map(|stop| Some(text.find(stop.as_str())? + stop.len())).min();
        if let Some(end) = end {
            text.truncate(end);
            token_ids.truncate(end);
        }
        // Those of a model: of the tokens so far, not of what was asked for.
        let mut hash = asked.prefix_ids.iter().fold(0, |hash, &id| chance(hash, u64::from(id)) + 7 * hash % 100_003);
        let mut logprob = |&id: &u32| {
            hash = chance(hash, u64::from(id)) + 7 * hash % 100_003;
            -0.02 - 0.01 * chance(hash, 1) as f32
        };
        let logprobs = token_ids.iter().map(&mut logprob).collect();
        Drawn { ids: token_ids, logprobs, text, is_stopped: end.is_some() || finish == Finish::Stop }
    }
}

/// A tokenizer with words among its tokens.
pub fn words() -> Tokenizer {
    let sentences = ["a prime number, once upon a time there was", "<plan><step>Plan 1: add 3 and 4</step></plan>"];
    Tokenizer::train_bpe(sentences, 320, &["<step>", "</step>"]).unwrap()
}

/// A number in 0..100 from the number of a request.
pub fn chance(seed: u64, number: u64) -> u64 {
    let hash = (number + 1000 * seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    (hash.wrapping_mul(0x94d0_49bb_1331_11eb) >> 32) % 100
}

/// An inventor that treats the prefixes of one problem, beyond their prompt or all of them, in its own way.
pub struct Picky {
    pub inventor: Arc<Inventor>,
    pub problem: &'static str,
    /// Status and message, else its answers are broken.
    pub refusal: Option<(u16, &'static str)>,
}

impl Picky {
    fn is_concerned(&self, asked: &Asked) -> bool {
        self.inventor.decode(&asked.prefix_ids).contains(self.problem)
    }
}

impl Brain for Picky {
    fn encode(&self, text: &str) -> Vec<u32> {
        self.inventor.encode(text)
    }

    fn decode(&self, ids: &[u32]) -> String {
        self.inventor.decode(ids)
    }

    fn draw(&self, asked: &Asked) -> Drawn {
        let drawn = self.inventor.draw(asked);
        let logprobs = if self.is_concerned(asked) { Vec::new() } else { drawn.logprobs };
        Drawn { logprobs, ..drawn }
    }

    fn refuses(&self, asked: &Asked) -> Option<(u16, &'static str)> {
        self.refusal.filter(|_| self.is_concerned(asked))
    }
}
