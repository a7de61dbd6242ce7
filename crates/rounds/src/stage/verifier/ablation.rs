//! What of a state a verifier looks at: the same states with a part of the steps' text taken away, the question staying as it
//! is. After arXiv:2412.15904, which trains a judge without such a part; here the one verifier reads without it.

use anyhow::Result;
use espalier_tokenizer::Tokenizer;
use espalier_tree::{NodeId, Tree};

/// What is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ablation {
    /// The steps before the last.
    StepAlone,
    /// All words, but for tags, commands and single letters: what is left is mathematics.
    MathematicsOnly,
    /// Each such word, by a mark in its place.
    WordsMasked,
    /// Each number, by 0 in its place.
    NumbersMasked,
}

impl Ablation {
    pub const ALL: [Ablation; 4] =
        [Ablation::StepAlone, Ablation::MathematicsOnly, Ablation::WordsMasked, Ablation::NumbersMasked];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Ablation::StepAlone => "step_alone",
            Ablation::MathematicsOnly => "mathematics_only",
            Ablation::WordsMasked => "words_masked",
            Ablation::NumbersMasked => "numbers_masked",
        }
    }

    /// A step's text without it.
    fn of_text(self, text: &str) -> String {
        let parts = parts(text).into_iter();
        match self {
            Ablation::StepAlone => text.to_owned(),
            Ablation::MathematicsOnly => {
                let left: String = parts.filter(|(part, _)| *part != Part::Word).map(|(_, text)| text).collect();
                // Where words stood, one space stays of two.
                left.split(' ').filter(|piece| !piece.is_empty()).collect::<Vec<_>>().join(" ")
            }
            Ablation::WordsMasked => parts.map(|(part, text)| if part == Part::Word { "_" } else { text }).collect(),
            Ablation::NumbersMasked => {
                parts.map(|(part, text)| if part == Part::Number { "0" } else { text }).collect()
            }
        }
    }

    /// Tokens and ends of the state after each node of a tree, by node. Changed steps are encoded behind what precedes them.
    pub fn states(self, tree: &Tree, tokenizer: &Tokenizer) -> Result<Vec<(Vec<u32>, Vec<u32>)>> {
        let prompt = tree.token_ids(NodeId::ROOT);
        let mut states: Vec<(Vec<u32>, Vec<u32>)> = Vec::with_capacity(tree.len());
        let mut texts: Vec<String> = Vec::with_capacity(tree.len());
        for id in tree.ids() {
            let Some(parent) = tree.parent(id).map(|parent| parent.0 as usize) else {
                states.push((prompt.to_vec(), vec![prompt.len() as u32]));
                texts.push(tree.text(id).to_owned());
                continue;
            };
            let (mut ids, mut ends);
            if self == Ablation::StepAlone {
                (ids, ends) = states[0].clone();
                ids.extend_from_slice(tree.token_ids(id));
                texts.push(String::new());
            } else {
                (ids, ends) = states[parent].clone();
                let text = self.of_text(tree.text(id));
                ids.extend(tokenizer.encode_after(&texts[parent], &ids, &text)?);
                texts.push(format!("{}{text}", texts[parent]));
            }
            // Of a step of words alone nothing may be left.
            if ends.last().is_none_or(|&last| (last as usize) < ids.len()) {
                ends.push(ids.len() as u32);
            }
            states.push((ids, ends));
        }
        Ok(states)
    }
}

/// What a part of a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Letters, two or more.
    Word,
    /// Digits.
    Number,
    /// A tag, a command of LaTeX, a single letter, a sign, space.
    Other,
}

