use espalier_tree::*;
use rand::{RngExt, SeedableRng};
use std::path::Path;
use std::time::Instant;

fn tree(i: u64) -> Tree {
    let mut r = rand_chacha::ChaCha8Rng::seed_from_u64(i);
    let info = TreeInfo { run_id: "run".into(), round: 1, problem_id: format!("gsm8k-{i}"), question: "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. How many clips?".into(), reference_answer: "72".into(), tree_seed: i * 77 };
    let prompt: Vec<u32> = (0..80).map(|_| r.random_range(0..32000)).collect();
    let mut t = Tree::new(info, "<question>Natalia sold clips to 48 of her friends in April</question><plan>", &prompt);
    let mut next = 0u32;
    for _ in 0..200 {
        let leaf = loop { let id = NodeId(next); next += 1; if !t.node(id).ending.is_terminal() { break id } };
        let steps: Vec<NewNode> = (0..3).map(|k| {
            let n = r.random_range(20..100);
            let ids: Vec<u32> = (0..n).map(|_| { let x: f32 = r.random(); (x.powi(4) * 32000.0) as u32 }).collect();
            let lp: Vec<f32> = (0..n).map(|_| -r.random_range(0.0..2.0_f32).powi(3)).collect();
            let text = format!("<step>Plan {k}: {}</step>", ids.iter().map(|x| format!(" w{}", x % 997)).collect::<String>());
            let sol = k == 2 && r.random_range(0..2) == 0;
            let good = r.random_range(0..2) == 0;
            NewNode { kind: if sol { Kind::Solution } else { Kind::Plan }, text, token_ids: ids, logprobs: lp, prior: r.random(), ending: if !sol { Ending::None } else if good { Ending::Correct } else { Ending::Wrong }, reward: sol.then_some(if good { 1.0 } else { -1.0 }), answer: sol.then(|| "72".to_string()) }
        }).collect();
        let v: f32 = r.random_range(-1.0..1.0);
        t.set_value_estimate(leaf, v);
        t.back_up(leaf, f64::from(v));
        let c = t.expand(leaf, &steps);
        for (c, s) in c.zip(&steps) { if let Some(x) = s.reward { t.back_up(NodeId(c), f64::from(x)); } }
    }
    t
}

#[test]
fn measure() {
    let dir = Path::new("/tmp/tree_check");
    let trees: Vec<Tree> = (0..100).map(tree).collect();
    let nodes: usize = trees.iter().map(Tree::len).sum();
    let tokens: usize = trees.iter().flat_map(|t| t.ids().map(|i| t.token_ids(i).len()).collect::<Vec<_>>()).sum();
    println!("nodes {nodes} tokens {tokens}");
    for _ in 0..2 {
    let t0 = Instant::now();
    let path = dir.join("part-00000.parquet");
    write_shard(&path, &trees, &ShardInfo { config: "a = 1".into(), ..ShardInfo::default() }).unwrap();
    println!("write_shard {:?} {} bytes", t0.elapsed(), std::fs::metadata(&path).unwrap().len());
    let t0 = Instant::now();
    let back = read_shard(&path).unwrap();
    println!("read_shard {:?}", t0.elapsed());
    assert!(back == trees);
    }
    let j = dir.join("journal.bin");
    let _ = std::fs::remove_file(&j);
    let (mut journal, _) = Journal::open(&j).unwrap();
    let t0 = Instant::now();
    for (i, t) in trees.iter().enumerate() { journal.append(i as u64, t).unwrap(); }
    println!("journal append {:?} {} bytes", t0.elapsed(), std::fs::metadata(&j).unwrap().len());
    let t0 = Instant::now();
    assert!(Journal::open(&j).unwrap().1.len() == 100);
    println!("journal open {:?}", t0.elapsed());
    let t0 = Instant::now();
    let pairs: Vec<StepPair> = trees.iter().flat_map(|t| select_pairs(t, &PairRules::default())).collect();
    println!("select {:?} {} pairs", t0.elapsed(), pairs.len());
    std::fs::create_dir_all(dir.join("pairs")).unwrap();
    let p = dir.join("pairs/part-00000.parquet");
    let t0 = Instant::now();
    write_pairs(&p, &pairs, &PairInfo::default()).unwrap();
    println!("write_pairs {:?} {} bytes", t0.elapsed(), std::fs::metadata(&p).unwrap().len());
    let t0 = Instant::now();
    assert!(read_pairs(&p).unwrap() == pairs);
    println!("read_pairs {:?}", t0.elapsed());
    write_llama_factory(&dir.join("lf.jsonl"), &pairs).unwrap();
    write_step_dpo(&dir.join("sd.jsonl"), &pairs, read_trees(&dir.join("part-00000.parquet")).unwrap()).unwrap();
    for t in &trees { assert!(check(t).is_empty()); }
    for other in ["duck.parquet", "hf.parquet", "pandas.parquet"] {
        let o = dir.join(other);
        if o.exists() { match read_pairs(&o) { Ok(x) => println!("{other} same: {}", x == pairs), Err(e) => println!("{other}: {e}") } }
    }
}
