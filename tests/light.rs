//! `mcts-gen` as a user of servers builds it, without LibTorch: a search over a server, its pairs, its trees.

#![allow(missing_docs, reason = "a test binary has no readers of its documentation")]
#![allow(clippy::disallowed_methods, reason = "tests make and break files")]

use assert_cmd::Command;
use espalier_server::testing::{Asked, Brain, Drawn, FakeServer, Manners};
use espalier_tokenizer::Tokenizer;
use espalier_tree::{Ending, read_pairs, read_trees};
use std::fs;
use std::sync::Arc;

/// A model that plans two steps and then answers, right or wrong by the seed.
struct TwoSteps(Tokenizer);

impl Brain for TwoSteps {
    fn encode(&self, text: &str) -> Vec<u32> {
        self.0.encode(text).unwrap()
    }

    fn decode(&self, ids: &[u32]) -> String {
        self.0.decode(ids)
    }

    fn draw(&self, asked: &Asked) -> Drawn {
        let so_far = self.decode(&asked.prefix_ids);
        let steps = so_far[so_far.find("<plan>").unwrap_or(0)..].matches("</step>").count();
        let text = match steps {
            0 | 1 => format!("<step>Plan {}: Add {} apples</step>", steps + 1, asked.seed % 3),
            _ => format!("</plan><solution>\\boxed{{{}}}</solution>", 7 + asked.seed % 2),
        };
        let mut ids = self.encode(&text);
        let is_stopped = ids.len() <= asked.max_tokens;
        ids.truncate(asked.max_tokens);
        Drawn { logprobs: vec![-0.25; ids.len()], text: self.decode(&ids), ids, is_stopped }
    }
}

fn mcts_gen() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin("mcts-gen"))
}

#[test]
fn servers_need_no_libtorch() {
    let root = tempfile::tempdir().unwrap();
    let texts =
        ["<question>How many apples? 7</question><plan><step>Plan 1: Add</step></plan><solution>\\boxed{7}</solution>"];
    let tags = ["<question>", "</question>", "<plan>", "</plan>", "<step>", "</step>", "<solution>", "</solution>"];
    let tokenizer = Tokenizer::train_bpe(texts.iter().map(|text| (*text).to_owned()), 300, &tags).unwrap();
    let folder = root.path().join("tokenizer");
    fs::create_dir(&folder).unwrap();
    tokenizer.save(&folder).unwrap();
    let problems = root.path().join("problems.jsonl");
    fs::write(
        &problems,
        "{\"id\": \"a\", \"question\": \"Anna has 3 apples and buys 4. How many?\", \"answer\": \"7\"}\n",
    )
    .unwrap();
    let server = FakeServer::new(Arc::new(TwoSteps(tokenizer)), Manners::Vllm);
    let out = root.path().join("out");
    let search = |policy: &str| {
        let mut command = mcts_gen();
        command.args(["search", "--simulations", "12", "--format", "xml", "--policy", policy, "--problems"]);
        command.timeout(std::time::Duration::from_secs(60));
        command.arg(&problems).arg("--out").arg(&out);
        command
    };
    let searched = search(&server.url()).arg("--tokenizer").arg(&folder).output().unwrap();
    assert!(searched.status.success(), "{}", String::from_utf8_lossy(&searched.stderr));
    let trees: Vec<_> = read_trees(&out.join("trees")).unwrap().map(Result::unwrap).collect();
    let ends = |ending| trees[0].ids().filter(|&id| trees[0].node(id).ending == ending).count();
    assert!(trees.len() == 1 && ends(Ending::Correct) > 0 && ends(Ending::Wrong) > 0, "both answers are found");
    assert!(!read_pairs(&out.join("pairs")).unwrap().is_empty());
    let shown = mcts_gen().args(["show", "--check", "--trees"]).arg(out.join("trees")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "1 trees checked, 0 violations\n");

    // Without LibTorch a model's folder is refused in one line that says what to do; with it this folder has no model.
    let refused = search(folder.to_str().unwrap()).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&refused.stderr).lines().count(), 1);
}