/// A text cut into its parts.
fn parts(text: &str) -> Vec<(Part, &str)> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let run = |from: usize, fits: fn(char) -> bool| {
            rest[from..].find(|c: char| !fits(c)).map_or(rest.len(), |length| from + length)
        };
        let (part, end) = match first {
            '<' => match rest.find('>').filter(|&end| is_tag(&rest[1..end])) {
                Some(end) => (Part::Other, end + 1),
                None => (Part::Other, 1),
            },
            '\\' => (Part::Other, run(1, char::is_alphabetic)),
            c if c.is_alphabetic() => {
                let end = run(0, char::is_alphabetic);
                (if end > c.len_utf8() { Part::Word } else { Part::Other }, end)
            }
            c if c.is_ascii_digit() => (Part::Number, run(0, |c| c.is_ascii_digit())),
            c => (Part::Other, c.len_utf8()),
        };
        let (own, after) = rest.split_at(end);
        parts.push((part, own));
        rest = after;
    }
    parts
}

/// Whether what stands between `<` and `>` is a tag, and not a sum between two signs.
fn is_tag(inside: &str) -> bool {
    let name = inside.strip_prefix('/').unwrap_or(inside);
    !name.is_empty() && name.chars().all(|c| c.is_alphabetic() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use espalier_tree::{Ending, Kind, NewNode, TreeInfo};

    #[test]
    fn tags_commands_and_variables_are_no_words() {
        let step = "<step>Plan 1: add 12 and x, so \\boxed{12.5} apples, if 3 <x> y</step>";
        let of = |ablation: Ablation| ablation.of_text(step);
        assert_eq!(of(Ablation::StepAlone), step);
        assert_eq!(of(Ablation::MathematicsOnly), "<step> 1: 12 x, \\boxed{12.5} , 3 <x> y</step>");
        assert_eq!(of(Ablation::WordsMasked), "<step>_ 1: _ 12 _ x, _ \\boxed{12.5} _, _ 3 <x> y</step>");
        assert_eq!(of(Ablation::NumbersMasked), "<step>Plan 0: add 0 and x, so \\boxed{0.0} apples, if 0 <x> y</step>");
        assert_eq!(Ablation::WordsMasked.of_text("größer < 5 > drei"), "_ < 5 > _");
        assert_eq!(Ablation::WordsMasked.of_text(""), "");
    }

    #[test]
    fn a_changed_path_is_its_changed_text_and_a_step_alone_follows_the_question() {
        let tokenizer =
            Tokenizer::train_bpe(["<step>add 12 and 3</step>", "question _ 0"], 300, &["<step>", "</step>"]).unwrap();
        let info = TreeInfo {
            run_id: "r".into(),
            round: 0,
            problem_id: "p".into(),
            question: "q".into(),
            reference_answer: "1".into(),
            tree_seed: 1,
        };
        let prompt = "question";
        let mut tree = Tree::new(info, prompt, &tokenizer.encode_prompt(prompt).unwrap());
        let step = |text: &str| NewNode {
            kind: Kind::Plan,
            text: text.into(),
            token_ids: tokenizer.encode(text).unwrap(),
            logprobs: vec![-0.5; tokenizer.encode(text).unwrap().len()],
            prior: 0.5,
            ending: Ending::None,
            reward: None,
            answer: None,
        };
        tree.expand(NodeId::ROOT, &[step("<step>add 12</step>")]);
        tree.expand(NodeId(1), &[step("<step>and 3</step>"), step("words alone")]);
        let texts = |ablation: Ablation| -> Vec<Vec<String>> {
            let cut = |(ids, ends): (Vec<u32>, Vec<u32>)| {
                assert_eq!(*ends.last().unwrap() as usize, ids.len());
                let starts = std::iter::once(0).chain(ends.clone());
                starts.zip(ends).map(|(from, to)| tokenizer.decode(&ids[from as usize..to as usize])).collect()
            };
            ablation.states(&tree, &tokenizer).unwrap().into_iter().map(cut).collect()
        };
        assert_eq!(texts(Ablation::StepAlone)[2], ["question", "<step>and 3</step>"]);
        assert_eq!(texts(Ablation::WordsMasked)[2], ["question", "<step>_ 12</step>", "<step>_ 3</step>"]);
        assert_eq!(texts(Ablation::MathematicsOnly)[3], ["question", "<step> 12</step>"], "nothing is left of it");
        assert_eq!(texts(Ablation::NumbersMasked)[0], ["question"]);
    }
}
