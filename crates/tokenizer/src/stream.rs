//! Text of a continuation while its tokens come, and the stop strings in it.
//!
//! A token is not a whole number of characters (byte-level BPE cuts inside UTF-8), and its text may depend on the token
//! before it (a SentencePiece space), so tokens are decoded in a *window*: the last tokens before the new ones stand in
//! it as context, and what the window's text grows by is new.
//!
//! ```text
//!        context      new
//!      ┌─────────┬───────────┐        decode(context)       "lan 1: "
//!  ... │ l an 1 :│ so ␣ma E2 │        decode(context + new) "lan 1: so ma\u{FFFD}"
//!      └─────────┴───────────┘        new text                      "so ma"   (E2 waits for the rest of its character)
//! ```

/// Tokens that stay in the window as context when it is moved on.
const CONTEXT_TOKENS: usize = 6;
/// The window is moved on when it is longer than this.
const WINDOW_TOKENS: usize = 24;
/// What decoders write for bytes that are no (complete) character.
const INCOMPLETE: char = char::REPLACEMENT_CHARACTER;

/// The text of one continuation so far.
pub(crate) struct TextStream {
    /// What the prefix has beyond its last stop string, then the continuation's own text.
    text: String,
    /// Bytes of the former.
    overhang: usize,
    /// Where in `text` the stop string ends that is complete.
    stop_end: Option<usize>,
    window: Vec<u32>,
    /// The part of the window's text that is in `text` already or belongs to the prefix.
    taken: String,
}

impl TextStream {
    /// A continuation of `prefix`, whose last `overhang` may be the beginning of a stop string.
    pub fn new(prefix: &[u32], overhang: &str, decode: impl Fn(&[u32]) -> String) -> TextStream {
        let window = prefix[prefix.len().saturating_sub(CONTEXT_TOKENS)..].to_vec();
        let taken = decode(&window);
        TextStream { text: overhang.to_owned(), overhang: overhang.len(), stop_end: None, window, taken }
    }

    /// Adds a token. True if a stop string is complete: it ends in this token's text, which may go on behind it.
    pub fn push(&mut self, token: u32, stops: &[String], decode: impl Fn(&[u32]) -> String) -> bool {
        self.window.push(token);
        let mut now = decode(&self.window);
        let complete = now.trim_end_matches(INCOMPLETE).len();
        let waiting = complete < now.len();
        now.truncate(complete);
        let before = self.text.len();
        self.take(now);
        if !waiting && self.window.len() > WINDOW_TOKENS {
            self.window.drain(..self.window.len() - CONTEXT_TOKENS);
            self.taken = decode(&self.window);
        }
        self.stop_end = first_stop(&self.text, before, stops);
        self.stop_end.is_some()
    }

    /// The continuation's text up to its last whole character.
    pub fn text(&self) -> &str {
        &self.text[self.overhang..]
    }

    /// Whether one of `stops` is the stop string that is complete.
    pub fn stopped_by(&self, stops: &[String]) -> bool {
        self.stop_end.is_some_and(|end| stops.iter().any(|stop| self.text[..end].ends_with(stop.as_str())))
    }

    /// The text of all tokens, with U+FFFD for a last character that stayed incomplete.
    pub fn finish(mut self, decode: impl Fn(&[u32]) -> String) -> String {
        self.take(decode(&self.window));
        self.text.split_off(self.overhang)
    }

    /// Appends what the window's text `now` holds beyond what was taken. Where the two differ before the end (the
    /// prefix ended inside a character that is now complete), all that differs is new.
    fn take(&mut self, now: String) {
        let same: usize = self
            .taken
            .chars()
            .zip(now.chars())
            .take_while(|(taken, now)| taken == now)
            .map(|(taken, _)| taken.len_utf8())
            .sum();
        self.text.push_str(&now[same..]);
        self.taken = now;
    }
}

