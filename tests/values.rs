//! Values from elsewhere: each source against what it is made of, on a run's own policies and problems.

use crate::serve::Served;
use crate::tiny::{finished, mcts_gen, shared, step_train, succeed, text};
use assert_cmd::Command;
use espalier_model::Transformer;
use espalier_policy::{Scoring, score};
use espalier_server::testing::{Elsewhere, FakeServer, Manners};
use espalier_tokenizer::Tokenizer;
use espalier_tree::{NodeId, Tree, check, read_trees};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

fn policy(round: u32) -> PathBuf {
    finished().join(format!("policy-{round:03}"))
}

fn problems() -> PathBuf {
    shared().1.join("problems/warm_start.jsonl")
}

/// A search by the policy of a round; that of the first has no value head.
fn search(round: u32, evaluation: &str, out: &Path, more: &[&str]) -> Command {
    let policy = policy(round);
    search_by(&["--threads", "1", "--policy", policy.to_str().unwrap()], evaluation, out, more)
}

fn search_by(policy: &[&str], evaluation: &str, out: &Path, more: &[&str]) -> Command {
    let mut command = mcts_gen();
    command.args(["search", "--simulations", "6", "--temperature", "1.2", "--max-step-tokens", "60"]);
    command.args(["--evaluation", evaluation]).args(policy).args(more);
    command.arg("--problems").arg(problems()).arg("--out").arg(out);
    command
}

/// The trees of a policy behind our own server, which has this folder.
fn searched_on(server: &Served, folder: &Path, evaluation: &str, out: &Path, more: &[&str]) -> Vec<Tree> {
    let policy = ["--policy", &server.url, "--tokenizer", folder.to_str().unwrap()];
    succeed(&mut search_by(&policy, evaluation, out, more));
    trees(out)
}

fn trees(folder: &Path) -> Vec<Tree> {
    let trees: Vec<Tree> = read_trees(&folder.join("trees")).unwrap().map(Result::unwrap).collect();
    trees.iter().for_each(|tree| assert_eq!(check(tree), []));
    assert_eq!(trees.len(), 12);
    trees
}

fn searched(round: u32, evaluation: &str, out: &Path, more: &[&str]) -> Vec<Tree> {
    succeed(&mut search(round, evaluation, out, more));
    trees(out)
}

/// The states of some trees that have a value: tokens, where the last step begins, depth, and the value.
fn valued(trees: &[Tree]) -> Vec<(Vec<u32>, usize, usize, f32)> {
    let of = |tree: &Tree| -> Vec<_> {
        let expanded = tree.ids().filter(|&id| tree.node(id).is_expanded());
        let state = |id: NodeId| {
            let ids = tree.prefix_ids(id);
            let depth = usize::from(tree.node(id).depth);
            let start = if depth == 0 { ids.len() } else { ids.len() - tree.token_ids(id).len() };
            (ids, start, depth, tree.node(id).value_estimate().expect("it was valued"))
        };
        expanded.map(state).collect()
    };
    trees.iter().flat_map(of).collect()
}

/// One test, since each would make the run anew.
#[test]
fn every_source_gives_the_values_that_it_is_made_of() {
    the_own_folder_as_a_source_gives_the_trees_of_the_own_head();
    a_policy_without_a_head_has_the_values_of_another_s();
    the_implicit_value_is_what_two_models_say_of_the_last_step();
    the_own_opinion_is_what_the_model_says_of_yes_and_no();
    a_prover_s_paths_are_judged_in_whatever_batch();
    our_own_server_s_values_are_those_of_the_folder();
    a_head_behind_vllm_is_asked_by_token_ids();
    a_server_s_numbers_are_values_and_its_death_loses_nothing();
}

fn our_own_server_s_values_are_those_of_the_folder() {
    let root = tempfile::tempdir().unwrap();
    let folder = policy(2);
    let server = Served::new(&["--policy", folder.to_str().unwrap()]);
    let expected = searched(2, "value_head", &root.path().join("head"), &[]);
    let evaluation = format!("server:{}", server.url);
    assert!(searched(2, &evaluation, &root.path().join("served"), &[]) == expected);
    // A policy on servers has values, too: here from another server than the one that samples.
    let sampler = Served::new(&["--policy", folder.to_str().unwrap()]);
    let both = searched_on(&sampler, &folder, &evaluation, &root.path().join("both"), &[]);
    let model = model(&folder);
    for (ids, _, _, value) in valued(&both) {
        let expected = score(&model, &[Scoring { prompt_len: ids.len(), ids }]).unwrap()[0].value.unwrap();
        assert!((value - expected).abs() < 1e-5, "{value} is not {expected}");
    }
    assert_eq!((server.ended(), sampler.ended()), (Some(0), Some(0)));
}

