//! Shards hold the same bytes however the search was run.

use espalier_rounds::stage::shards::Shards;
use espalier_search::fake::{FakeJudge, FakePolicy, FakeTexts};
use espalier_search::{Judge, Place, SearchConfig, SearchError, Stops, Strategy, TreeJob, Verdict, search};
use espalier_tree::{ShardInfo, TreeInfo, check, read_trees};
use std::fs;
use std::path::Path;
use std::time::Duration;

const PROBLEMS: u64 = 50;

fn job(index: u64) -> TreeJob {
    let info = TreeInfo {
        run_id: "run".into(),
        round: 1,
        problem_id: format!("p{index}"),
        question: format!("What is {index} + 7?"),
        reference_answer: "7".into(),
        tree_seed: 1000 + index,
    };
    TreeJob { index, prompt: format!("<question>{}</question><plan>", info.question), info }
}

/// So slow that the engine gives the trees to all its threads.
struct SlowJudge;

impl Judge for SlowJudge {
    fn judge(&self, at: Place<'_>, text: &str) -> Verdict {
        std::thread::sleep(Duration::from_micros(20));
        FakeJudge.judge(at, text)
    }

    fn judge_path(&self, at: Place<'_>, text: &str) -> Verdict {
        FakeJudge.judge_path(at, text)
    }
}

/// The bytes of all shards, in order.
fn written(
    config: &SearchConfig,
    in_flight: usize,
    threads: usize,
    policy: &mut FakePolicy,
    folder: &Path,
) -> Vec<Vec<u8>> {
    let mut shards = Shards::open(folder, ShardInfo::default(), 8, PROBLEMS as usize).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let on_tree = |index, tree| shards.add(index, &tree).map_err(|error| SearchError::Sink(error.into()));
    pool.install(|| search(config, in_flight, &Stops::default(), (0..PROBLEMS).map(job), policy, &SlowJudge, on_tree))
        .unwrap();
    shards.close().unwrap();
    (0..PROBLEMS.div_ceil(8)).map(|shard| fs::read(folder.join(format!("part-{shard:05}.parquet"))).unwrap()).collect()
}

#[test]
fn threads_and_trees_in_flight_change_no_byte() {
    let root = tempfile::tempdir().unwrap();
    let base = SearchConfig { simulations: 12, ..SearchConfig::default() };
    let configs = [
        ("plain", base.clone()),
        ("leaves", SearchConfig { leaves_per_tree: 3, ..base.clone() }),
        ("beam", SearchConfig { strategy: Strategy::Beam { width: 2 }, ..base.clone() }),
    ];
    for (name, config) in configs {
        let at = |run: &str| root.path().join(format!("{name}-{run}"));
        let expected = written(&config, 1, 1, &mut FakePolicy::new(FakeTexts::new(9)), &at("one"));
        for (threads, in_flight, seed, delay, batch) in [(2, 7, 1, 4, 5), (8, 50, 2, 9, 1000), (8, 1000, 3, 2, 20)] {
            let mut policy = FakePolicy::new(FakeTexts::new(9)).shuffled(seed, delay).batched(batch);
            let shards = written(&config, in_flight, threads, &mut policy, &at(&format!("{threads}-{in_flight}")));
            assert!(shards == expected, "{name}, {threads} threads, {in_flight} in flight");
        }
        let trees: Vec<_> = read_trees(&at("one")).unwrap().map(Result::unwrap).collect();
        assert!(
            trees.iter().map(|tree| tree.info.problem_id.clone()).eq((0..PROBLEMS).map(|index| format!("p{index}")))
        );
        assert!(trees.iter().all(|tree| check(tree).is_empty()));
    }
}
