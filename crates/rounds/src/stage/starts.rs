//! Where the trees of a search start: at their questions, or at a state in the middle of a solution.

use crate::config::{StartStates, StartsConfig};
use crate::contract::Identity;
use anyhow::{Context as _, Result, bail};
use espalier_files::{fingerprint, seed_from};
use espalier_task::{Problem, Task};
use espalier_tree::{Ending, NodeId, Tree, read_trees};
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// The name of the worked solutions, in the place of a folder.
const WORKED: &str = "worked";

/// The steps that are given to each problem's tree, in the problems' order; none where it starts at the question.
#[derive(Debug, Default)]
pub struct Starts(Vec<Vec<String>>);

impl Starts {
    /// Draws the states by the seed and the round: each problem's own, whatever the others are.
    ///
    /// # Errors
    /// A folder without readable trees, or states that no problem has.
    pub fn draw(config: &StartsConfig, problems: &[Problem], task: &Task, seed: u64, round: u32) -> Result<Starts> {
        let Some(states) = &config.states else { return Ok(Starts::default()) };
        let draw = |problem: &Problem, what: &str| seed_from(&[&seed, &what, &round, &problem.id]);
        let stored = if states == WORKED {
            HashMap::new()
        } else {
            stored(Path::new(states), config.from, problems, task, &draw)?
        };
        let steps = |problem: &Problem| -> Vec<String> {
            // The upper 53 bits are a fraction below 1.
            if (draw(problem, "starts in the middle") >> 11) as f64 / (1_u64 << 53) as f64 >= config.share {
                return Vec::new();
            }
            if states != WORKED {
                return stored.get(problem.id.as_str()).cloned().unwrap_or_default();
            }
            let Some(worked) = &problem.solution else { return Vec::new() };
            let mut steps = task.segments(worked);
            // The last one is the solution: what is left to find.
            let most = steps.len().saturating_sub(1) as u64;
            let count = if most == 0 { 0 } else { 1 + draw(problem, "state") % most };
            steps.truncate(count as usize);
            steps
        };
        let starts = Starts(problems.iter().map(steps).collect());
        if starts.0.iter().all(Vec::is_empty) && !problems.is_empty() {
            let why = if states == WORKED {
                "none of the problems has a worked solution of several steps".to_owned()
            } else {
                format!("the trees in {states} have no state of any of the problems that could go on")
            };
            bail!("starts.states is {states:?}, but {why}; leave it out to start at the questions");
        }
        Ok(starts)
    }

    /// The steps that the tree of this problem starts behind.
    pub fn steps(&self, index: usize) -> &[String] {
        self.0.get(index).map_or(&[], Vec::as_slice)
    }

    /// How many trees start in the middle.
    pub fn count(&self) -> usize {
        self.0.iter().filter(|steps| !steps.is_empty()).count()
    }

    /// Adds what decides where trees start.
    ///
    /// # Errors
    /// Never: texts have a fingerprint.
    pub fn identify(&self, identity: Identity, config: &StartsConfig) -> Result<Identity> {
        let identity = identity.setting("starts", config, &StartsConfig::default())?;
        Ok(if self.count() == 0 { identity } else { identity.input("states", fingerprint(&self.0)?) })
    }
}

