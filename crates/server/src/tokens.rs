//! The sampled tokens in a server's answer: their ids and natural log-probabilities.
//!
//! Servers say which tokens they drew in four ways, tried in this order: ids beside the text (vLLM, SGLang), ids in
//! llama.cpp's list, `token_id:17` in place of a token's text (older vLLM), and texts (llama-cpp-python), which are looked
//! up in the vocabulary. A text that names no single token, such as half a character, is settled by encoding the whole
//! text; what is ambiguous even then is not guessed.

use crate::wire::{Choice, Logprobs};
use espalier_tokenizer::Tokenizer;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// Sampled tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tokens {
    pub ids: Vec<u32>,
    /// As long as `ids`.
    pub logprobs: Vec<f32>,
    /// Of each token, as far as the server lists them, the likeliest in its place with their natural log-probabilities, falling.
    pub alternatives: Vec<Vec<(u32, f32)>>,
}

/// Why a choice has no tokens to take.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// The answer is not what was asked for.
    Malformed(String),
    /// Its texts can be spelt by more than one sequence of tokens, or by none.
    Ambiguous(String),
}

/// A log-probability that is above 0 by more is no rounding.
const ABOVE_ZERO_NATS: f32 = 1e-3;
/// At least one token was asked for.
const NOTHING: &str = "it drew no token, and yet ended at the limit of tokens";

/// Takes tokens out of answers.
pub(crate) struct TokenReader {
    tokenizer: Arc<Tokenizer>,
    /// Ids by the text of the token alone; made when a server first answers in texts.
    by_text: OnceLock<HashMap<String, Vec<u32>>>,
}

impl TokenReader {
    pub fn new(tokenizer: Arc<Tokenizer>) -> TokenReader {
        TokenReader { tokenizer, by_text: OnceLock::new() }
    }

    /// The tokens of a choice. `stops` may have been cut off its text.
    pub fn read(&self, choice: &Choice, stops: &[String]) -> Result<Tokens, Unreadable> {
        let malformed = |problem: String| Err(Unreadable::Malformed(problem));
        let is_cut = choice.finish_reason.as_deref() == Some("length");
        let Some(listed) = &choice.logprobs else {
            // llama.cpp lists nothing where nothing was drawn.
            if choice.text.is_empty() && choice.token_ids.as_ref().is_none_or(Vec::is_empty) {
                return if is_cut { malformed(NOTHING.to_owned()) } else { Ok(Tokens::default()) };
            }
            return malformed(
                "it gives no log-probabilities of tokens (a server of llama-cpp-python wants --logits_all true)".into(),
            );
        };
        let (texts, logprobs) = lists(listed);
        let Some(logprobs) = logprobs.into_iter().collect::<Option<Vec<f32>>>() else {
            return malformed("it gives no log-probability for one of the tokens".into());
        };
        if let Some(logprob) = logprobs.iter().find(|logprob| !logprob.is_finite() || **logprob > ABOVE_ZERO_NATS) {
            return malformed(format!("a log-probability is {logprob}"));
        }
        let given = choice.token_ids.clone().or_else(|| ids_of_content(listed)).or_else(|| ids_of_marks(&texts));
        let ids = match given {
            Some(ids) => ids,
            None if texts.len() != logprobs.len() => Vec::new(),
            None => match self.ids_of_texts(&texts, &choice.text, stops) {
                Some(ids) => ids,
                None => {
                    let shown: String = texts.concat().chars().take(60).collect();
                    return Err(Unreadable::Ambiguous(format!("no one way to spell {shown:?} in tokens")));
                }
            },
        };
        if ids.len() != logprobs.len() {
            return malformed(format!("it gives {} tokens and {} log-probabilities", ids.len(), logprobs.len()));
        }
        let vocabulary = self.tokenizer.vocab_size();
        if let Some(id) = ids.iter().find(|&&id| id as usize >= vocabulary) {
            return malformed(format!("token {id} is not among the tokenizer's {vocabulary}"));
        }
        if ids.is_empty() && is_cut {
            return malformed(NOTHING.to_owned());
        }
        let spelt = self.tokenizer.decode(&ids);
        if !is_left_of(&choice.text, &spelt) {
            let shown = |text: &str| text.chars().take(60).collect::<String>();
            return malformed(format!("its text is {:?}, that of its tokens {:?}", shown(&choice.text), shown(&spelt)));
        }
        let alternatives = (0..ids.len()).map(|at| self.alternatives(listed, at)).collect();
        Ok(Tokens { ids, logprobs, alternatives })
    }

