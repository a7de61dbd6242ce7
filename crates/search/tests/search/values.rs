//! Tests of values from elsewhere, over the fake policy.

use super::job;
use espalier_search::fake::{FakeJudge, FakePolicy, FakeTexts};
use espalier_search::testing::Subject;
use espalier_search::{
    Combine, Evaluation, InBatches, Policy, Score, SearchConfig, State, Stops, ValueError, ValueSource, Valuer,
    WithValues, search,
};
use espalier_tree::{NodeId, Tree, check};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// A value that is made of the state's tokens alone.
struct OfTokens {
    sleeps: bool,
    fails: fn(&State) -> bool,
}

fn value_of(ids: &[u32]) -> f32 {
    let sum: u64 = ids.iter().map(|&id| u64::from(id)).sum();
    (sum % 201) as f32 / 100.0 - 1.0
}

impl Score for OfTokens {
    fn score(&mut self, states: &[Arc<State>]) -> Vec<Result<f32, ValueError>> {
        if self.sleeps {
            thread::sleep(Duration::from_micros(300));
        }
        let value = |state: &Arc<State>| {
            assert_eq!(state.step_ends.last().map(|&end| end as usize), Some(state.prefix_ids.len()));
            if (self.fails)(state) {
                Err(ValueError::State("it is asleep".to_owned()))
            } else {
                Ok(value_of(&state.prefix_ids))
            }
        };
        states.iter().map(value).collect()
    }

    fn batch(&self) -> usize {
        3
    }
}

fn boxed(score: OfTokens) -> Box<dyn Valuer> {
    Box::new(InBatches::new(score))
}

fn source(threads: usize, sleeps: bool) -> ValueSource<'static> {
    (0..threads).map(|_| boxed(OfTokens { sleeps, fails: |_| false })).collect()
}

fn with_values<P: Policy>(policy: P, sources: Vec<ValueSource<'static>>, combine: Combine) -> WithValues<P> {
    WithValues::new(policy, sources, None, combine, |work| drop(thread::spawn(work)))
}

fn searched(policy: &mut impl Policy, leaves_per_tree: usize) -> (Vec<(u64, Tree)>, Vec<String>) {
    let evaluation = Evaluation::Outside(Arc::new("folder:x".parse().unwrap()));
    let config = SearchConfig { simulations: 20, leaves_per_tree, evaluation, ..SearchConfig::default() };
    let mut trees = Vec::new();
    let summary = search(&config, 8, &Stops::default(), (0..16).map(job), policy, &FakeJudge, |index, tree| {
        trees.push((index, tree));
        Ok(())
    });
    trees.sort_by_key(|(index, _)| *index);
    (trees, summary.unwrap().skipped.into_iter().map(|skipped| skipped.reason).collect())
}

#[test]
fn the_trees_have_the_sources_values_whatever_comes_first() {
    let fake = || FakePolicy::new(FakeTexts::new(3)).shuffled(1, 4).batched(5);
    let mut policy = with_values(fake(), vec![source(1, false)], Combine::Mean { less_sd: 0.0 });
    assert!(policy.about().has_value_head);
    let (expected, skipped) = searched(&mut policy, 1);
    assert!(expected.len() == 16 && skipped.is_empty());
    for (_, tree) in &expected {
        assert_eq!(check(tree), []);
        let valued = |id: &NodeId| tree.node(*id).is_expanded();
        for id in tree.ids().filter(valued) {
            assert_eq!(tree.node(id).value_estimate(), Some(value_of(&tree.prefix_ids(id))));
        }
    }
    for (threads, sleeps, sources) in [(4, true, 1), (2, true, 3)] {
        // Three times the same value is the value.
        let all = (0..sources).map(|_| source(threads, sleeps)).collect();
        let mut policy = with_values(fake(), all, Combine::Mean { less_sd: 2.0 });
        assert!(searched(&mut policy, 1).0 == expected, "{threads} threads, {sources} sources");
        let mut policy = with_values(fake(), vec![source(threads, sleeps)], Combine::Min);
        assert_eq!(searched(&mut policy, 4).0.len(), 16);
    }
}

#[test]
fn a_state_without_a_value_costs_its_tree_and_no_other() {
    let fake = || FakePolicy::new(FakeTexts::new(3)).batched(5);
    let mut whole = with_values(fake(), vec![source(2, false)], Combine::Min);
    let (expected, _) = searched(&mut whole, 2);
    let fails: fn(&State) -> bool = |state| state.tree % 4 == 1 && state.step_ends.len() > 1;
    let failing = vec![boxed(OfTokens { sleeps: true, fails })];
    let mut policy = with_values(fake(), vec![source(2, true), failing], Combine::Min);
    let (trees, skipped) = searched(&mut policy, 2);
    assert_eq!((trees.len(), skipped.len()), (12, 4));
    assert!(skipped[0].ends_with("it is asleep"), "{}", skipped[0]);
    assert!(trees.iter().all(|tree| expected.contains(tree)));
    assert_eq!(policy.pending(), 0);
}

fn subject() -> Subject {
    let prompt = |number: usize| format!("<question>What is {number} + 4?</question><plan>");
    Subject {
        open: Box::new(|| {
            let policy = FakePolicy::new(FakeTexts::new(3)).shuffled(5, 4).batched(2).losing("lost");
            Box::new(with_values(policy, vec![source(2, true)], Combine::Min))
        }),
        prompts: (0..6).map(prompt).collect(),
        failing_prompt: "<question>What is lost?</question><plan>".into(),
        stops: Stops { step: ["</step>", "</solution>"].map(String::from).into(), path: ["</solution>".into()].into() },
        decode: |ids| String::from_utf8_lossy(&ids.iter().map(|&id| id as u8).collect::<Vec<_>>()).into(),
    }
}

espalier_search::policy_suite!(subject());