const STEP_END: &str = "<extra_0>";

fn reward(step: &str) -> f64 {
    step.chars().filter(|&letter| letter != 'e').count() as f64 / step.chars().count().max(1) as f64
}

/// A process reward model: of each step the share of its letters that are no e, until it has answered so often and falls ill.
fn rewards(left: &AtomicI64, path: &str, body: &Value) -> Option<(u16, Value)> {
    assert_eq!(path, "/pooling");
    if left.fetch_sub(1, Ordering::SeqCst) <= 0 {
        return Some((503, json!({ "error": { "message": "ill" } })));
    }
    let rewards = |text: &Value| -> Value {
        let (steps, _) = text.as_str().unwrap().rsplit_once(STEP_END).unwrap();
        // What stands before the first step is the question.
        steps.split(STEP_END).map(|step| json!([1.0 - reward(step), reward(step)])).collect()
    };
    pooled(body, rewards)
}

/// vLLM's answer, with such data of each input.
fn pooled(body: &Value, data: impl Fn(&Value) -> Value) -> Option<(u16, Value)> {
    let inputs = body["input"].as_array()?.iter();
    let data: Value = inputs.enumerate().map(|(at, input)| json!({ "index": at, "data": data(input) })).collect();
    Some((200, json!({ "data": data })))
}

/// A head behind vLLM, which has no /value: of token ids the share that are even, as a probability.
fn even_shares(path: &str, body: &Value) -> Option<(u16, Value)> {
    let share = |ids: &Value| json!([evens(&serde_json::from_value::<Vec<u32>>(ids.clone()).unwrap())]);
    (path == "/pooling").then(|| pooled(body, share))?
}

fn evens(ids: &[u32]) -> f64 {
    ids.iter().filter(|&id| id % 2 == 0).count() as f64 / ids.len() as f64
}

fn a_head_behind_vllm_is_asked_by_token_ids() {
    let root = tempfile::tempdir().unwrap();
    let server = FakeServer::new(Arc::new(Elsewhere(even_shares)), Manners::Vllm);
    for (ids, _, _, value) in valued(&searched(1, &format!("server:{}", server.url()), &root.path().join("trees"), &[]))
    {
        assert!((f64::from(value) - (2.0 * evens(&ids) - 1.0)).abs() < 1e-6, "{value} of {ids:?}");
    }
}

fn a_server_s_numbers_are_values_and_its_death_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let config = root.path().join("values.toml");
    let template = "{% for step in steps %}{{ step }}{{ step_end }}{% endfor %}";
    let patience = "patience_s = 1.0\nfailures = 2\n";
    let settings = format!("[values]\nreads = 'steps'\n[values.server]\n{patience}template = \"{template}\"\n");
    fs::write(&config, settings).unwrap();
    let more = ["--config", config.to_str().unwrap()];
    let server = |left: &Arc<AtomicI64>| {
        let left = Arc::clone(left);
        let brain = Elsewhere(move |path: &str, body: &Value| rewards(&left, path, body));
        FakeServer::new(Arc::new(brain), Manners::Vllm)
    };
    let well = server(&Arc::new(AtomicI64::new(i64::MAX)));
    let expected = searched(1, &format!("server:{}", well.url()), &root.path().join("whole"), &more);
    let mut seen = 0;
    for tree in &expected {
        for id in tree.ids().filter(|&id| tree.node(id).is_expanded()) {
            let last = tree.text(id);
            let expected = if id == NodeId::ROOT { 0.0 } else { 2.0 * reward(last) - 1.0 };
            let value = f64::from(tree.node(id).value_estimate().unwrap());
            assert!((value - expected).abs() < 1e-6, "{value} is not {expected} of {last:?}");
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen}");
    // The server dies in the middle; at the same address another one takes its place.
    let left = Arc::new(AtomicI64::new(8));
    let ill = server(&left);
    let (evaluation, out) = (format!("server:{}", ill.url()), root.path().join("broken"));
    let output = search(1, &evaluation, &out, &more).output().unwrap();
    let error = text(&output.stderr);
    assert!(!output.status.success() && error.contains("a source of values has ended"), "{error}");
    left.store(i64::MAX, Ordering::SeqCst);
    assert!(searched(1, &evaluation, &out, &more) == expected);
}

