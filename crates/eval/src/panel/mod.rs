//! Several judges over one path: what each says is kept, a rule makes the reward of it.
//!
//! ```text
//!  siblings ─► read: what each is ─┬─► steps: judges of steps ────────────────────────► a number a judge
//!                                  └─► ends:  judges of steps and of paths ─► the path's ─► reward, ending
//! ```
//! A judge of steps gives a path the least that it gave one of its steps.

use crate::judge::FormatJudge;
use espalier_judges::{Asked, Scope, Scorer};
use espalier_search::{Judge, Place, Sampled, Verdict};
use espalier_settings::choices;
use espalier_task::{Problem, StepText};
use espalier_tree::{Ending, Kind, NodeId, PASSES};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

choices! {
    /// What several judges' numbers make of the reward of a path that ends.
    #[derive(Default)]
    pub enum RewardRule {
        /// +1 if every judge passes the path, else -1.
        #[default]
        All = "all",
        /// The mean of the numbers, by the judges' weights, from [0, 1] to [-1, 1].
        Weighted = "weighted",
        /// The least of the numbers, from [0, 1] to [-1, 1].
        Worst = "worst",
    }
}

/// One of several judges.
pub struct Member {
    /// Its name, that of its column.
    pub name: String,
    /// Its part in the rule `weighted`.
    pub weight: f32,
    /// What it is.
    pub scorer: Box<dyn Scorer>,
}

/// Judges by reading a prompt format, then asking several judges.
pub struct Panel<'p> {
    reading: FormatJudge,
    members: Vec<Member>,
    names: Arc<[String]>,
    rule: RewardRule,
    /// By id.
    problems: HashMap<&'p str, &'p Problem>,
    /// By the problem's id, the steps that stand in the tree's root.
    starts: HashMap<&'p str, Vec<String>>,
}

/// A text with what it was read as.
struct Read<'a> {
    text: Cow<'a, str>,
    /// `None` for a text that is not to be judged.
    step: Option<StepText>,
}

impl<'p> Panel<'p> {
    /// A panel for these problems.
    pub fn new(
        reading: FormatJudge,
        members: Vec<Member>,
        rule: RewardRule,
        problems: impl IntoIterator<Item = &'p Problem>,
    ) -> Panel<'p> {
        let names = members.iter().map(|member| member.name.clone()).collect();
        let problems = problems.into_iter().map(|problem| (problem.id.as_str(), problem)).collect();
        Panel { reading, members, names, rule, problems, starts: HashMap::new() }
    }

    /// The same for trees of some problems that start behind these steps. Judges are told of them, and not asked about them.
    #[must_use]
    pub fn behind(self, starts: impl IntoIterator<Item = (&'p str, Vec<String>)>) -> Panel<'p> {
        Panel { starts: starts.into_iter().collect(), ..self }
    }

    /// The columns' names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// What is wrong with judges, a line each.
    pub fn troubles(&self) -> impl Iterator<Item = String> {
        let trouble = |member: &Member| Some(format!("the judge {}: {}", member.name, member.scorer.trouble()?));
        self.members.iter().filter_map(trouble)
    }

    /// What several whole paths of one problem are worth, each sampled from the prompt on.
    pub fn paths(&self, problem: &Problem, texts: &[&str]) -> Vec<Verdict> {
        let read = texts.iter().map(|&text| self.read_path(Cow::Borrowed(text), false));
        self.verdicts(problem, &[], &[], &read.collect::<Vec<_>>())
    }

    fn read_path<'a>(&self, text: Cow<'a, str>, is_cut: bool) -> Read<'a> {
        let step = match self.reading.task.read_path(&text) {
            step @ StepText::Solution { .. } if !is_cut => Some(step),
            _ => None,
        };
        Read { text, step }
    }

    fn at(&self, at: Place<'_>, read: &[Read<'_>]) -> Vec<Verdict> {
        let info = at.info();
        let problem = self.problems.get(info.problem_id.as_str()).map_or_else(
            || {
                let (id, question) = (info.problem_id.clone(), info.question.clone());
                Cow::Owned(Problem { id, question, answer: info.reference_answer.clone(), ..Problem::default() })
            },
            |&problem| Cow::Borrowed(problem),
        );
        let path: Vec<NodeId> = at.tree.path(at.state).into_iter().skip(1).collect();
        let given = self.starts.get(info.problem_id.as_str()).into_iter().flatten().map(String::as_str);
        let steps: Vec<&str> = given.chain(path.iter().map(|&id| at.tree.text(id))).collect();
        let scores: Vec<&[f32]> = path.iter().map(|&id| at.tree.scores(id)).collect();
        self.verdicts(&problem, &steps, &scores, read)
    }

    /// Asks each judge once about all texts that it has to do with. `steps` and `before` are the steps of the path so far
    /// and what the judges said of them.
    fn verdicts(&self, problem: &Problem, steps: &[&str], before: &[&[f32]], read: &[Read<'_>]) -> Vec<Verdict> {
        let mut scores = vec![vec![f32::NAN; self.members.len()]; read.len()];
        let asked: Vec<Option<Asked<'_>>> = read.iter().map(|read| read.asked(problem, steps)).collect();
        let said = |member: &Member| {
            let is_asked = |asked: &Asked<'_>| asked.is_end || member.scorer.scope() == Scope::Step;
            let of: Vec<usize> = (0..read.len()).filter(|&at| asked[at].as_ref().is_some_and(is_asked)).collect();
            let questions: Vec<Asked<'_>> = of.iter().filter_map(|&at| asked[at].clone()).collect();
            let said = if questions.is_empty() { Vec::new() } else { member.scorer.score(&questions) };
            of.into_iter().zip(said).collect::<Vec<_>>()
        };
        let slow = self.members.iter().filter(|member| member.scorer.takes_time()).count();
        let all: Vec<Vec<(usize, Option<f32>)>> = if slow > 1 {
            std::thread::scope(|scope| {
                let threads: Vec<_> = self.members.iter().map(|member| scope.spawn(|| said(member))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap_or_default()).collect()
            })
        } else {
            self.members.iter().map(said).collect()
        };
        for (judge, said) in all.into_iter().enumerate() {
            for (at, score) in said {
                // What comes from outside is held to its range.
                scores[at][judge] = score.filter(|score| (0.0..=1.0).contains(score)).unwrap_or(f32::NAN);
            }
        }
        read.iter().zip(scores).map(|(read, scores)| self.verdict(read, before, scores)).collect()
    }

    fn verdict(&self, read: &Read<'_>, before: &[&[f32]], scores: Vec<f32>) -> Verdict {
        let verdict = match &read.step {
            Some(StepText::Plan) => Verdict::new(Kind::Plan, Ending::None, None),
            Some(StepText::Step) => Verdict::new(Kind::Step, Ending::None, None),
            Some(StepText::Solution { answer }) => {
                let path: Vec<f32> = (0..scores.len()).map(|judge| self.of_path(judge, before, &scores)).collect();
                let (ending, reward) = self.outcome(&path);
                Verdict { reward, ..Verdict::new(Kind::Solution, ending, Some(answer.clone())) }
            }
            Some(StepText::Malformed) | None => self.reading.malformed(),
        };
        Verdict { scores, ..verdict }
    }

    /// What a judge says of a whole path: NaN if it could not speak of a part of it, unless another part fails.
    fn of_path(&self, judge: usize, before: &[&[f32]], last: &[f32]) -> f32 {
        if self.members[judge].scorer.scope() == Scope::Path {
            return last[judge];
        }
        // A tree that was judged by others has no numbers of this judge.
        let said = before.iter().map(|scores| scores.get(judge).copied().unwrap_or(f32::NAN)).chain([last[judge]]);
        let (mut least, mut is_silent) = (1.0_f32, false);
        for score in said {
            is_silent |= score.is_nan();
            least = least.min(score);
        }
        if is_silent && least >= PASSES { f32::NAN } else { least }
    }

    /// Ending and reward of a solution. Nothing is guessed: where a judge could not speak, and none of the others has
    /// decided already, the solution is unverified.
    fn outcome(&self, path: &[f32]) -> (Ending, Option<f32>) {
        let is_silent = path.iter().any(|score| score.is_nan());
        let fails = path.iter().any(|&score| score < PASSES);
        let least = path.iter().copied().fold(1.0, f32::min);
        let score = match self.rule {
            RewardRule::All if fails => 0.0,
            RewardRule::Worst if least == 0.0 => 0.0,
            _ if is_silent || path.is_empty() => return (Ending::Unverified, None),
            RewardRule::All => 1.0,
            RewardRule::Worst => least,
            RewardRule::Weighted => {
                let weights = || self.members.iter().map(|member| member.weight);
                weights().zip(path).map(|(weight, score)| weight * score).sum::<f32>() / weights().sum::<f32>()
            }
        };
        let reward = (2.0 * score - 1.0).clamp(-1.0, 1.0);
        (if reward > 0.0 { Ending::Correct } else { Ending::Wrong }, Some(reward))
    }
}