/// The end of the stop string that is complete first, of those that end after byte `before`.
fn first_stop(text: &str, before: usize, stops: &[String]) -> Option<usize> {
    stops
        .iter()
        .filter(|stop| !stop.is_empty())
        .filter_map(|stop| {
            // Bytes, because the start may lie inside a character; a match of a whole string never does.
            let start = (before + 1).saturating_sub(stop.len());
            let found = text.as_bytes()[start..].windows(stop.len()).position(|part| part == stop.as_bytes())?;
            Some(start + found + stop.len())
        })
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A tokenizer of single bytes, as the base of a byte-level BPE, plus a few longer tokens.
    fn decode(ids: &[u32]) -> String {
        let long: [&[u8]; 4] = [b"</step>\n", b"</st", "é\u{20ac}".as_bytes(), b"ep> and"];
        let bytes: Vec<u8> = ids
            .iter()
            .flat_map(|&id| match id.checked_sub(256) {
                None => vec![id as u8],
                Some(index) => long[index as usize % 4].to_vec(),
            })
            .collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn stops(strings: &[&str]) -> Vec<String> {
        strings.iter().map(ToString::to_string).collect()
    }

    /// Feeds tokens until a stop; the text and how many tokens were used.
    fn run(prefix: &[u32], tokens: &[u32], stops: &[String]) -> (String, usize) {
        run_after(prefix, "", tokens, stops)
    }

    fn run_after(prefix: &[u32], overhang: &str, tokens: &[u32], stops: &[String]) -> (String, usize) {
        let mut stream = TextStream::new(prefix, overhang, decode);
        for (index, &token) in tokens.iter().enumerate() {
            if stream.push(token, stops, decode) {
                return (stream.finish(decode), index + 1);
            }
        }
        (stream.finish(decode), tokens.len())
    }

    #[test]
    fn stop_inside_and_across_tokens() {
        let stop = stops(&["</step>", "</solution>"]);
        // The token goes on after the stop, and so does the text.
        assert_eq!(run(b"x".map(u32::from).as_slice(), &[97, 256, 98], &stop), ("a</step>\n".into(), 2));
        // The stop begins in one token and ends in the next.
        assert_eq!(run(&[], &[97, 257, 259, 98], &stop), ("a</step> and".into(), 3));
        // One byte at a time.
        let bytes: Vec<u32> = b"</step </solution>more".iter().map(|&byte| byte.into()).collect();
        assert_eq!(run(&[], &bytes, &stop), ("</step </solution>".into(), 18));
        // Half of a stop in the prefix is no stop.
        let prefix: Vec<u32> = b"</st".iter().map(|&byte| byte.into()).collect();
        assert_eq!(run(&prefix, &[259], &stop), ("ep> and".into(), 1));
        assert_eq!(run(&prefix, &[259, 98], &stop), ("ep> andb".into(), 2));
        // It is, where it belongs to the continuation.
        assert_eq!(run_after(&prefix, "</st", &[259, 98], &stop), ("ep> and".into(), 1));
        // A stop string that is whole before the first token is that of the step before.
        assert_eq!(run_after(&prefix, "</step>", &[97, 98], &stop), ("ab".into(), 2));
    }

    #[test]
    fn what_ended_the_text_is_known() {
        let (steps, ends) = (stops(&["</step>", "step>\n"]), stops(&["</solution>", "\n"]));
        let mut stream = TextStream::new(&[], "", decode);
        assert!(!stream.push(97, &steps, decode) && !stream.stopped_by(&steps));
        assert!(stream.push(256, &steps, decode));
        assert!(stream.stopped_by(&steps) && !stream.stopped_by(&ends), "\"</step>\" is complete before \"\\n\"");
    }

    #[test]
    fn the_stop_that_is_complete_first_wins() {
        let mut stream = TextStream::new(&[], "", decode);
        assert!(stream.push(256, &stops(&["step>\n", "/step", "</step>"]), decode));
        assert!(stream.stopped_by(&stops(&["/step"])) && !stream.stopped_by(&stops(&["</step>"])));
    }

    #[test]
    fn a_stop_counts_although_half_a_character_follows_it() {
        // "b" completes the stop in the token before; the euro sign's first byte waits.
        assert_eq!(run(&[], &[97, 98, 0xe2], &stops(&["ab"])), ("ab".into(), 2));
        let both = |ids: &[u32]| if ids.is_empty() { String::new() } else { "ab\u{fffd}".to_owned() };
        let mut stream = TextStream::new(&[], "", both);
        assert!(stream.push(0, &stops(&["ab"]), both));
        assert_eq!(stream.finish(both), "ab\u{fffd}");
    }

    #[test]
    fn characters_across_tokens() {
        let euro: Vec<u32> = "5 €!".bytes().map(u32::from).collect();
        assert_eq!(run(&[], &euro, &stops(&["!"])), ("5 €!".into(), 6));
        // Cut inside the character.
        assert_eq!(run(&[], &euro[..4], &[]), ("5 \u{fffd}".into(), 4));
        // A prefix that was cut inside it: the character belongs to the continuation that completes it.
        assert_eq!(run(&euro[..4], &euro[4..], &[]), ("€!".into(), 2));
        // A prefix that really ends with U+FFFD keeps it.
        let prefix: Vec<u32> = "?\u{fffd}".bytes().map(u32::from).collect();
        assert_eq!(run(&prefix, &[97], &[]), ("a".into(), 1));
    }

    proptest! {
        /// Whatever the bytes, valid or not: the streamed text is the text of all tokens at once.
        #[test]
        fn streamed_text_is_the_decoded_text(
            prefix in "[a-z<é€]{0,12}",
            tokens in prop::collection::vec(prop_oneof![0_u32..260, 60_u32..70, 0xe0_u32..0xf8, 0x80_u32..0xc0], 0..120),
        ) {
            let prefix: Vec<u32> = prefix.bytes().map(u32::from).collect();
            let all: Vec<u32> = prefix.iter().chain(&tokens).copied().collect();
            let whole = decode(&all);
            let (text, used) = run(&prefix, &tokens, &[]);
            prop_assert_eq!(decode(&prefix) + &text, whole.clone());
            prop_assert_eq!(used, tokens.len());

            // With a stop: the text of the tokens up to the one that completes it.
            let stop = stops(&["<", "</st"]);
            let (text, used) = run(&prefix, &tokens, &stop);
            prop_assert_eq!(decode(&prefix) + &text, decode(&all[..prefix.len() + used]));
            if text.contains('<') {
                prop_assert!(!decode(&tokens[..used - 1]).contains('<'));
            } else {
                prop_assert_eq!(used, tokens.len());
            }
        }
    }
}
