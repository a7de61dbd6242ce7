//! Tokens that follow a prefix, one after the other, up to where they end.

use crate::stream::TextStream;
use crate::tokenizer::Tokenizer;

/// What ends a continuation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A stop string is complete; the text ends with that string, although its last token may go on.
    StopString,
    /// A token that ends texts.
    EndOfText,
    /// The limit on tokens.
    Length,
}

/// A continuation of a prefix: the rule of where a candidate ends, for tokens from whatever source.
///
/// ```
/// use espalier_tokenizer::{Continuation, End, Tokenizer};
///
/// let tokenizer = Tokenizer::train_bpe(["<step>6 + 7 = 13</step>"; 3], 300, &["<step>", "</step>"])?;
/// let stops = ["</step>".to_owned()];
/// let mut continuation = Continuation::new(&tokenizer.encode("<step>6")?, &tokenizer);
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
    /// A continuation of these tokens, without a token yet.
    pub fn new(prefix_ids: &[u32], tokenizer: &Tokenizer) -> Continuation {
        let stream = TextStream::new(prefix_ids, |ids| tokenizer.decode(ids));
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

    /// What ended the continuation, if it has ended.
    pub fn end(&self) -> Option<End> {
        self.end
    }

    /// The text and the tokens. The text leaves out the token that ended it, and what the last token of a stop string has
    /// beyond that string.
    pub fn into_parts(mut self, tokenizer: &Tokenizer) -> (String, Vec<u32>) {
        let text = match self.end {
            Some(End::StopString) => self.stream.cut(),
            _ => self.stream.finish(|ids| tokenizer.decode(ids)),
        };
        (text, self.token_ids)
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
        let mut continuation = Continuation::new(&tokenizer.encode("6").unwrap(), &tokenizer);
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
        // The text is cut inside its last token, which stays.
        assert_eq!(run(" + 7</step>", &["</st"], 9), (Some(End::StopString), " + 7</st".into(), 4));
    }
}