fn model(folder: &Path) -> Transformer {
    tch::set_num_threads(1);
    Transformer::load(folder, tch::Device::Cpu, tch::Kind::Float).unwrap()
}

fn the_own_folder_as_a_source_gives_the_trees_of_the_own_head() {
    let root = tempfile::tempdir().unwrap();
    let expected = searched(2, "value_head", &root.path().join("head"), &[]);
    for (place, form) in ["folder:P", "mean-2sd(folder:P,folder:P)", "min(folder:P)"].into_iter().enumerate() {
        let evaluation = form.replace('P', policy(2).to_str().unwrap());
        let found = searched(2, &evaluation, &root.path().join(place.to_string()), &["--device", "cpu,cpu"]);
        assert!(found == expected, "{form}");
    }
}

fn a_policy_without_a_head_has_the_values_of_another_s() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("other");
    let evaluation = format!("folder:{}", policy(2).display());
    let model = model(&policy(2));
    for (ids, _, _, value) in valued(&searched(1, &evaluation, &out, &[])) {
        let expected = score(&model, &[Scoring { prompt_len: ids.len(), ids }]).unwrap()[0].value.unwrap();
        assert!((value - expected).abs() < 1e-5, "{value} is not {expected}");
    }
    // What the values are of decides the stage.
    let output = search(1, "zero", &out, &[]).output().unwrap();
    assert!(!output.status.success() && text(&output.stderr).contains("search.evaluation"), "{}", text(&output.stderr));
    let identity = fs::read_to_string(out.join("trees/stage.json")).unwrap();
    assert!(identity.matches(&evaluation).count() >= 2, "{identity}");
}

fn the_implicit_value_is_what_two_models_say_of_the_last_step() {
    let root = tempfile::tempdir().unwrap();
    let config = root.path().join("values.toml");
    fs::write(&config, "[values]\nbeta = 10.0\n").unwrap();
    let evaluation = format!("implicit:{}", policy(2).display());
    let trees = searched(1, &evaluation, &root.path().join("trees"), &["--config", config.to_str().unwrap()]);
    let (trained, reference) = (model(&policy(2)), model(&policy(1)));
    let mut moved = 0;
    for (ids, start, depth, value) in valued(&trees) {
        if depth == 0 {
            assert_eq!(value, 0.0);
            continue;
        }
        let sum = |model: &Transformer| -> f64 {
            let text = [Scoring { ids: ids.clone(), prompt_len: start }];
            score(model, &text).unwrap()[0].logprobs.iter().copied().map(f64::from).sum()
        };
        let expected = (10.0 * (sum(&trained) - sum(&reference))).clamp(-1.0, 1.0);
        assert!((f64::from(value) - expected).abs() < 1e-3, "{value} is not {expected}");
        moved += u32::from(expected.abs() > 1e-2);
    }
    assert!(moved >= 5, "the two policies differ at {moved} steps");
}

fn the_own_opinion_is_what_the_model_says_of_yes_and_no() {
    let root = tempfile::tempdir().unwrap();
    // The policy has only ever seen its problems: it is asked in their words.
    let config = root.path().join("values.toml");
    fs::write(&config, format!("[values]\nquestion = '{QUESTION}'\nyes = {YES:?}\nno = {NO:?}\n")).unwrap();
    let more = ["--config", config.to_str().unwrap()];
    let spoken = opinions(&searched(1, "self", &root.path().join("trees"), &more));
    assert!(spoken > 5, "it had an opinion of {spoken} states");
    // On a server it is asked the same.
    let folder = policy(1);
    let server = Served::new(&["--policy", folder.to_str().unwrap()]);
    let served = searched_on(&server, &folder, "self", &root.path().join("served"), &more);
    assert!(opinions(&served) > 0);
}

const QUESTION: &str = "<step>";
const YES: [&str; 3] = ["P", "a", "c"];
const NO: [&str; 8] = ["0", "1", "2", "3", "T", "t", " ", "s"];