/// One state of each problem's tree, as its steps.
fn stored<'p>(
    folder: &Path,
    from: StartStates,
    problems: &'p [Problem],
    task: &Task,
    draw: &dyn Fn(&Problem, &str) -> u64,
) -> Result<HashMap<&'p str, Vec<String>>> {
    let wanted: HashMap<&str, &Problem> = problems.iter().map(|problem| (problem.id.as_str(), problem)).collect();
    let cannot = || format!("starts.states: cannot read trees in {}", folder.display());
    let mut found: HashMap<&'p str, Vec<String>> = HashMap::new();
    for tree in read_trees(folder).with_context(cannot)? {
        let tree = tree.with_context(cannot)?;
        let Some(&problem) = wanted.get(tree.info.problem_id.as_str()) else { continue };
        if problem.question != tree.info.question {
            bail!("starts.states: the tree of problem {} in {} has another question", problem.id, folder.display());
        }
        let states = open_states(&tree, from);
        if !states.is_empty() {
            let at = states[(draw(problem, "state") % states.len() as u64) as usize];
            // What an earlier search was itself given stands behind the prompt.
            let Some(given) = tree.text(NodeId::ROOT).strip_prefix(task.prompt(problem)?.as_str()) else {
                bail!(
                    "starts.states: the tree of problem {} in {} has another prompt than the task {}; take trees of this task",
                    problem.id,
                    folder.display(),
                    task.name()
                );
            };
            let given = (!given.is_empty()).then(|| given.to_owned());
            let steps = tree.path(at).into_iter().skip(1).map(|id| tree.text(id).to_owned());
            found.insert(&problem.id, given.into_iter().chain(steps).collect());
        }
    }
    Ok(found)
}

/// The states below the root that can go on.
fn open_states(tree: &Tree, from: StartStates) -> Vec<NodeId> {
    let is_open = |&id: &NodeId| id != NodeId::ROOT && matches!(tree.node(id).ending, Ending::None | Ending::Exhausted);
    match from {
        StartStates::Any => tree.ids().filter(is_open).collect(),
        StartStates::Correct => {
            let ends = tree.ids().filter(|&id| tree.node(id).ending == Ending::Correct);
            let passed: HashSet<NodeId> = ends.flat_map(|end| tree.path(end)).collect();
            tree.ids().filter(is_open).filter(|id| passed.contains(id)).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use espalier_task::{Format, Granularity, Worked};

    fn problems(count: usize, steps: usize) -> Vec<Problem> {
        let plan = (1..=steps).map(|at| format!("Plan {at}: add")).collect();
        let worked = Worked { plan, solution: "\\boxed{7}".into() };
        let problem =
            |at: usize| Problem { id: format!("p{at}"), solution: Some(worked.clone()), ..Problem::default() };
        (0..count).map(problem).collect()
    }

    fn draw(config: &StartsConfig, problems: &[Problem], seed: u64) -> Starts {
        let task = Task::built_in(Format::Xml, Granularity::Plan);
        Starts::draw(config, problems, &task, seed, 1).unwrap()
    }

    #[test]
    fn worked_solutions_are_begun_and_never_given_whole() {
        let config = StartsConfig { states: Some(WORKED.into()), ..StartsConfig::default() };
        let all = problems(300, 3);
        let starts = draw(&config, &all, 5);
        let mut counts = [0; 4];
        for index in 0..all.len() {
            let steps = starts.steps(index);
            counts[steps.len()] += 1;
            let whole: Vec<String> = (1..=3).map(|at| format!("<step>Plan {at}: add</step>")).collect();
            assert_eq!(steps, &whole[..steps.len()]);
        }
        // A third each, with a standard deviation of 8.2.
        assert!(counts[0] == 0 && counts[1..].iter().all(|count| (70..=130).contains(count)), "{counts:?}");
        // One problem's state does not depend on the others, but on the seed.
        assert_eq!(draw(&config, &all[7..8], 5).steps(0), starts.steps(7));
        assert!((0..300).any(|index| draw(&config, &all, 6).steps(index) != starts.steps(index)));
        let half = draw(&StartsConfig { share: 0.5, ..config.clone() }, &all, 5);
        assert!((115..=185).contains(&half.count()), "{}", half.count());
        assert!((0..300).all(|index| half.steps(index).is_empty() || half.steps(index) == starts.steps(index)));
        let task = Task::built_in(Format::Xml, Granularity::Plan);
        let error = Starts::draw(&config, &[Problem::default()], &task, 5, 1).unwrap_err().to_string();
        assert!(error.contains("none of the problems has a worked solution"), "{error}");
    }
}
