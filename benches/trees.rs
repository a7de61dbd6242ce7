//! What a tree takes in memory and on disk, and how fast trees become Parquet and come back.
//!
//! `cargo bench -p espalier-search --bench trees` searches 300 trees of fake texts and prints the medians of five runs.

#![allow(missing_docs, reason = "a program")]

use espalier_search::fake::{FakeJudge, FakePolicy, FakeTexts};
use espalier_search::{SearchConfig, TreeJob, search};
use espalier_tree::{MemoryBytes, ShardInfo, Tree, TreeInfo, read_shard, write_shard};
use std::error::Error;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut trees = Vec::new();
    let config = SearchConfig::default();
    search(&config, 64, (0..300).map(job), &mut FakePolicy::new(FakeTexts::new(1)), &FakeJudge, |_, tree| {
        trees.push(tree);
        Ok(())
    })?;
    let nodes: usize = trees.iter().map(Tree::len).sum();
    let tokens: usize = trees.iter().flat_map(|tree| tree.ids().map(|id| tree.token_ids(id).len())).sum();
    let memory = trees.iter().map(Tree::memory_bytes).fold(MemoryBytes::default(), |sum, one| MemoryBytes {
        nodes: sum.nodes + one.nodes,
        tokens: sum.tokens + one.tokens,
        text: sum.text + one.text,
    });
    let per_node = |bytes: usize| bytes as f64 / nodes as f64;
    println!(
        "memory: {:.1} bytes a node, and for its {:.1} tokens {:.1} bytes with log-probabilities and {:.1} of text \
         ({} nodes in {} trees)",
        per_node(memory.nodes),
        per_node(tokens),
        per_node(memory.tokens),
        per_node(memory.text),
        nodes,
        trees.len()
    );

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("part-00000.parquet");
    let (mut written, mut read) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let begun = Instant::now();
        write_shard(&path, &trees, &ShardInfo::default())?;
        written.push(nodes as f64 / begun.elapsed().as_secs_f64());
        let begun = Instant::now();
        assert_eq!(read_shard(&path)?.len(), trees.len());
        read.push(nodes as f64 / begun.elapsed().as_secs_f64());
    }
    written.sort_by(f64::total_cmp);
    read.sort_by(f64::total_cmp);
    println!(
        "Parquet: {:.0} thousand rows/s written, {:.0} thousand rows/s read, {:.1} bytes a node on disk",
        written[2] / 1e3,
        read[2] / 1e3,
        std::fs::metadata(&path)?.len() as f64 / nodes as f64
    );
    Ok(())
}

fn job(index: u64) -> TreeJob {
    let info = TreeInfo {
        run_id: "bench".into(),
        round: 1,
        problem_id: format!("problem-{index}"),
        question: format!("Tom has {index} apples and buys 7 more. How many has he?"),
        reference_answer: "7".into(),
        tree_seed: index,
    };
    TreeJob { index, prompt: format!("<question>{}</question><plan>", info.question), info }
}
