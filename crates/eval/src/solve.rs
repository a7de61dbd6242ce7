//! The answer to a question of which nobody knows the reference: a tree is searched blindly, its solutions vote.

use crate::answer::{Text, best_solution, path_to};
use crate::judge::{BlindJudge, FormatJudge, stops};
use espalier_search::{Policy, SearchConfig, SearchError, StopWhen, TreeJob, search};
use espalier_task::Task;
use espalier_tree::{Tree, TreeInfo};

/// A question to be answered by a search.
#[derive(Clone, Debug)]
pub struct Solving<'a> {
    /// How the question is put, and how steps are read.
    pub task: &'a Task,
    /// How the tree is searched. That it would end at the first solution is left out: to a blind judge each is correct.
    pub search: SearchConfig,
    /// The tree's name for the policy.
    pub tree: u64,
    /// Seed of everything sampled.
    pub seed: u64,
}

/// What a search has found.
#[derive(Clone, Debug, PartialEq)]
pub struct Solved {
    /// The solution that stands for the answer with the largest weight of votes, or that has no rival.
    pub chosen: Option<Text>,
    /// Tokens sampled.
    pub sampled_tokens: u64,
}

impl Solving<'_> {
    /// Answers a question.
    ///
    /// # Errors
    /// A prompt that cannot be used, and a policy that fails; in one line.
    pub fn solve(&self, question: &str, policy: &mut dyn Policy) -> Result<Solved, String> {
        let (tree, sampled_tokens) = self.tree(question, policy)?;
        let chosen = best_solution(&tree).map(|end| path_to(&tree, end));
        Ok(Solved { chosen, sampled_tokens })
    }

    /// What the tree of a question is told of it.
    pub fn tree_info(&self, question: &str) -> TreeInfo {
        TreeInfo {
            run_id: "solve".to_owned(),
            round: 0,
            problem_id: self.tree.to_string(),
            question: question.to_owned(),
            // What is not there cannot be looked at.
            reference_answer: String::new(),
            tree_seed: self.seed,
        }
    }

    /// The tree of a question, in which each solution counts as correct, and the tokens that were sampled for it.
    ///
    /// # Errors
    /// As [`solve`](Solving::solve).
    pub fn tree(&self, question: &str, policy: &mut dyn Policy) -> Result<(Tree, u64), String> {
        let prompt = self.task.prompt_of(question).map_err(|error| error.to_string())?;
        let info = self.tree_info(question);
        let stop_when = StopWhen { correct_solutions: None, ..self.search.stop_when };
        let settings = SearchConfig { stop_when, ..self.search.clone() };
        let judge = BlindJudge(FormatJudge { task: self.task.clone() });
        let job = TreeJob { index: self.tree, info, prompt };
        let mut found = None;
        let searched = search(&settings, 1, &stops(self.task), [job], policy, &judge, |_, tree| {
            found = Some(tree);
            Ok(())
        });
        let summary = searched.map_err(|error: SearchError| error.reason())?;
        if let Some(skipped) = summary.skipped.first() {
            return Err(skipped.reason.clone());
        }
        let tree = found.ok_or_else(|| "the search ended without a tree".to_owned())?;
        Ok((tree, summary.work.sampled_tokens))
    }
}
