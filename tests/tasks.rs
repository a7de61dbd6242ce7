//! Tasks of one's own from the command line, over a fake server and without LibTorch: tried, searched, solved, diagnosed.

#![allow(missing_docs, reason = "a test binary has no readers of its documentation")]
#![allow(clippy::disallowed_methods, reason = "tests make and break files")]

use assert_cmd::Command;
use espalier_server::testing::{Asked, Brain, Drawn, FakeServer, Manners};
use espalier_tokenizer::Tokenizer;
use espalier_tree::{Ending, Tree, read_trees};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// A chat template that begins with a token, as Llama's does.
const CHAT: &str = "<s>{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[bot]";

const LINES: &str = r#"
about = "A step a line"
chat = true
system = "Think in lines.{% if slots.tag %} Be {{ slots.tag }}.{% endif %}"
answer = { regex = 'Answer: *(\d+)' }
[slots]
tag = ""
[step]
end = "\n"
max_tokens = 40
[solution]
end = ""
"#;

/// What a model says to a text that it was given, by the seed.
type Says = fn(&str, u64) -> String;

struct Talker(Tokenizer, Says);

impl Brain for Talker {
    fn encode(&self, text: &str) -> Vec<u32> {
        self.0.encode(text).unwrap()
    }

    fn decode(&self, ids: &[u32]) -> String {
        self.0.decode(ids)
    }

    fn draw(&self, asked: &Asked) -> Drawn {
        let mut ids = self.encode(&(self.1)(&self.decode(&asked.prefix_ids), asked.seed));
        let is_stopped = ids.len() <= asked.max_tokens;
        ids.truncate(asked.max_tokens);
        Drawn { logprobs: vec![-0.25; ids.len()], text: self.decode(&ids), ids, is_stopped }
    }
}

/// A line of thought, then the answer, right or wrong.
fn thinks(prefix: &str, seed: u64) -> String {
    // What the program asks at the start, to know the server's tokenizer, is no conversation; nor is a task with shots.
    let Some((asked, so_far)) = prefix.split_once("[bot]") else { return "3 + 4 = 7.\n".to_owned() };
    assert!(asked.starts_with("<s>[system]Think in lines.") && !asked.contains("<s><s>"), "{prefix:?}");
    if so_far.contains('\n') { format!("Answer: {}", 7 + seed % 2) } else { format!("3 + {} = 7.\n", 4 + seed % 3) }
}

/// One endless line.
fn rambles(_: &str, seed: u64) -> String {
    format!("{} and so on ", seed % 10).repeat(200)
}

struct Place {
    root: tempfile::TempDir,
    server: FakeServer,
}

