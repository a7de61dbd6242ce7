//! Inputs near to valid ones: what a disk, an editor, another program or an adversary makes of a file.

use espalier_files::seed_from;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::ops::Range;

/// Accepted inputs that are kept beside the seeds, to go on from.
const KEPT: usize = 64;
/// An input is at most so many times as long as the longest seed, or [`SHORT`] bytes.
const GROWTH: usize = 4;
const SHORT: usize = 2048;

/// Numbers at which programs turn: bounds of types, of floats, of sizes, and what is none.
const NUMBERS: [&str; 24] = [
    "0",
    "-0",
    "1",
    "-1",
    "2",
    "127",
    "128",
    "255",
    "256",
    "32768",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "0.1",
    "1e-320",
    "1e38",
    "1e309",
    "123456789012345678901234567890123456789",
];
/// Texts that are legal in most places and rarely expected.
const TEXTS: [&str; 16] =
    ["", " ", "\n", "\0", "\"", "\\", "null", "true", "[]", "{}", "NaN", "inf", "é", "\u{1b}[2J", "😀", "\u{202e}"];

/// Makes inputs out of seeds, the same ones from the same seed.
pub struct Mutator {
    random: ChaCha8Rng,
    seeds: Vec<Vec<u8>>,
    /// Number of the seeds that were given; those behind are inputs that were accepted.
    given: usize,
    words: Vec<&'static str>,
    longest: usize,
}

