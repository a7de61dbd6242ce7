//! A judge for the texts that the fake policy writes.

use crate::judge::{Judge, Place, Verdict};
use espalier_tree::{Ending, Kind, TreeInfo};

/// Judges fake texts in the `xml` format. Answers are equal if they are so letter by letter.
#[derive(Clone, Copy, Debug, Default)]
pub struct FakeJudge;

impl Judge for FakeJudge {
    fn judge(&self, at: Place<'_>, text: &str) -> Verdict {
        let text = text.trim();
        let step = text.strip_prefix("<step>").and_then(|rest| rest.strip_suffix("</step>"));
        let is_end = text.ends_with("</solution>") || step.is_some();
        match (step, boxed(text)) {
            (_, Some(answer)) if is_end => solution(at.info(), answer),
            (Some(body), None) if body.starts_with("Plan ") => goes_on(Kind::Plan),
            (Some(body), None) if !body.is_empty() => goes_on(Kind::Step),
            _ => malformed(),
        }
    }

    fn judge_path(&self, at: Place<'_>, text: &str) -> Verdict {
        match boxed(text) {
            Some(answer) if text.trim().ends_with("</solution>") => solution(at.info(), answer),
            _ => malformed(),
        }
    }
}

fn goes_on(kind: Kind) -> Verdict {
    Verdict::new(kind, Ending::None, None)
}

fn malformed() -> Verdict {
    Verdict::new(Kind::Plan, Ending::Malformed, None)
}

fn solution(info: &TreeInfo, answer: &str) -> Verdict {
    let ending = if answer == info.reference_answer { Ending::Correct } else { Ending::Wrong };
    Verdict::new(Kind::Solution, ending, Some(answer.to_owned()))
}

/// What stands in the last `\boxed{..}`; no braces inside.
fn boxed(text: &str) -> Option<&str> {
    let (_, rest) = text.rsplit_once("\\boxed{")?;
    rest.split_once('}').map(|(answer, _)| answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use espalier_tree::{NodeId, Tree};

    #[test]
    fn texts_are_read_as_what_they_are() {
        let info = TreeInfo {
            run_id: "run".into(),
            round: 0,
            problem_id: "p".into(),
            question: "1 + 1?".into(),
            reference_answer: "2".into(),
            tree_seed: 0,
        };
        let tree = Tree::new(info, "", &[]);
        let at = Place { tree: &tree, state: NodeId::ROOT };
        let cases = [
            ("<step>Plan 1: add</step>", Kind::Plan, Ending::None),
            ("<step>add</step>", Kind::Step, Ending::None),
            ("<step>so \\boxed{2}</step>", Kind::Solution, Ending::Correct),
            ("</plan><solution>\\boxed{2}</solution>", Kind::Solution, Ending::Correct),
            (" </plan><solution>\\boxed{3}</solution>\n", Kind::Solution, Ending::Wrong),
            ("</plan><solution>2</solution>", Kind::Plan, Ending::Malformed),
            ("<step></step>", Kind::Plan, Ending::Malformed),
            ("<step>Plan 1: add", Kind::Plan, Ending::Malformed),
            ("", Kind::Plan, Ending::Malformed),
        ];
        for (text, kind, ending) in cases {
            let verdict = FakeJudge.judge(at, text);
            assert_eq!((verdict.kind, verdict.ending), (kind, ending), "{text}");
        }
        let path = "<step>Plan 2: add</step></plan><solution>\\boxed{2}</solution>";
        assert_eq!(FakeJudge.judge_path(at, path).ending, Ending::Correct);
        assert_eq!(FakeJudge.judge_path(at, "<step>Plan 2: add</step>").ending, Ending::Malformed);
    }
}
