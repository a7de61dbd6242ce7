//! Tests of panels, with outcomes derived by hand.

use super::*;
use espalier_task::{Format, Granularity, Task};
use espalier_tree::{NewNode, Tree, TreeInfo};
use std::sync::Mutex;

/// Says what a rule says of each question, and remembers what it was asked.
struct Said {
    scope: Scope,
    rule: fn(&Asked<'_>) -> Option<f32>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scorer for Said {
    fn scope(&self) -> Scope {
        self.scope
    }

    fn score(&self, asked: &[Asked<'_>]) -> Vec<Option<f32>> {
        let mut all = self.asked.lock().unwrap();
        all.extend(asked.iter().map(|asked| format!("{}|{}", asked.steps.concat(), asked.step)));
        asked.iter().map(self.rule).collect()
    }

    fn trouble(&self) -> Option<String> {
        (self.scope == Scope::Path).then(|| "it sleeps".to_owned())
    }
}

type Rule = fn(&Asked<'_>) -> Option<f32>;

fn panel(rule: RewardRule, members: Vec<(&str, f32, Scope, Rule)>) -> (Panel<'static>, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let members = members.into_iter().map(|(name, weight, scope, rule)| Member {
        name: name.to_owned(),
        weight,
        scorer: Box::new(Said { scope, rule, asked: Arc::clone(&asked) }),
    });
    let reading = FormatJudge { task: Task::built_in(Format::Xml, Granularity::Plan) };
    (Panel::new(reading, members.collect(), rule, []), asked)
}

/// A tree with one step below the root, of which the first judge has said `score`.
fn tree(judges: usize, score: f32) -> Tree {
    let info = TreeInfo {
        run_id: "run".into(),
        round: 0,
        problem_id: "p".into(),
        question: "3 + 4?".into(),
        reference_answer: "7".into(),
        tree_seed: 0,
    };
    let mut tree = Tree::new(info, "<question>3 + 4?</question><plan>", &[1]);
    tree.set_judges((0..judges).map(|judge| judge.to_string()).collect());
    let step = NewNode {
        kind: Kind::Plan,
        text: "<step>Plan 1: add</step>".into(),
        token_ids: vec![2],
        logprobs: vec![-0.5],
        prior: 0.5,
        ending: Ending::None,
        reward: None,
        answer: None,
    };
    tree.expand(NodeId::ROOT, &[step]);
    let mut scores = vec![f32::NAN; judges];
    scores[0] = score;
    tree.set_scores(NodeId(1), &scores);
    tree
}

const STEP: &str = "<step>Plan 2: check</step>";
const SOLUTION: &str = r"</plan><solution>3 + 4 = 7. The final answer is \boxed{7}.</solution>";

fn sampled(texts: &[&'static str]) -> Vec<Sampled<'static>> {
    texts.iter().map(|&text| Sampled { text: text.into(), is_cut: false }).collect()
}

fn solution_of(rule: RewardRule, members: Vec<(&str, f32, Scope, Rule)>, before: f32) -> Verdict {
    let (panel, _) = panel(rule, members);
    let tree = tree(panel.names().len(), before);
    panel.judge_siblings(Place { tree: &tree, state: NodeId(1) }, &sampled(&[SOLUTION])).remove(0)
}

#[test]
fn judges_of_steps_see_every_step_and_judges_of_paths_only_ends() {
    let (panel, asked) = panel(
        RewardRule::All,
        vec![("a", 1.0, Scope::Step, |_| Some(1.0)), ("b", 1.0, Scope::Path, |asked| Some(asked.answer?.len() as f32))],
    );
    assert_eq!(panel.troubles().collect::<Vec<_>>(), ["the judge b: it sleeps"]);
    let tree = tree(2, 1.0);
    let mut siblings = sampled(&[STEP, SOLUTION, "no step", SOLUTION]);
    siblings[3].is_cut = true;
    let verdicts = panel.judge_siblings(Place { tree: &tree, state: NodeId(1) }, &siblings);
    let first = "<step>Plan 1: add</step>";
    let expected = [format!("{first}|{STEP}"), format!("{first}|{SOLUTION}"), format!("{first}|{SOLUTION}")];
    assert_eq!(*asked.lock().unwrap(), expected, "neither what is no step nor what was cut is asked about");
    assert_eq!((verdicts[0].ending, verdicts[0].reward), (Ending::None, None));
    assert!(verdicts[0].scores[0] == 1.0 && verdicts[0].scores[1].is_nan());
    assert_eq!(
        (verdicts[1].ending, verdicts[1].reward, &verdicts[1].scores[..]),
        (Ending::Correct, Some(1.0), &[1.0, 1.0][..])
    );
    assert_eq!(verdicts[1].answer.as_deref(), Some("7"));
    assert_eq!((verdicts[2].ending, verdicts[2].reward), (Ending::Malformed, Some(-1.0)));
    assert!(verdicts[3].scores.iter().all(|score| score.is_nan()));
}

#[test]
fn all_must_pass_and_a_false_step_before_the_end_fails_the_path() {
    let good = || vec![("steps", 1.0, Scope::Step, (|_| Some(1.0)) as Rule), ("end", 1.0, Scope::Path, |_| Some(0.5))];
    let found = solution_of(RewardRule::All, good(), 1.0);
    assert_eq!((found.ending, found.reward), (Ending::Correct, Some(1.0)));
    // The end's own numbers are kept as they are; the path's are not.
    let found = solution_of(RewardRule::All, good(), 0.0);
    assert_eq!((found.ending, found.reward, &found.scores[..]), (Ending::Wrong, Some(-1.0), &[1.0, 0.5][..]));
}

#[test]
fn where_a_judge_is_silent_nothing_is_guessed() {
    let silent = || vec![("steps", 1.0, Scope::Step, (|_| Some(1.0)) as Rule), ("end", 1.0, Scope::Path, |_| None)];
    for rule in [RewardRule::All, RewardRule::Weighted, RewardRule::Worst] {
        let found = solution_of(rule, silent(), 1.0);
        assert_eq!((found.ending, found.reward), (Ending::Unverified, None), "{rule}");
    }
    // Of an earlier step nothing is known.
    let spoken = vec![("steps", 1.0, Scope::Step, (|_| Some(1.0)) as Rule)];
    assert_eq!(solution_of(RewardRule::All, spoken, f32::NAN).ending, Ending::Unverified);
    // Another judge has decided.
    assert_eq!(solution_of(RewardRule::All, silent(), 0.0).ending, Ending::Wrong);
    assert_eq!(solution_of(RewardRule::Worst, silent(), 0.0).reward, Some(-1.0));
    assert_eq!(solution_of(RewardRule::Weighted, silent(), 0.0).ending, Ending::Unverified);
    // A number out of its range is none.
    let nonsense = vec![("end", 1.0, Scope::Path, (|_| Some(7.0)) as Rule)];
    let found = solution_of(RewardRule::All, nonsense, f32::NAN);
    assert!(found.ending == Ending::Unverified && found.scores[0].is_nan());
    let infinite = vec![("end", 1.0, Scope::Path, (|_| Some(f32::NAN)) as Rule)];
    assert_eq!(solution_of(RewardRule::All, infinite, f32::NAN).ending, Ending::Unverified);
}

#[test]
fn weights_and_the_worst_make_rewards_between() {
    let judges = || vec![("a", 3.0, Scope::Path, (|_| Some(1.0)) as Rule), ("b", 1.0, Scope::Path, |_| Some(0.2))];
    // (3 * 1 + 1 * 0.2) / 4 = 0.8, twice that less 1 is 0.6.
    let found = solution_of(RewardRule::Weighted, judges(), f32::NAN);
    assert!(found.ending == Ending::Correct && (found.reward.unwrap() - 0.6).abs() < 1e-6);
    let found = solution_of(RewardRule::Worst, judges(), f32::NAN);
    assert!(found.ending == Ending::Wrong && (found.reward.unwrap() + 0.6).abs() < 1e-6);
    assert_eq!(solution_of(RewardRule::All, judges(), f32::NAN).reward, Some(-1.0));
}

#[test]
fn whole_paths_are_judged_in_one_go() {
    let (panel, asked) =
        panel(RewardRule::All, vec![("steps", 1.0, Scope::Step, |asked| Some(f32::from(asked.is_end)))]);
    let rest: &'static str = r"<step>Plan 2: check</step></plan><solution>The final answer is \boxed{7}.</solution>";
    let tree = tree(1, 1.0);
    let verdicts = panel.judge_paths(Place { tree: &tree, state: NodeId(1) }, &sampled(&[rest, STEP]));
    assert_eq!((verdicts[0].ending, verdicts[0].reward), (Ending::Correct, Some(1.0)));
    assert_eq!((verdicts[1].ending, verdicts[1].reward), (Ending::Malformed, Some(-1.0)));
    assert_eq!(asked.lock().unwrap().len(), 1);
    let problem = Problem { id: "q".into(), ..Problem::default() };
    assert_eq!(panel.paths(&problem, &[rest])[0].ending, Ending::Correct);
}