impl Place {
    fn new(says: Says) -> Place {
        let root = tempfile::tempdir().unwrap();
        let texts = ["[system]Think in lines.[user]Answer: 7[bot]3 + 4 = 7.\n"];
        let tokenizer = Tokenizer::train_bpe(texts.map(str::to_owned), 300, &["<s>"]).unwrap();
        let folder = root.path().join("tokenizer");
        fs::create_dir(&folder).unwrap();
        tokenizer.save(&folder).unwrap();
        fs::write(folder.join("chat_template.jinja"), CHAT).unwrap();
        begin_with(&folder.join("tokenizer.json"), "<s>", tokenizer.token_id("<s>").unwrap());
        let place = Place { root, server: FakeServer::new(Arc::new(Talker(tokenizer, says)), Manners::Vllm) };
        place.file("lines.toml", LINES);
        place.file(
            "problems.jsonl",
            "{\"id\": \"a\", \"question\": \"3 + 4?\", \"answer\": \"7\", \"choices\": [1]}\n\
             {\"id\": \"b\", \"question\": \"4 + 3?\", \"answer\": \"7\", \"tag\": \"brief\"}\n",
        );
        place.file("open.jsonl", "{\"id\": \"c\", \"question\": \"3 + 4?\"}\n");
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn file(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Exit code, standard output and standard error of a command in this folder; `POLICY` stands for the server's flags.
    fn run(&self, line: &str) -> (i32, String, String) {
        let policy = format!("--policy {} --tokenizer tokenizer", self.server.url());
        let line = line.replace("POLICY", &policy);
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("mcts-gen"));
        command.timeout(Duration::from_secs(60)).current_dir(self.root.path());
        // Words within double quotation marks belong together.
        for (at, part) in line.split('"').enumerate() {
            if at % 2 == 1 {
                command.arg(part);
            } else {
                command.args(part.split_whitespace());
            }
        }
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
    }

    fn trees(&self, out: &str) -> Vec<Tree> {
        read_trees(&self.path(out).join("trees")).unwrap().map(Result::unwrap).collect()
    }
}

/// Lets a tokenizer put a token before each text, as Llama's does; a conversation has it already.
fn begin_with(path: &Path, token: &str, id: u32) {
    let mut file: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let special = json!({ "SpecialToken": { "id": token, "type_id": 0 } });
    let of = |name: &str| json!({ "Sequence": { "id": name, "type_id": 0 } });
    file["post_processor"] = json!({
        "type": "TemplateProcessing",
        "single": [special, of("A")],
        "pair": [special, of("A"), of("B")],
        "special_tokens": { token: { "id": token, "ids": [id], "tokens": [token] } },
    });
    fs::write(path, file.to_string()).unwrap();
}

fn ends(tree: &Tree, ending: Ending) -> usize {
    tree.ids().filter(|&id| tree.node(id).ending == ending).count()
}

#[test]
fn a_task_of_ones_own_is_tried_and_searched() {
    let place = Place::new(thinks);
    let (code, page, error) = place.run("task try --task lines.toml POLICY --problems problems.jsonl");
    assert_eq!(code, 0, "{page}{error}");
    for words in [
        "task lines, steps of the kind step: A step a line",
        "problem a (7)",
        "  | <s>[system]Think in lines.[user]3 + 4?[bot]\n",
        "\"<s>\"",
        "ended by \"\\n\"; read as a step\n",
        "8 of 8 steps are well-formed",
    ] {
        assert!(page.contains(words), "{words:?} is not in {page}");
    }
    assert!(error.contains("problems.jsonl: not used: `choices`"), "{error}");

    let search =
        "search --task lines.toml POLICY --problems problems.jsonl --simulations 12 --evaluation zero --out out";
    let (code, page, error) = place.run(search);
    assert_eq!(code, 0, "{page}{error}");
    let trees = place.trees("out");
    assert!(trees.iter().all(|tree| ends(tree, Ending::Correct) > 0 && ends(tree, Ending::Wrong) > 0), "{page}");
    let prompts: Vec<&str> = trees.iter().map(|tree| tree.text(espalier_tree::NodeId::ROOT)).collect();
    assert_eq!(
        prompts,
        ["<s>[system]Think in lines.[user]3 + 4?[bot]", "<s>[system]Think in lines. Be brief.[user]4 + 3?[bot]"],
        "the problem's own column fills the slot"
    );
    // The same task with another slot, or with other words in its file, is another search.
    let (code, _, error) = place.run(&format!("{search} --slot tag=kind"));
    assert!(code == 2 && error.contains("its task had another content"), "{error}");
    let (code, _, error) = place.run(&format!("{search} --slot tga=kind"));
    assert!(code == 2 && error.contains("there is no slot \"tga\"; it has tag"), "{error}");
    place.file("lines.toml", &LINES.replace("max_tokens = 40", "max_tokens = 39"));
    assert_eq!(place.run(search).0, 2);

    // Found paths are shown to the next search.
    place.file(
        "found.toml",
        "prompt = '{% for shot in shots %}Q{{ shot.question }}{{ shot.path }};{% endfor %}Q{{ question }}'\n\
         answer = { regex = 'Answer: *(\\d+)' }\nshots = { from = 'found', count = 1 }\n[step]\nend = \"\\n\"",
    );
    let seen = place.run("task try --task found.toml --shots out/trees POLICY --problems problems.jsonl --limit 1");
    let path = seen.1.split("  | Q4 + 3?").nth(1).expect("the other problem's path");
    assert!(path.contains("Answer: 7;Q3 + 4?"), "{}", seen.1);
    // A prompt that is no conversation begins with what the tokenizer puts there.
    assert!(
        seen.1.contains("\n  tokens ") && seen.1.split("\n  tokens ").nth(1).unwrap().contains("\"<s>\""),
        "{}",
        seen.1
    );
    let (code, _, error) = place.run("task try --task found.toml POLICY --problems problems.jsonl");
    assert!(code == 2 && error.contains("--shots DIR"), "{error}");
}

#[test]
fn a_search_that_finds_nothing_says_why_and_fails() {
    let place = Place::new(rambles);
    let flags = "POLICY --problems problems.jsonl --format instruct --max-step-tokens 30";
    let (code, page, error) = place.run(&format!("search {flags} --simulations 4 --evaluation zero --out out"));
    assert_eq!(code, 1, "{page}{error}");
    assert!(
        page.contains("no correct solution; of the ends of paths (") && page.contains("cut by the limit"),
        "{page}"
    );
    assert!(page.contains("30 tokens and none of \"<endstep>\" or") && page.contains("chat = true"), "{page}");
    // Given again, it says so again.
    assert_eq!(place.run(&format!("search {flags} --simulations 4 --evaluation zero --out out")).0, 1);
    let (code, page, error) = place.run("pairs --trees out/trees --out pairs");
    assert_eq!(code, 1, "{page}{error}");
    assert!(page.contains("no pairs: no solution is correct"), "{page}");

    let (code, page, error) = place.run(&format!("task try {flags}"));
    assert_eq!(code, 1, "{page}{error}");
    assert!(page.contains("0 of 8 steps are well-formed") && page.contains("likeliest cause: steps go on"), "{page}");
    let (code, page, error) = place.run("solve POLICY --format xml --max-step-tokens 9 --simulations 2 \"3 + 4?\"");
    assert!(code == 1 && page.is_empty() && error.contains("no solution in a tree of"), "{page}{error}");
}

#[test]
fn problems_without_an_answer_are_searched_and_solved() {
    let place = Place::new(thinks);
    let flags = "--task lines.toml POLICY --simulations 12 --evaluation zero";
    let (code, page, error) = place.run(&format!("search {flags} --problems open.jsonl --out out"));
    assert_eq!(code, 0, "{page}{error}");
    assert!(error.contains("all rows have no answer; their solutions stay unverified"), "{error}");
    let trees = place.trees("out");
    assert!(ends(&trees[0], Ending::Unverified) > 0 && ends(&trees[0], Ending::Wrong) == 0, "{page}");
    let (code, page, _) = place.run("pairs --trees out/trees --out pairs");
    assert!(code == 1 && page.contains("no path has a reward"), "{page}");

    let (code, page, error) = place.run(&format!("solve {flags} \"3 + 4?\""));
    assert_eq!(code, 0, "{error}");
    let lines: Vec<&str> = page.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("Q ") && lines[0].contains("  3 + "), "{page}");
    assert!(lines[1].contains("  Answer: ") && lines[2].starts_with("answer "), "{page}");
    assert_eq!(place.run(&format!("solve {flags} \" \"")).0, 2);
}

#[test]
fn what_is_wrong_with_a_task_is_one_line() {
    let place = Place::new(thinks);
    let (code, file, _) = place.run("task show xml");
    assert!(code == 0 && file.contains("[variants.plan]"), "{file}");
    assert_eq!(place.run("task show yaml").0, 2);
    place.file("broken.toml", "chat = true\n[step]\nend = 7\n");
    let try_it = |flags: &str| place.run(&format!("task try {flags} POLICY --problems problems.jsonl"));
    let (code, _, error) = try_it("--task broken.toml");
    assert_eq!(
        (code, error.as_str()),
        (2, "error: the task broken.toml: step.end is 7, but must be a text, or { text = \"..\", regex = '..' }\n")
    );
    assert!(try_it("--task nowhere.toml").2.contains("nowhere.toml: cannot read"));
    fs::remove_file(place.path("tokenizer/chat_template.jinja")).unwrap();
    let (code, _, error) = try_it("--task lines.toml");
    assert!(
        code == 2 && error.contains("the task lines is a conversation") && error.contains("no chat template"),
        "{error}"
    );
}
