//! Pairs as JSONL, under the field names of other programs.

use super::StepPair;
use crate::arena::{NodeId, Tree};
use crate::error::TreeError;
use crate::outcome::Outcomes;
use espalier_files::Unpublished;
use serde::Serialize;
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

/// Writes pairs as LLaMA-Factory's preference data: one object a line with `instruction` (the state's text), `input`
/// (empty), `chosen` and `rejected`.
///
/// In its `dataset_info.json`, set `"ranking": true` and name the columns `chosen` and `rejected`; with the template
/// `empty` the model reads exactly the stored texts.
pub fn write_llama_factory(path: &Path, pairs: &[StepPair]) -> Result<(), TreeError> {
    #[derive(Serialize)]
    struct Row<'a> {
        instruction: &'a str,
        input: &'a str,
        chosen: &'a str,
        rejected: &'a str,
    }
    let mut file = Unpublished::create(path)?;
    for pair in pairs {
        let row = Row { instruction: &pair.prompt, input: "", chosen: &pair.chosen, rejected: &pair.rejected };
        write_row(&mut file, &row)?;
    }
    Ok(file.publish()?)
}

/// Writes pairs as Step-DPO's training data (the columns of its Math-Step-DPO-10K), one object a line.
///
/// `prompt` is the question without any template, `initial_reason_steps` the steps before the pair, `full_chosen` the
/// chosen step and what follows it up to the first correct solution found below it, `full_rejected` the rejected step up
/// to the first wrong one; both are empty if the search found none. `answer` is the reference answer, `dataset` the run.
///
/// The trees are those that the pairs were selected from, in any order; rows come in the order of the trees.
///
/// # Errors
/// When a tree cannot be read, or a pair's tree is not among them.
pub fn write_step_dpo(
    path: &Path,
    pairs: &[StepPair],
    trees: impl IntoIterator<Item = Result<Tree, TreeError>>,
) -> Result<(), TreeError> {
    let mut waiting: HashMap<&str, Vec<&StepPair>> = HashMap::new();
    for pair in pairs {
        waiting.entry(&pair.problem_id).or_default().push(pair);
    }
    let mut file = Unpublished::create(path)?;
    for tree in trees {
        let tree = tree?;
        let Some(of_problem) = waiting.get_mut(tree.info.problem_id.as_str()) else { continue };
        // A problem may have been searched twice; the other tree's pairs wait for it.
        let (here, elsewhere): (Vec<_>, Vec<_>) = of_problem.drain(..).partition(|pair| is_of(pair, &tree));
        *of_problem = elsewhere;
        let outcomes = Outcomes::of(&tree);
        for pair in here {
            write_row(&mut file, &StepDpoRow::of(pair, &tree, &outcomes))?;
        }
    }
    // The first one left over by node, so that the message does not depend on the map's order.
    if let Some(pair) =
        waiting.into_values().flatten().min_by_key(|pair| (&pair.problem_id, pair.round, pair.chosen_node))
    {
        return Err(TreeError::PairWithoutTree {
            problem_id: pair.problem_id.clone(),
            round: pair.round,
            chosen: pair.chosen_node,
            rejected: pair.rejected_node,
        });
    }
    Ok(file.publish()?)
}

#[derive(Serialize)]
struct StepDpoRow<'a> {
    dataset: &'a str,
    prompt: &'a str,
    initial_reason_steps: &'a str,
    chosen: &'a str,
    rejected: &'a str,
    full_chosen: String,
    full_rejected: String,
    answer: &'a str,
}

impl<'a> StepDpoRow<'a> {
    fn of(pair: &'a StepPair, tree: &'a Tree, outcomes: &Outcomes) -> StepDpoRow<'a> {
        let through = |step: u32, leaf: Option<NodeId>| {
            leaf.map(|leaf| tree.path(leaf).into_iter().skip_while(|at| at.0 != step).map(|at| tree.text(at)).collect())
        };
        StepDpoRow {
            dataset: &tree.info.run_id,
            prompt: &tree.info.question,
            initial_reason_steps: &pair.prompt[tree.text(NodeId::ROOT).len()..],
            chosen: &pair.chosen,
            rejected: &pair.rejected,
            full_chosen: through(pair.chosen_node, outcomes.correct(NodeId(pair.chosen_node))).unwrap_or_default(),
            full_rejected: through(pair.rejected_node, outcomes.wrong(NodeId(pair.rejected_node))).unwrap_or_default(),
            answer: &tree.info.reference_answer,
        }
    }
}

/// Whether a pair's nodes are in this tree.
fn is_of(pair: &StepPair, tree: &Tree) -> bool {
    let in_tree = |node: u32| ((node as usize) < tree.len()).then_some(NodeId(node));
    let (Some(state), Some(chosen), Some(rejected)) =
        (in_tree(pair.state_node), in_tree(pair.chosen_node), in_tree(pair.rejected_node))
    else {
        return false;
    };
    let state_text: String = tree.path(state).into_iter().map(|at| tree.text(at)).collect();
    pair.round == tree.info.round
        && pair.prompt == state_text
        && [(chosen, &pair.chosen), (rejected, &pair.rejected)]
            .iter()
            .all(|&(node, text)| tree.parent(node) == Some(state) && tree.text(node) == text)
}

fn write_row(file: &mut Unpublished, row: &impl Serialize) -> Result<(), TreeError> {
    let written =
        serde_json::to_writer(&mut *file, row).map_err(std::io::Error::from).and_then(|()| file.write_all(b"\n"));
    written.map_err(|source| TreeError::Write { path: file.path().to_owned(), source })
}

#[cfg(test)]
mod tests;