impl Mutator {
    /// A mutator of valid inputs, with words of their format.
    pub fn new(name: &str, seed: u64, seeds: Vec<Vec<u8>>, words: &[&'static str]) -> Mutator {
        let longest = seeds.iter().map(Vec::len).max().unwrap_or_default();
        Mutator {
            random: ChaCha8Rng::seed_from_u64(seed_from(&[&"fuzz", &name, &seed])),
            given: seeds.len(),
            seeds,
            words: words.to_vec(),
            longest: (longest * GROWTH).max(SHORT),
        }
    }

    /// The next input: a seed, changed once to five times.
    pub fn draw(&mut self) -> Vec<u8> {
        let mut input = self.seed().clone();
        // Half of the inputs are one change away from what is valid: only those come far.
        let changes = if self.random.random_bool(0.5) { 1 } else { self.random.random_range(2..6) };
        for _ in 0..changes {
            self.change(&mut input);
        }
        input.truncate(self.longest);
        input
    }

    /// Keeps some of the accepted inputs, to change them further.
    pub fn accepted(&mut self, input: Vec<u8>) {
        if self.random.random_range(0..16) != 0 {
            return;
        }
        if self.seeds.len() < self.given + KEPT {
            self.seeds.push(input);
        } else {
            let place = self.given + self.below(KEPT);
            self.seeds[place] = input;
        }
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        match self.random.random_range(0..14) {
            0 => self.flip_bit(input),
            1 => self.set_byte(input),
            2 => drop(input.drain(self.range(input.len()))),
            3 => self.repeat(input),
            4 => self.move_range(input),
            5 => self.splice(input),
            6 | 7 => self.insert_word(input),
            8 | 9 => self.set_number(input),
            10 => self.set_integer(input),
            11 => self.graft(input),
            12 => self.nest(input),
            _ => self.drop_group(input),
        }
    }

    fn seed(&mut self) -> &Vec<u8> {
        // What was accepted may be far from what is valid by now, and is most of all.
        let among = if self.random.random_bool(0.5) { self.given } else { self.seeds.len() };
        let place = self.below(among);
        &self.seeds[place]
    }

    /// A number below `bound`, 0 where there is none.
    fn below(&mut self, bound: usize) -> usize {
        self.random.random_range(0..bound.max(1))
    }

    /// Short ranges more often than long ones.
    fn range(&mut self, len: usize) -> Range<usize> {
        let start = self.below(len + 1);
        let most = if self.random.random_bool(0.8) { 8 } else { len };
        let end = (start + self.below(most + 1)).min(len);
        start..end
    }

    fn flip_bit(&mut self, input: &mut [u8]) {
        let (place, bit) = (self.below(input.len()), self.below(8));
        if let Some(byte) = input.get_mut(place) {
            *byte ^= 1 << bit;
        }
    }

    fn set_byte(&mut self, input: &mut [u8]) {
        let (place, value) = (self.below(input.len()), self.random.random());
        if let Some(byte) = input.get_mut(place) {
            *byte = value;
        }
    }

    fn repeat(&mut self, input: &mut Vec<u8>) {
        let range = self.range(input.len());
        let times = [1, 2, 3, 40, 500][self.below(5)].min(self.longest / range.len().max(1));
        let copies = input[range.clone()].repeat(times);
        input.splice(range.end..range.end, copies);
    }

    fn move_range(&mut self, input: &mut Vec<u8>) {
        let moved: Vec<u8> = input.drain(self.range(input.len())).collect();
        let to = self.below(input.len() + 1);
        input.splice(to..to, moved);
    }

    /// The beginning of the input and the end of another seed.
    fn splice(&mut self, input: &mut Vec<u8>) {
        let other = self.seed().clone();
        let (cut, from) = (self.below(input.len() + 1), self.below(other.len() + 1));
        input.truncate(cut);
        input.extend(&other[from..]);
    }

    fn insert_word(&mut self, input: &mut Vec<u8>) {
        let all = self.words.len() + TEXTS.len();
        let chosen = self.below(all);
        let word = self.words.get(chosen).copied().unwrap_or_else(|| TEXTS[chosen - self.words.len()]);
        let at = self.below(input.len() + 1);
        // In the place of as much, or between.
        let end = if self.random.random_bool(0.3) { (at + word.len()).min(input.len()) } else { at };
        input.splice(at..end, word.bytes());
    }

    /// A number in text becomes another.
    fn set_number(&mut self, input: &mut Vec<u8>) {
        let is_digit = |byte: &u8| byte.is_ascii_digit();
        let from = self.below(input.len());
        let Some(start) = input.iter().skip(from).position(is_digit).map(|digits| from + digits) else { return };
        let digits = input[start..].iter().take_while(|byte| is_digit(byte)).count();
        let number = NUMBERS[self.below(NUMBERS.len())];
        input.splice(start..start + digits, number.bytes());
    }

    /// A binary integer becomes a bound of its type, or one more or less.
    fn set_integer(&mut self, input: &mut [u8]) {
        let width = [1, 2, 4, 8][self.below(4)];
        let place = self.below(input.len());
        let values = [0, 1, u64::MAX, u64::MAX >> 1, 1 << 31, 1 << 40, input.len() as u64];
        let value = match self.below(values.len() + 2) {
            0 => input.get(place).map_or(0, |&byte| u64::from(byte) + 1),
            1 => input.get(place).map_or(0, |&byte| u64::from(byte).wrapping_sub(1)),
            chosen => values[chosen - 2],
        };
        let mut bytes = value.to_le_bytes();
        if self.random.random_bool(0.2) {
            bytes[..width].reverse();
        }
        for (byte, value) in input.iter_mut().skip(place).zip(&bytes[..width]) {
            *byte = *value;
        }
    }

    /// A group (a quoted text, a bracket with what it holds, a word) becomes one of another seed.
    fn graft(&mut self, input: &mut Vec<u8>) {
        let other = self.seed().clone();
        let (to, from) = (self.group(input), self.group(&other));
        input.splice(to, other[from].iter().copied());
    }

    fn drop_group(&mut self, input: &mut Vec<u8>) {
        let group = self.group(input);
        input.drain(group);
    }

    /// Brackets in brackets.
    fn nest(&mut self, input: &mut Vec<u8>) {
        const PAIRS: [[&str; 2]; 7] =
            [["[", "]"], ["{\"a\":", "}"], ["(", ")"], ["{", "}"], ["\\frac{", "}{2}"], ["<a>", "</a>"], ["-", ""]];
        let [open, close] = PAIRS[self.below(PAIRS.len())];
        let depth = [1, 3, 20, 200, 5000][self.below(5)].min(self.longest / (open.len() + close.len()));
        let group = self.group(input);
        input.splice(group.end..group.end, close.repeat(depth).into_bytes());
        input.splice(group.start..group.start, open.repeat(depth).into_bytes());
    }

    fn group(&mut self, text: &[u8]) -> Range<usize> {
        let from = self.below(text.len());
        let opens = |byte: &u8| matches!(byte, b'"' | b'[' | b'{' | b'(') || byte.is_ascii_alphanumeric();
        let Some(start) = text.iter().skip(from).position(opens).map(|more| from + more) else {
            return self.range(text.len());
        };
        start..start + group_len(&text[start..])
    }
}

/// Bytes of the group that begins a text.
fn group_len(text: &[u8]) -> usize {
    let close = match text[0] {
        b'[' => b']',
        b'{' => b'}',
        b'(' => b')',
        b'"' => {
            let end = text.iter().skip(1).position(|&byte| byte == b'"');
            return end.map_or(text.len(), |end| end + 2);
        }
        _ => return text.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'.').count(),
    };
    let mut depth = 0_usize;
    for (place, &byte) in text.iter().enumerate() {
        depth += usize::from(byte == text[0]);
        depth -= usize::from(byte == close);
        if depth == 0 {
            return place + 1;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(seed: u64) -> Vec<Vec<u8>> {
        let seeds = vec![b"{\"a\": [1, 20], \"b\": \"text\"}".to_vec(), b"[(x), 3.5]".to_vec()];
        let mut mutator = Mutator::new("test", seed, seeds, &["word"]);
        let draw = |_| {
            let input = mutator.draw();
            mutator.accepted(input.clone());
            input
        };
        (0..20_000).map(draw).collect()
    }

    #[test]
    fn inputs_depend_on_the_seed_alone_and_stay_within_bounds() {
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
        assert!(inputs(1).iter().all(|input| input.len() <= SHORT));
    }

    #[test]
    fn a_group_ends_where_its_bracket_is_closed() {
        for (text, group) in [
            ("[1, [2], 3] rest", "[1, [2], 3]"),
            ("\"a b\", c", "\"a b\""),
            ("(open", "(open"),
            ("12.5, 7", "12.5"),
            ("{}", "{}"),
        ] {
            assert_eq!(group_len(text.as_bytes()), group.len(), "{text}");
        }
    }

    #[test]
    fn inputs_are_mostly_new_and_some_are_one_change_away() {
        let mut all = inputs(3);
        let near = all.iter().filter(|input| input.starts_with(b"{\"a\": [1, 20]")).count();
        // One in two from what was given, of that one in two of this seed, one in two changed once, one in two behind this.
        assert!(near > 20_000 / 16, "{near}");
        all.sort();
        all.dedup();
        assert!(all.len() > 15_000, "{}", all.len());
    }
}