    /// The likeliest tokens in one place, of those that can be told from their texts.
    fn alternatives(&self, listed: &Logprobs, at: usize) -> Vec<(u32, f32)> {
        let mut found = Vec::new();
        if let Some(objects) = listed.content.as_ref().and_then(|content| content.get(at)?.alternatives.as_array()) {
            let of = |one: &Value| Some((one["id"].as_u64()?.try_into().ok()?, one["logprob"].as_f64()? as f32));
            found.extend(objects.iter().filter_map(of));
        } else if let Some(texts) = listed.alternatives.get(at).and_then(Value::as_object) {
            let of = |(text, logprob): (&String, &Value)| {
                let marked = text.strip_prefix("token_id:").map(|id| id.parse().ok());
                Some((marked.unwrap_or_else(|| self.only_id(text))?, logprob.as_f64()? as f32))
            };
            found.extend(texts.iter().filter_map(of));
        }
        found.retain(|&(id, logprob)| (id as usize) < self.tokenizer.vocab_size() && logprob <= ABOVE_ZERO_NATS);
        found.sort_by(|(first, a), (second, b)| b.total_cmp(a).then(first.cmp(second)));
        found
    }

    /// The token that has this text, if there is only one.
    fn only_id(&self, text: &str) -> Option<u32> {
        match self.by_text.get_or_init(|| ids_by_text(&self.tokenizer)).get(text)?.as_slice() {
            [id] => Some(*id),
            _ => None,
        }
    }

    fn ids_of_texts(&self, texts: &[String], text: &str, stops: &[String]) -> Option<Vec<u32>> {
        let by_text = self.by_text.get_or_init(|| ids_by_text(&self.tokenizer));
        let choices: Vec<&[u32]> = texts.iter().map(|text| by_text.get(text).map_or(&[][..], Vec::as_slice)).collect();
        if choices.iter().all(|ids| ids.len() == 1) {
            return Some(choices.iter().map(|ids| ids[0]).collect());
        }
        // Characters of several tokens are missing from the texts, the stop string from the text.
        let joined = texts.concat();
        let restored =
            stops.iter().filter_map(|stop| Some(format!("{text}{}", &joined[joined.rfind(stop.as_str())?..])));
        [text.to_owned(), joined.clone()].into_iter().chain(restored).find_map(|whole| {
            let ids = self.tokenizer.encode(&whole).ok()?;
            let fits = |(id, choices): (&u32, &&[u32])| choices.is_empty() || choices.contains(id);
            (ids.len() == choices.len() && ids.iter().zip(&choices).all(fits)).then_some(ids)
        })
    }
}

/// Whether a text is what is left of that of its tokens when some are left out: servers write neither all special tokens
/// nor the stop string, and differ in spaces and in halves of characters.
fn is_left_of(text: &str, spelt: &str) -> bool {
    let matters = |character: &char| !character.is_whitespace() && *character != char::REPLACEMENT_CHARACTER;
    let mut spelt = spelt.chars().filter(matters);
    text.chars().filter(matters).all(|character| spelt.any(|other| other == character))
}

/// Texts and log-probabilities, from whichever list there is.
fn lists(listed: &Logprobs) -> (Vec<String>, Vec<Option<f32>>) {
    match &listed.content {
        Some(content) => content.iter().map(|token| (token.token.clone(), token.logprob)).unzip(),
        None => (listed.tokens.clone().unwrap_or_default(), listed.of_tokens.clone().unwrap_or_default()),
    }
}

