//! Tokens that follow a prefix, one after the other, up to where they end.

use crate::stream::TextStream;
use crate::tokenizer::Tokenizer;

/// What ends a continuation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A stop string is complete. The last token may go on behind it, and then the text does.
    StopString,
    /// A token that ends texts.
    EndOfText,
    /// The limit on tokens.
    Length,
}

/// A continuation of a prefix: the rule of where a candidate ends, for tokens from whatever source.
///
/// A continuation is of whole tokens: its text is what they say, and whoever goes on from it goes on from all of it. What the
/// last one has beyond the stop string, as the `<` of `><` behind `</step`, is the *overhang*, with which the next step
/// begins; a stop string may begin in it.
///
/// ```
/// use espalier_tokenizer::{Continuation, End, Tokenizer};
///
/// let tokenizer = Tokenizer::train_bpe(["<step>6 + 7 = 13</step>"; 3], 300, &["<step>", "</step>"])?;
/// let stops = ["</step>".to_owned()];
/// let mut continuation = Continuation::new(&tokenizer.encode("<step>6")?, "", &tokenizer);
/// for id in tokenizer.encode(" + 7</step>")? {
///     continuation.push(id, &stops, 20, &tokenizer);
/// }
/// assert_eq!(continuation.end(), Some(End::StopString));
/// assert_eq!(continuation.into_parts(&tokenizer).0, " + 7</step>");
/// # Ok::<(), espalier_tokenizer::TokenizerError>(())
/// ```
pub struct Continuation {
    token_ids: Vec<u32>,
    stream: TextStream,
    end: Option<End>,
}

impl Continuation {
    /// A continuation of these tokens, without a token yet. The `overhang` is the end of their text.
    pub fn new(prefix_ids: &[u32], overhang: &str, tokenizer: &Tokenizer) -> Continuation {
        let stream = TextStream::new(prefix_ids, overhang, |ids| tokenizer.decode(ids));
        Continuation { token_ids: Vec::new(), stream, end: None }
    }

    /// Adds a token to a continuation that has not ended. Says whether it ends here: with a token that ends texts, else
    /// at the first of `stops` that is complete, else at `max_tokens` tokens.
    pub fn push(&mut self, token: u32, stops: &[String], max_tokens: usize, tokenizer: &Tokenizer) -> Option<End> {
        self.token_ids.push(token);
        self.end = if tokenizer.eos_ids().contains(&token) {
            Some(End::EndOfText)
        } else if self.stream.push(token, stops, |ids| tokenizer.decode(ids)) {
            Some(End::StopString)
        } else if self.token_ids.len() >= max_tokens {
            Some(End::Length)
        } else {
            None
        };
        self.end
    }

    /// The tokens so far.
    pub fn token_ids(&self) -> &[u32] {
        &self.token_ids
    }

    /// The text so far, up to the last character that is whole. It only grows, and
    /// [`into_parts`](Self::into_parts) begins with it.
    pub fn text(&self) -> &str {
        self.stream.text()
    }

    /// What ended the continuation, if it has ended.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// Whether one of `stops` ended the continuation.
    pub fn stopped_by(&self, stops: &[String]) -> bool {
        self.stream.stopped_by(stops)
    }

