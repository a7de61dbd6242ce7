//! The commands with a policy on servers: a fake one, behind which the tiny policy computes.

use crate::tiny::{finished, mcts_gen, process, shared, step_train, succeed, text};
use espalier_eval::{read_samples, samples_beside};
use espalier_policy::{ModelPolicy, PolicyConfig, open_policy};
use espalier_server::testing::{Asked, Brain, Drawn, FakeServer, Fault, Manners};
use espalier_tokenizer::Tokenizer;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PROMPT: &str = "<question>Anna has 3 apples and buys 4 more. How many apples has she?</question><plan>";

/// A policy's folder as the model behind a server.
pub struct FolderBrain {
    tokenizer: Tokenizer,
    policy: Mutex<ModelPolicy>,
}

impl FolderBrain {
    pub fn new(folder: &Path) -> Arc<FolderBrain> {
        tch::set_num_threads(1);
        let policy = open_policy(folder, tch::Device::Cpu, PolicyConfig::default()).unwrap();
        Arc::new(FolderBrain { tokenizer: Tokenizer::load(folder).unwrap(), policy: Mutex::new(policy) })
    }
}

impl Brain for FolderBrain {
    fn encode(&self, text: &str) -> Vec<u32> {
        self.tokenizer.encode(text).unwrap()
    }

    fn decode(&self, ids: &[u32]) -> String {
        self.tokenizer.decode(ids)
    }

    fn draw(&self, asked: &Asked) -> Drawn {
        asked.draw_from(&mut *self.policy.lock().unwrap(), |ids| self.tokenizer.decode(ids))
    }
}

