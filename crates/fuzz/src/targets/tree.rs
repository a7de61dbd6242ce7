//! Readers of trees and of what is taken from trees: shards, pairs, ranked lists, journals.

use super::files::with_checksums;
use super::parquet_seed::plain;
use super::{Begun, Target};
use crate::scratch::Scratch;
use espalier_search::fake::{FakeJudge, FakePolicy, FakeTexts};
use espalier_search::{SearchConfig, Stops, TreeJob, search};
use espalier_tree::{
    Journal, PairInfo, PairRules, ShardInfo, Tree, TreeInfo, arrange_pairs, check, load_pairs, load_ranked_lists,
    outcome_pairs, pair_rules, policy_hash, ranked_lists, read_shard, read_shard_info, select_pairs, sft_paths,
    value_examples, write_pairs, write_ranked_lists, write_shard,
};

const COLUMNS: &[&str] = &["PAR1", "espalier.format_version", "tree_seed", "node", "parent", "plan", "solution"];

pub(super) const TARGETS: [Target; 4] = [
    Target { name: "trees", share: 20, words: COLUMNS, begin: trees },
    Target { name: "pairs", share: 20, words: COLUMNS, begin: pairs },
    Target { name: "lists", share: 150, words: &["response_ids", "q", "visits", "kind", "plan"], begin: lists },
    Target { name: "journal-trees", share: 100, words: &["ESPJRNL1"], begin: journal },
];

/// Trees as a search grows them.
fn grown() -> Vec<Tree> {
    let jobs = (0..2).map(|index| TreeJob {
        index,
        info: TreeInfo {
            run_id: "fuzz".into(),
            round: 1,
            problem_id: format!("p{index}"),
            question: "What is 3 + 4?".into(),
            reference_answer: "7".into(),
            tree_seed: index,
        },
        prompt: "<question>What is 3 + 4?</question><plan>".into(),
    });
    let config = SearchConfig { simulations: 12, ..SearchConfig::default() };
    let ends = ["</step>", "</solution>"].map(String::from);
    let stops = Stops { path: vec![ends[1].clone()].into(), step: ends.into() };
    let mut trees = Vec::new();
    let policy = &mut FakePolicy::new(FakeTexts::new(1));
    let found = search(&config, 64, &stops, jobs, policy, &FakeJudge, |_, tree| {
        trees.push(tree);
        Ok(())
    });
    found.expect("the fake policy answers");
    trees
}

/// What is done with every tree that is read.
fn learn(trees: &[Tree]) {
    let rules = PairRules::default();
    for tree in trees {
        let violations = check(tree);
        ranked_lists(tree, &rules);
        outcome_pairs(tree, 4, 1);
        value_examples(tree);
        sft_paths(tree, 4, 1);
        arrange_pairs(select_pairs(tree, &rules), &rules);
        violations.iter().for_each(|violation| drop(violation.to_string()));
    }
}

fn trees(scratch: Scratch) -> Begun {
    let path = scratch.file("part-00000.parquet");
    write_shard(&path, &grown(), &ShardInfo::default()).expect("trees can be written");
    let mut seeds = plain(&path).to_vec();
    seeds.push(scratch.take("part-00000.parquet"));
    Begun::new(seeds, move |input| {
        let path = scratch.put("part-00000.parquet", input);
        let info = read_shard_info(&path);
        drop((info, policy_hash(&path)));
        let trees = read_shard(&path);
        if let Ok(trees) = &trees {
            learn(trees);
        }
        trees.is_ok()
    })
}

fn pairs(scratch: Scratch) -> Begun {
    let path = scratch.file("part-00000.parquet");
    let pairs: Vec<_> = grown().iter().flat_map(|tree| select_pairs(tree, &PairRules::default())).collect();
    write_pairs(&path, &pairs, &PairInfo::default()).expect("pairs can be written");
    let mut seeds = plain(&path).to_vec();
    seeds.push(scratch.take("part-00000.parquet"));
    Begun::new(seeds, move |input| {
        let path = scratch.put("part-00000.parquet", input);
        drop((pair_rules(&path), policy_hash(&path)));
        let Ok(loaded) = load_pairs(&path) else { return false };
        let sums = loaded.examples.iter().map(espalier_tree::StepPair::step_logprobs);
        assert_eq!(sums.count(), loaded.examples.len());
        arrange_pairs(loaded.examples, &PairRules::default());
        true
    })
}

fn lists(scratch: Scratch) -> Begun {
    let path = scratch.file("lists.jsonl");
    let trees = grown().into_iter().map(Ok);
    write_ranked_lists(&path, trees, &PairRules::default()).expect("lists can be written");
    let text = scratch.take("lists.jsonl");
    let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').take(6).collect();
    Begun::new([lines[0].to_vec(), lines.concat()], move |input| {
        load_ranked_lists(&scratch.put("lists.jsonl", input)).is_ok_and(|loaded| !loaded.examples.is_empty())
    })
}

fn journal(scratch: Scratch) -> Begun {
    let path = scratch.file("trees.journal");
    let (mut journal, _) = Journal::open(&path).expect("a new journal");
    let mut seeds = Vec::new();
    for (index, tree) in grown().iter().enumerate() {
        journal.append(index as u64, tree).expect("a tree can be written");
        seeds.push(scratch.take("trees.journal"));
    }
    Begun::new(seeds, move |input| {
        let path = scratch.put("trees.journal", &with_checksums(input));
        let Ok((journal, trees)) = Journal::open(&path) else { return false };
        drop(journal);
        let trees: Vec<Tree> = trees.into_iter().map(|(_, tree)| tree).collect();
        learn(&trees);
        let again = Journal::open(&path).map(|(_, again)| again.len());
        assert!(again.is_ok_and(|again| again == trees.len()), "a journal that was opened is read again");
        !trees.is_empty()
    })
}
