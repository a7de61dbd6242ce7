//! What a judge is: it is asked about steps, and gives numbers.

use espalier_task::Problem;

/// What a judge is asked about: one step of a path, in its context.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// The problem: id, question, reference answer (empty if there is none), kind, tests.
    pub problem: &'a Problem,
    /// The texts of the steps before this one, as sampled.
    pub steps: &'a [&'a str],
    /// The step that was just written, as sampled; in a rollout, the rest of the path.
    pub step: &'a str,
    /// The answer that the step gives, if it ends the path.
    pub answer: Option<&'a str>,
    /// Whether the path ends with this step.
    pub is_end: bool,
}

espalier_settings::choices! {
    /// What a judge looks at.
    pub enum Scope {
        /// Every step, by itself or in its context.
        Step = "step",
        /// Only paths that end.
        Path = "path",
    }
}

/// A judge.
pub trait Scorer: Send + Sync {
    /// What it looks at.
    fn scope(&self) -> Scope;

    /// Whether an answer may take longer than microseconds: another process, a server.
    fn takes_time(&self) -> bool {
        false
    }

    /// One number in [0, 1] for each question, in order: 1 passes. `None` where the judge cannot speak: no reference, a
    /// judge that is dead, nonsense, a time-out. May be called from many threads at once.
    fn score(&self, asked: &[Asked<'_>]) -> Vec<Option<f32>>;

    /// What is wrong with the judge, in a line for people, if something is: why it last could not speak, and whether it is given
    /// up.
    fn trouble(&self) -> Option<String> {
        None
    }
}