fn complete(policy: &[&str], folder: &Path, flags: &[&str]) -> Vec<Value> {
    let prompt = folder.join("prompt.txt");
    fs::write(&prompt, PROMPT).unwrap();
    let mut command = mcts_gen();
    command.args(["complete", "--threads", "1"]).args(policy).arg("--prompt-file").arg(prompt).args(flags);
    text(&succeed(&mut command).stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_server_completes_as_the_folder_does() {
    let root = tempfile::tempdir().unwrap();
    let folder = finished().join("policy-002");
    let path = folder.to_str().unwrap();
    let server = FakeServer::new(FolderBrain::new(&folder), Manners::LlamaCpp);
    let url = server.url();
    let remote = ["--policy", url.as_str(), "--tokenizer", path];
    for flags in [&["--greedy", "-n", "2"][..], &["--greedy", "--stop", "</step>"], &["--greedy", "--max-tokens", "3"]]
    {
        let (served, own) = (complete(&remote, root.path(), flags), complete(&["--policy", path], root.path(), flags));
        assert_eq!(served.len(), own.len());
        for (served, own) in served.iter().zip(&own) {
            for key in ["text", "token_ids", "ending"] {
                assert_eq!(served[key], own[key], "{flags:?}");
            }
            let numbers = |line: &Value| serde_json::from_value::<Vec<f64>>(line["logprobs"].clone()).unwrap();
            let (served, own) = (numbers(served), numbers(own));
            assert!(!own.is_empty() && served.iter().zip(&own).all(|(a, b)| (a - b).abs() < 1e-4));
        }
    }
}

/// What `step-train eval` reports, and all its samples, of the policy that the flags name.
fn evaluate(policy: &[&str], root: &Path, name: &str, flags: &[&str]) -> (Value, Vec<String>) {
    let out = root.join(name);
    let mut command = step_train();
    command.args(["eval", "--threads", "1", "--max-tokens", "60", "--problems"]);
    command.arg(shared().1.join("problems/warm_start.jsonl")).args(policy).args(flags).arg("--out").arg(&out);
    succeed(&mut command);
    let report = serde_json::from_slice(&fs::read(&out).unwrap()).unwrap();
    let samples = read_samples(&samples_beside(&out)).unwrap();
    let samples = samples.into_iter().flat_map(|problem| problem.samples);
    (report, samples.map(|sample| sample.text).collect())
}

#[test]
fn a_server_is_evaluated_as_the_folder_is() {
    let root = tempfile::tempdir().unwrap();
    let folder = finished().join("policy-002");
    let path = folder.to_str().unwrap();
    let faults = |number| if number % 7 == 5 { Fault::Status(503) } else { Fault::None };
    let server = FakeServer::with_faults(FolderBrain::new(&folder), Manners::Vllm, None, faults);
    let url = server.url();
    let served = ["--policy", url.as_str(), "--tokenizer", path];
    let (by_server, texts) = evaluate(&served, root.path(), "served.json", &[]);
    let (by_folder, own_texts) = evaluate(&["--policy", path], root.path(), "own.json", &[]);
    assert_eq!(texts, own_texts);
    assert!(texts.iter().any(|text| text.len() > 20), "{texts:?}");
    assert_eq!(by_server["groups"], by_folder["groups"]);
    assert_ne!(by_server["policy"], by_folder["policy"], "a server is another policy");
    // A search that does not see the reference works there too, by rollouts.
    let flags = ["--method", "beam", "--beam-width", "2", "--evaluation", "rollouts:1", "--limit", "2"];
    let (report, _) = evaluate(&served, root.path(), "beam.json", &flags);
    assert_eq!(report["groups"][0]["all"]["problems"], 2, "{report}");
    assert_eq!(report["skipped"].as_array().map(Vec::len), Some(0));
    // What servers cannot do is said before anything is written.
    let out = root.path().join("head.json");
    let mut command = step_train();
    command.args(["eval", "--evaluation", "value_head", "--method", "beam"]).args(served).arg("--problems");
    let output = command.arg(shared().1.join("problems/warm_start.jsonl")).arg("--out").arg(&out).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("rollouts:N") && !out.exists(), "{}", text(&output.stderr));
}

/// Whatever model is behind the server at the moment.
#[derive(Default)]
struct CurrentBrain(Mutex<Option<Arc<FolderBrain>>>);

impl CurrentBrain {
    fn now(&self) -> Arc<FolderBrain> {
        Arc::clone(self.0.lock().unwrap().as_ref().expect("no policy is served"))
    }
}

impl Brain for CurrentBrain {
    fn encode(&self, text: &str) -> Vec<u32> {
        self.now().encode(text)
    }

    fn decode(&self, ids: &[u32]) -> String {
        self.now().decode(ids)
    }

    fn draw(&self, asked: &Asked) -> Drawn {
        self.now().draw(asked)
    }
}

/// Runs a command of a run whose server comes up with each policy that `serving.command` is run for, and goes when it is
/// ended; the served policies' names, and what the command printed as an error.
fn with_serving(
    root: &Path,
    server: &FakeServer,
    brain: &CurrentBrain,
    args: &[&str],
) -> (Vec<String>, Option<i32>, String) {
    let (begun, mut served) = (root.join("begun"), Vec::new());
    let errors = root.join("errors.txt");
    let mut child = process("step-train");
    child.args(args).stdout(Stdio::null()).stderr(fs::File::create(&errors).unwrap());
    let mut child = child.spawn().unwrap();
    let status = loop {
        let serves = brain.0.lock().unwrap().is_some();
        match (fs::read_to_string(&begun), serves) {
            (Ok(policy), false) if policy.ends_with('\n') => {
                let policy = PathBuf::from(policy.trim());
                served.push(policy.file_name().unwrap().to_string_lossy().into_owned());
                *brain.0.lock().unwrap() = Some(FolderBrain::new(&policy));
                server.revive();
            }
            (Err(_), true) => {
                server.die();
                *brain.0.lock().unwrap() = None;
                fs::write(root.join("ended"), "").unwrap();
            }
            _ => {}
        }
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    (served, status.code(), fs::read_to_string(errors).unwrap())
}

#[test]
fn a_run_is_searched_by_servers_that_are_started_for_each_policy() {
    let root = tempfile::tempdir().unwrap();
    let run = crate::tiny::init(root.path(), "run");
    let brain = Arc::new(CurrentBrain::default());
    let server = FakeServer::new(Arc::clone(&brain) as Arc<dyn Brain>, Manners::Vllm);
    server.die();
    let begun = root.path().join("begun");
    // A server is told to end like this shell, which says so by removing its file, and ends when the server is gone.
    let command = format!(
        "trap 'rm {0}; while ! rm {1}; do sleep 0.01; done 2>/dev/null; exit' TERM; echo $POLICY > {0}; sleep 600 & wait",
        begun.display(),
        root.path().join("ended").display()
    );
    let serving = root.path().join("serving.toml");
    let text = format!("[serving]\nurls = [{:?}]\ncommand = {command:?}\n", server.url());
    fs::write(&serving, &text).unwrap();
    let (run, serving) = (run.to_str().unwrap(), serving.to_str().unwrap());
    let round = ["round", "--run", run, "--config", serving];

    // Values are the value head's by default, which servers do not have.
    let (served, code, error) = with_serving(root.path(), &server, &brain, &round);
    assert!(served.is_empty() && code == Some(2) && error.contains("rollouts:N or zero"), "{error}");
    let config = Path::new(run).join("config.toml");
    let edited =
        fs::read_to_string(&config).unwrap().replace("evaluation = \"value_head\"", "evaluation = \"rollouts:1\"");
    fs::write(&config, edited).unwrap();

    let all = ["round", "--run", run, "--config", serving, "--all"];
    let (served, code, error) = with_serving(root.path(), &server, &brain, &all);
    assert_eq!(code, Some(0), "{error}");
    // Round 0 evaluates policy 1; each round searches with its policy and evaluates the next one.
    assert_eq!(served, ["policy-001", "policy-001", "policy-002", "policy-002", "policy-003"]);
    assert!(!begun.exists(), "the last server was not ended");
    let trees = succeed(mcts_gen().args(["show", "--trees"]).arg(Path::new(run).join("round-001/trees")));
    assert!(!trees.stdout.is_empty());
    let manifest: Value =
        serde_json::from_slice(&fs::read(Path::new(run).join("round-001/manifest.json")).unwrap()).unwrap();
    assert!(manifest["search"]["servers"]["requests"].as_u64().unwrap() > 20, "{manifest}");

    // What is done needs no server, and one that is there already might serve any policy.
    *brain.0.lock().unwrap() = Some(FolderBrain::new(&Path::new(run).join("policy-001")));
    server.revive();
    fs::remove_file(Path::new(run).join("round-002/manifest.json")).unwrap();
    fs::remove_file(Path::new(run).join("round-002/eval.json")).unwrap();
    let output = step_train().args(all).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("before serving.command was run"), "{error}");
}

fn search_args(urls: &str, tokenizer: &Path, out: &Path) -> Vec<String> {
    let problems = shared().1.join("problems/warm_start.jsonl");
    let (problems, tokenizer, out) = (problems.to_string_lossy(), tokenizer.to_string_lossy(), out.to_string_lossy());
    let flags = [
        ("--problems", &*problems),
        ("--policy", urls),
        ("--tokenizer", &*tokenizer),
        ("--out", &*out),
        ("--simulations", "40"),
        ("--temperature", "1.3"),
        ("--max-step-tokens", "60"),
        ("--evaluation", "rollouts:1"),
        ("--in-flight", "2"),
        ("--shard-trees", "1"),
        ("--max-rows", "4"),
    ];
    let flags = flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value.to_owned()]);
    std::iter::once("search".to_owned()).chain(flags).collect()
}