fn ids_of_content(listed: &Logprobs) -> Option<Vec<u32>> {
    listed.content.as_ref()?.iter().map(|token| token.id).collect()
}

fn ids_of_marks(texts: &[String]) -> Option<Vec<u32>> {
    texts.iter().map(|text| text.strip_prefix("token_id:")?.parse().ok()).collect()
}

fn ids_by_text(tokenizer: &Tokenizer) -> HashMap<String, Vec<u32>> {
    let mut by_text: HashMap<String, Vec<u32>> = HashMap::new();
    for id in 0..tokenizer.vocab_size() as u32 {
        let text = tokenizer.decode(&[id]);
        if !text.is_empty() && !text.contains(char::REPLACEMENT_CHARACTER) {
            by_text.entry(text).or_default().push(id);
        }
    }
    by_text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reader() -> TokenReader {
        let sentences = ["Größe: 5 € für 2 Äpfel", "the total and the rest of the total", "</step> the step"];
        TokenReader::new(Arc::new(Tokenizer::train_bpe(sentences, 300, &["</step>"]).unwrap()))
    }

    fn read(reader: &TokenReader, choice: Value, stops: &[&str]) -> Result<Tokens, Unreadable> {
        let stops: Vec<String> = stops.iter().map(ToString::to_string).collect();
        reader.read(&serde_json::from_value(choice).unwrap(), &stops)
    }

    /// What llama-cpp-python writes for a token: its bytes, without those that make no character.
    fn shown(reader: &TokenReader, ids: &[u32]) -> Vec<String> {
        ids.iter().map(|&id| reader.tokenizer.decode(&[id]).replace(char::REPLACEMENT_CHARACTER, "")).collect()
    }

    #[test]
    fn every_server_s_way_gives_the_same_tokens() {
        let reader = reader();
        let text = "the total</step>";
        let ids = reader.tokenizer.encode(text).unwrap();
        let logprobs: Vec<f32> = (0..ids.len()).map(|i| -0.25 * i as f32).collect();
        let alternatives = vec![Vec::new(); ids.len()];
        let expected = Ok(Tokens { ids: ids.clone(), logprobs: logprobs.clone(), alternatives });
        let texts = shown(&reader, &ids);
        let marks: Vec<String> = ids.iter().map(|id| format!("token_id:{id}")).collect();
        let content: Vec<Value> = ids
            .iter()
            .zip(&logprobs)
            .map(|(id, logprob)| json!({ "id": id, "token": "x", "logprob": logprob, "top_logprobs": [] }))
            .collect();
        let answers = [
            json!({ "text": text, "token_ids": ids, "logprobs": { "tokens": texts, "token_logprobs": logprobs } }),
            json!({ "text": text, "logprobs": { "content": content } }),
            json!({ "text": text, "logprobs": { "tokens": marks, "token_logprobs": logprobs, "text_offset": [0] } }),
            json!({ "text": "the total", "logprobs": { "tokens": texts, "token_logprobs": logprobs } }),
        ];
        for answer in answers {
            assert_eq!(read(&reader, answer.clone(), &["</step>"]), expected, "{answer}");
        }
    }

    #[test]
    fn characters_of_several_tokens_are_settled_by_the_whole_text() {
        let reader = reader();
        let text = "5 € the ☃ rest</step>";
        let ids = reader.tokenizer.encode(text).unwrap();
        let texts = shown(&reader, &ids);
        assert!(texts.contains(&String::new()), "{texts:?} has a token of no whole character");
        let logprobs = vec![-1.0; ids.len()];
        for text in [text, "5 € the ☃ rest"] {
            let answer = json!({ "text": text, "logprobs": { "tokens": texts, "token_logprobs": logprobs } });
            assert_eq!(read(&reader, answer, &["</step>"]).unwrap().ids, ids);
        }
        // Another number of tokens than the tokenizer's own way to write the text: not guessed.
        let texts = [&texts[..], &[String::new()]].concat();
        let answer =
            json!({ "text": text, "logprobs": { "tokens": texts, "token_logprobs": vec![-1.0; texts.len()] } });
        assert!(matches!(read(&reader, answer, &[]), Err(Unreadable::Ambiguous(_))));
    }

    #[test]
    fn a_spelling_that_the_tokenizer_would_not_choose_is_kept() {
        let reader = reader();
        let ids: Vec<u32> = "the".chars().map(|c| reader.tokenizer.token_id(&c.to_string()).unwrap()).collect();
        assert_ne!(reader.tokenizer.encode("the").unwrap(), ids);
        let answer =
            json!({ "text": "the", "logprobs": { "tokens": ["t", "h", "e"], "token_logprobs": [-1, -1, -1] } });
        assert_eq!(read(&reader, answer, &[]).unwrap().ids, ids);
    }

    #[test]
    fn the_likeliest_tokens_are_read_in_every_server_s_way() {
        let reader = reader();
        let ids = reader.tokenizer.encode("the total").unwrap();
        let [first, other] = [ids[0], reader.tokenizer.token_id("t").unwrap()];
        let logprobs: Vec<f32> = ids.iter().map(|_| -0.5).collect();
        let expected = vec![(first, -0.5), (other, -1.5)];
        let texts = shown(&reader, &ids);
        let by_text = json!([{ "t": -1.5, texts[0].as_str(): -0.5, "no such token": -0.1 }]);
        let by_id =
            json!([{ format!("token_id:{other}"): -1.5, format!("token_id:{first}"): -0.5, "token_id:9999": -0.2 }]);
        let one = |id: u32, logprob: f32| json!({ "id": id, "token": "x", "logprob": logprob });
        let content: Vec<Value> = ids
            .iter()
            .map(|&id| json!({ "id": id, "logprob": -0.5, "top_logprobs": [one(other, -1.5), one(first, -0.5)] }))
            .collect();
        for listed in [
            json!({ "tokens": texts, "token_logprobs": logprobs, "top_logprobs": by_text }),
            json!({ "tokens": texts, "token_logprobs": logprobs, "top_logprobs": by_id }),
            json!({ "content": content }),
        ] {
            let answer = json!({ "text": "the total", "token_ids": ids, "logprobs": listed });
            assert_eq!(read(&reader, answer.clone(), &[]).unwrap().alternatives[0], expected, "{answer}");
        }
        for odd in [json!(null), json!(7), json!([[]]), json!([{ "t": "x" }]), json!({ "0": { "t": -1.0 } })] {
            let listed = json!({ "tokens": texts, "token_logprobs": logprobs, "top_logprobs": odd });
            let answer = json!({ "text": "the total", "token_ids": ids, "logprobs": listed });
            assert_eq!(read(&reader, answer.clone(), &[]).unwrap().alternatives[0], [], "{answer}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let reader = reader();
        let cases = [
            (json!({ "text": "the" }), "no log-probabilities"),
            (json!({ "text": "the", "logprobs": { "tokens": ["the"], "token_logprobs": [null] } }), "for one of"),
            (json!({ "text": "the", "token_ids": [1, 2], "logprobs": { "token_logprobs": [-1.0] } }), "2 tokens and 1"),
            (json!({ "text": "the", "token_ids": [1, 2], "logprobs": { "token_logprobs": [-1.0, 0.5] } }), "is 0.5"),
            (json!({ "text": "?!", "token_ids": [1, 2], "logprobs": { "token_logprobs": [-1.0, -0.5] } }), "\"?!\""),
            (json!({ "text": "", "finish_reason": "length" }), "no token"),
            (
                json!({ "text": "", "finish_reason": "length", "logprobs": { "tokens": [], "token_logprobs": [] } }),
                "no token",
            ),
            (json!({ "text": "the", "token_ids": [9999], "logprobs": { "token_logprobs": [-1.0] } }), "9999"),
        ];
        for (answer, words) in cases {
            let Err(Unreadable::Malformed(problem)) = read(&reader, answer, &[]) else { panic!("{words}") };
            assert!(problem.contains(words), "{problem}");
        }
        assert_eq!(read(&reader, json!({ "text": "" }), &[]), Ok(Tokens::default()));
    }
}