/// Checks the values of a third of the states, and counts those of which the policy has an opinion.
fn opinions(trees: &[Tree]) -> usize {
    let (tokenizer, model) = (Tokenizer::load(&policy(1)).unwrap(), model(&policy(1)));
    let question = tokenizer.encode(QUESTION).unwrap();
    let first = |word: &&str| tokenizer.encode(&format!("{QUESTION}{word}")).unwrap()[question.len()];
    let (yes, no): (Vec<u32>, Vec<u32>) = (YES.iter().map(first).collect(), NO.iter().map(first).collect());
    let mut spoken = 0;
    for (ids, _, depth, value) in valued(trees).into_iter().step_by(3) {
        let before = [&ids[..], &question].concat();
        let text = |id: u32| Scoring { ids: [&before[..], &[id]].concat(), prompt_len: before.len() };
        let scored = score(&model, &(0..tokenizer.vocab_size() as u32).map(text).collect::<Vec<_>>()).unwrap();
        let mut all: Vec<(u32, f32)> = (0..).zip(scored).map(|(id, scored)| (id, scored.logprobs[0])).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        let of = |words: &[u32]| -> f64 {
            all[..20].iter().filter(|(id, _)| words.contains(id)).map(|(_, logprob)| f64::from(*logprob).exp()).sum()
        };
        let (yes, no) = (of(&yes), of(&no));
        let expected = if depth == 0 || yes + no == 0.0 { 0.0 } else { (yes - no) / (yes + no) };
        assert!((f64::from(value) - expected).abs() < 1e-3, "{value} is not {expected} at depth {depth}");
        spoken += usize::from(expected != 0.0);
    }
    spoken
}

fn a_prover_s_paths_are_judged_in_whatever_batch() {
    let root = tempfile::tempdir().unwrap();
    let evaluation = format!("prover:{}", policy(2).display());
    let out = root.path().join("trees");
    let expected = searched(1, &evaluation, &out, &[]);
    let values: Vec<f32> = valued(&expected).into_iter().map(|(.., value)| value).collect();
    // The mean of four rewards of 1 and -1.
    assert!(values.iter().all(|value| [-1.0, -0.5, 0.0, 0.5, 1.0].contains(value)), "{values:?}");
    assert!(values.iter().any(|&value| value > -1.0), "it never finds a way to the end");
    // Of another width of batch, and of trees at a time.
    let narrow = root.path().join("narrow");
    assert_eq!(searched(1, &evaluation, &narrow, &["--max-rows", "5", "--in-flight", "2"]), expected);
}

#[test]
fn sources_that_cannot_be_asked_are_refused_before_anything_is_searched() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("trees");
    // One more line is another tokenizer: what is in the file is not compared.
    let other = root.path().join("other");
    fs::create_dir(&other).unwrap();
    for file in fs::read_dir(policy(2)).unwrap().map(Result::unwrap).filter(|file| file.path().is_file()) {
        fs::copy(file.path(), other.join(file.file_name())).unwrap();
    }
    let tokenizer = fs::read_to_string(other.join("tokenizer.json")).unwrap();
    fs::write(other.join("tokenizer.json"), tokenizer + "\n").unwrap();
    let cases = [
        ("folder:nowhere".to_owned(), "nowhere is not a folder"),
        (format!("folder:{}", policy(1).display()), "has no value_head.safetensors; take a folder of"),
        (format!("folder:{}", other.display()), "has another tokenizer than the policy"),
        (format!("implicit:{}", other.display()), "has another tokenizer than the policy"),
        ("mean(self,self)".to_owned(), "name self once"),
        ("prover:http://".to_owned(), "http://"),
        ("min()".to_owned(), "must be value_head, rollouts:N, zero, folder:DIR"),
    ];
    for (evaluation, said) in cases {
        let output = search(1, &evaluation, &out, &[]).output().unwrap();
        let error = text(&output.stderr);
        assert!(!output.status.success() && error.contains(said), "{evaluation}: {error}");
        assert!(!out.exists() || fs::read_dir(&out).unwrap().next().is_none(), "{evaluation}");
    }
    // An evaluation must not look at references; a search that is led by a head of another model may.
    let mut eval = step_train();
    eval.args(["eval", "--threads", "1", "--method", "mcts", "--simulations", "4", "--max-tokens", "60", "--policy"]);
    eval.arg(policy(1)).arg("--problems").arg(problems()).arg("--out").arg(root.path().join("eval.json"));
    let refused = eval.args(["--evaluation", &format!("prover:{}", policy(2).display())]).output().unwrap();
    assert!(text(&refused.stderr).contains("references, which must not be looked at"), "{}", text(&refused.stderr));
}