/// The bytes of all shards.
fn shards(out: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<PathBuf> = fs::read_dir(out.join("trees")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "parquet"));
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

#[test]
fn a_search_survives_faults_and_kills_of_both_sides() {
    let root = tempfile::tempdir().unwrap();
    let folder = finished().join("policy-002");
    let brain = FolderBrain::new(&folder);
    let server = FakeServer::new(Arc::clone(&brain) as Arc<dyn Brain>, Manners::Vllm);
    let whole = root.path().join("whole");
    let output = succeed(mcts_gen().args(search_args(&server.url(), &folder, &whole)));
    let said = text(&output.stdout);
    assert!(said.contains("requests to servers, 0 of them failed"), "{said}");
    assert!(!said.contains("run through the model"), "{said}");

    // Two others, elsewhere, of which one fails at times and the other dies, and the searching process with it.
    let faults = |number| match number % 11 {
        5 => Fault::Status(500),
        7 => Fault::Cut,
        9 => Fault::Busy(20),
        _ => Fault::None,
    };
    let flaky = FakeServer::with_faults(Arc::clone(&brain) as Arc<dyn Brain>, Manners::Vllm, None, faults);
    let mortal = FakeServer::new(brain, Manners::Vllm);
    let killed = root.path().join("killed");
    let urls = format!("{},{}/v1#fake", flaky.url(), mortal.url());
    let args = search_args(&urls, &folder, &killed);
    let mut child = process("mcts-gen").args(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let first = killed.join("trees/part-00000.parquet");
    while !first.exists() {
        assert!(child.try_wait().unwrap().is_none(), "the search ended before its first shard was seen");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    mortal.die();
    assert!(!killed.join("trees/manifest.json").exists(), "the search was over before the kill; search more");
    let written = fs::metadata(&first).unwrap().modified().unwrap();
    let output = succeed(mcts_gen().args(&args));
    assert!(text(&output.stderr).contains("starting without"), "{}", text(&output.stderr));
    assert_eq!(fs::metadata(&first).unwrap().modified().unwrap(), written, "the first shard was written again");
    assert!(shards(&whole).len() > 5);
    assert!(shards(&killed) == shards(&whole), "the trees differ");
}

#[test]
fn what_cannot_be_served_is_said_in_one_line() {
    let root = tempfile::tempdir().unwrap();
    let folder = finished().join("policy-002");
    let server = FakeServer::with_faults(FolderBrain::new(&folder), Manners::Vllm, Some("secret"), |_| Fault::None);
    let (url, path) = (server.url(), folder.to_string_lossy().into_owned());
    let dead = "http://127.0.0.1:9";
    let cases: [(&[&str], &[&str]); 8] = [
        (&["--policy", &url], &["--tokenizer DIR"]),
        (&["--policy", &url, "--tokenizer", "nowhere"], &["nowhere", "tokenizer.json"]),
        (&["--policy", &format!("{url},localhost:1"), "--tokenizer", &path], &["localhost:1", "http://HOST:PORT"]),
        (&["--policy", &path, "--policy", &path], &["one folder"]),
        (&["--policy", &path, "--tokenizer", &path], &["--tokenizer", "not with a folder"]),
        (&["--policy", &url, "--tokenizer", &path, "--evaluation", "value_head"], &["value_head", "rollouts:N"]),
        (&["--policy", &url, "--tokenizer", &path], &["401", "OPENAI_API_KEY"]),
        (&["--policy", dead, "--tokenizer", &path, "--request-timeout", "0.3"], &["no server answers", dead]),
    ];
    for (flags, words) in cases {
        let out = root.path().join("out");
        let mut command = mcts_gen();
        command.args(["search", "--problems"]).arg(shared().1.join("problems/warm_start.jsonl"));
        let output = command.args(flags).arg("--out").arg(&out).env_remove("OPENAI_API_KEY").output().unwrap();
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {message}");
        let last = message.lines().last().unwrap();
        for word in words {
            assert!(last.contains(word), "{word:?} is not in: {message}");
        }
        assert!(!out.exists(), "{flags:?} left something behind");
    }
    // With the key it works.
    let mut command = mcts_gen();
    let prompt = root.path().join("prompt.txt");
    fs::write(&prompt, PROMPT).unwrap();
    command.args(["complete", "--policy", &url, "--tokenizer", &path, "--prompt-file"]).arg(&prompt);
    succeed(command.env("OPENAI_API_KEY", "secret\n"));
}