    /// The text and the tokens. The text is that of the tokens; one that ends texts has none.
    pub fn into_parts(self, tokenizer: &Tokenizer) -> (String, Vec<u32>) {
        (self.stream.finish(|ids| tokenizer.decode(ids)), self.token_ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer() -> Tokenizer {
        Tokenizer::train_bpe(["<step>6 + 7 = 13</step>"; 3], 300, &["</step>"]).unwrap()
    }

    /// Feeds the tokens of `text`, and then the end-of-text token, until the end.
    fn run(text: &str, stops: &[&str], max_tokens: usize) -> (Option<End>, String, usize) {
        let tokenizer = tokenizer();
        let stops: Vec<String> = stops.iter().map(ToString::to_string).collect();
        let mut continuation = Continuation::new(&tokenizer.encode("6").unwrap(), "", &tokenizer);
        for id in tokenizer.encode(text).unwrap().into_iter().chain(tokenizer.eos_id()) {
            if continuation.push(id, &stops, max_tokens, &tokenizer).is_some() {
                break;
            }
        }
        let (end, count) = (continuation.end(), continuation.token_ids().len());
        (end, continuation.into_parts(&tokenizer).0, count)
    }

    #[test]
    fn a_continuation_ends_at_a_stop_an_end_token_or_the_limit() {
        // " +", " ", "7", "</step>": four tokens, then the one that ends texts, which has no text.
        assert_eq!(run(" + 7</step>", &["</step>"], 9), (Some(End::StopString), " + 7</step>".into(), 4));
        assert_eq!(run(" + 7</step>", &["never"], 9), (Some(End::EndOfText), " + 7</step>".into(), 5));
        assert_eq!(run(" + 7</step>", &["</step>"], 3), (Some(End::Length), " + 7".into(), 3));
        // The stop string wins over the limit, and the token that ends texts over both.
        assert_eq!(run(" + 7</step>", &["</step>"], 4).0, Some(End::StopString));
        assert_eq!(run(" + 7</step>", &[], 5).0, Some(End::EndOfText));
        // The stop ends inside the last token, which stays whole.
        assert_eq!(run(" + 7</step>", &["</st"], 9), (Some(End::StopString), " + 7</step>".into(), 4));
    }

    #[test]
    fn the_text_so_far_grows_by_whole_characters_to_the_text() {
        let tokenizer = tokenizer();
        let mut continuation = Continuation::new(&tokenizer.encode("6").unwrap(), "6", &tokenizer);
        let mut seen = vec![String::new()];
        for id in
            tokenizer.encode("5 € für 2").unwrap().into_iter().chain(tokenizer.encode("€").unwrap().first().copied())
        {
            continuation.push(id, &[], 99, &tokenizer);
            assert!(continuation.text().starts_with(seen.last().unwrap().as_str()));
            seen.push(continuation.text().to_owned());
        }
        assert!(seen.contains(&"5 ".to_owned()) && seen.contains(&"5 €".to_owned()), "{seen:?}");
        let text = continuation.into_parts(&tokenizer).0;
        // A last character that stayed incomplete is no part of the text so far.
        assert_eq!((text.as_str(), seen.last().unwrap().as_str()), ("5 € für 2\u{fffd}", "5 € für 2"));
    }

    #[test]
    fn tokens_that_span_two_tags_stay_whole_and_the_next_step_begins_in_them() {
        // As GPT-2 and Llama 3 have them.
        let tokenizer = Tokenizer::train_bpe(["step"; 3], 300, &["</step", "><", ">\n"]).unwrap();
        let ids =
            |names: &[&str]| -> Vec<u32> { names.iter().flat_map(|name| tokenizer.encode(name).unwrap()).collect() };
        let stops = ["</step>".to_owned(), "</plan>".to_owned()];
        let run = |prefix: &[u32], overhang: &str, ids: &[u32]| {
            let mut continuation = Continuation::new(prefix, overhang, &tokenizer);
            let ends: Vec<_> = ids.iter().map(|&id| continuation.push(id, &stops, 99, &tokenizer)).collect();
            let (text, ids) = continuation.into_parts(&tokenizer);
            assert_eq!(tokenizer.decode(&[prefix, &ids].concat()), tokenizer.decode(prefix) + &text);
            (text, ends.iter().position(Option::is_some))
        };
        let first = ids(&["a", "</step", "><"]);
        assert_eq!(run(&[], "", &first), ("a</step><".into(), Some(2)));
        assert_eq!(run(&[], "", &ids(&["a", "</step", ">\n"])), ("a</step>\n".into(), Some(2)));
        // "</plan>" begins in the step before.
        let second = ids(&["/", "p", "l", "a", "n", "><"]);
        assert_eq!(run(&first, "<", &second), ("/plan><".into(), Some(5)));
        assert_eq!(run(&first, "", &second), ("/plan><".into(), None));
    }
}