impl Read<'_> {
    fn asked<'a>(&'a self, problem: &'a Problem, steps: &'a [&'a str]) -> Option<Asked<'a>> {
        let answer = match self.step.as_ref()? {
            StepText::Plan | StepText::Step => None,
            StepText::Solution { answer } => Some(answer.as_str()),
            StepText::Malformed => return None,
        };
        Some(Asked { problem, steps, step: &self.text, answer, is_end: answer.is_some() })
    }
}

impl Judge for Panel<'_> {
    fn judge(&self, at: Place<'_>, text: &str) -> Verdict {
        let sampled = Sampled { text: Cow::Borrowed(text), is_cut: false };
        self.judge_siblings(at, &[sampled]).pop().unwrap_or_else(|| self.reading.malformed())
    }

    fn end(&self, text: &str) -> Option<usize> {
        self.reading.end(text)
    }

    fn judge_path(&self, at: Place<'_>, text: &str) -> Verdict {
        let sampled = Sampled { text: Cow::Borrowed(text), is_cut: false };
        self.judge_paths(at, &[sampled]).pop().unwrap_or_else(|| self.reading.malformed())
    }

    fn columns(&self) -> Arc<[String]> {
        Arc::clone(&self.names)
    }

    fn takes_siblings(&self) -> bool {
        true
    }

    fn judge_siblings(&self, at: Place<'_>, sampled: &[Sampled<'_>]) -> Vec<Verdict> {
        let read = sampled.iter().map(|Sampled { text, is_cut }| Read {
            step: (!is_cut).then(|| self.reading.task.read_step(text)),
            text: Cow::Borrowed(text),
        });
        self.at(at, &read.collect::<Vec<_>>())
    }

    fn judge_paths(&self, at: Place<'_>, sampled: &[Sampled<'_>]) -> Vec<Verdict> {
        let read = sampled.iter().map(|Sampled { text, is_cut }| self.read_path(Cow::Borrowed(text), *is_cut));
        self.at(at, &read.collect::<Vec<_>>())
    }

    fn takes_time(&self) -> bool {
        self.members.iter().any(|member| member.scorer.takes_time())
    }
}

#[cfg(test)]
mod tests;
