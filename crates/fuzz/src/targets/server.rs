//! Readers of what servers answer, and of their addresses.

use super::{Begun, Target};
use crate::scratch::Scratch;
use espalier_server::Servers;
use espalier_server::testing::Answers;
use espalier_tokenizer::Tokenizer;

const FIELDS: &[&str] = &[
    "\"choices\":",
    "\"logprobs\":",
    "\"token_ids\":",
    "\"tokens\":",
    "\"token_logprobs\":",
    "\"content\":",
    "token_id:17",
    "\"finish_reason\": \"stop\"",
    "\"length\"",
    "\"usage\":",
    "\"prompt_tokens\":",
    "-1e400",
    "null",
    "\"\\ud83d\"",
    "\"logprob\":",
    "\"id\":",
    "\"error\":",
    "\"message\":",
    "\"detail\":",
    "\"data\":",
    "context length",
    "validation error",
];

pub(super) const TARGETS: [Target; 4] = [
    Target { name: "server-completions", share: 400, words: FIELDS, begin: completions },
    Target { name: "server-models", share: 800, words: FIELDS, begin: models },
    Target { name: "server-errors", share: 800, words: FIELDS, begin: errors },
    Target {
        name: "server-addresses",
        share: 800,
        words: &["http://", "https://", "/v1", "#", "@", ",", "[::1]"],
        begin: addresses,
    },
];

fn completions(_: Scratch) -> Begun {
    let texts = ["<step>6 + 7 = 13</step>"; 3];
    let tokenizer = Tokenizer::train_bpe(texts, 300, &["<step>", "</step>"]).expect("a tokenizer can be trained");
    let ids = tokenizer.encode("<step>6 + 7</step>").expect("any text has bytes");
    let tokens: Vec<String> = ids.iter().map(|&id| tokenizer.decode(&[id])).collect();
    let marks: Vec<String> = ids.iter().map(|id| format!("token_id:{id}")).collect();
    let logprobs = vec![-0.5; ids.len()];
    let content: Vec<_> = ids.iter().map(|id| serde_json::json!({ "id": id, "token": "", "logprob": -0.5 })).collect();
    let listed = [
        serde_json::json!({ "tokens": tokens, "token_logprobs": logprobs }),
        serde_json::json!({ "tokens": marks, "token_logprobs": logprobs }),
        serde_json::json!({ "content": content }),
    ];
    let body = |logprobs: &serde_json::Value, token_ids: Option<&[u32]>| {
        let choice = serde_json::json!({
            "index": 0, "text": "<step>6 + 7", "finish_reason": "stop", "logprobs": logprobs, "token_ids": token_ids,
        });
        serde_json::json!({ "id": "x", "choices": [choice], "usage": { "prompt_tokens": 4 } }).to_string()
    };
    let seeds: Vec<String> =
        listed.iter().map(|logprobs| body(logprobs, None)).chain([body(&listed[0], Some(&ids))]).collect();
    let answers = Answers::new(tokenizer);
    Begun::new(seeds, move |input| answers.completion(input, &["</step>".to_owned()]))
}

fn models(_: Scratch) -> Begun {
    let seeds = [
        r#"{"object": "list", "data": [{"id": "org/model", "max_model_len": 4096}]}"#,
        r#"{"data": [{"id": "org/model"}, {"id": "other"}]}"#,
    ];
    Begun::new(seeds, |input| {
        let only = Answers::models(input, None);
        Answers::models(input, Some("org/model")) || only
    })
}

/// The status in the first two bytes, then what the server asks to wait up to a line break, then the body.
fn errors(_: Scratch) -> Begun {
    let bodies = [
        r#"{"error":{"message":"This model's maximum context length is 4096 tokens","type":"x"}}"#,
        r#"{"object":"error","message":"no"}"#,
        r#"{"detail":[{"msg":"bad"}]}"#,
        "<html>502</html>",
    ];
    let seeds = bodies.iter().zip([429_u16, 500, 503, 529]).map(|(body, status)| {
        let mut seed = status.to_le_bytes().to_vec();
        seed.extend(format!("2.5\n{body}").bytes());
        seed
    });
    Begun::new(seeds, |input| {
        let Some((status, rest)) = input.split_first_chunk() else { return false };
        let mut parts = rest.splitn(2, |&byte| byte == b'\n');
        let wait = String::from_utf8_lossy(parts.next().unwrap_or_default());
        Answers::refusal(u16::from_le_bytes(*status), &wait, parts.next().unwrap_or_default())
    })
}

fn addresses(_: Scratch) -> Begun {
    let seeds = ["http://localhost:8000,http://other:8000/v1#org/model", "https://host/v1", "http://[::1]:80#m"];
    Begun::new(seeds, |input| {
        let text = String::from_utf8_lossy(input);
        let servers = Servers::parse([&*text]);
        assert!(servers.is_err() || text.split(',').all(|one| Servers::is_address(one.trim())));
        servers.is_ok()
    })
}
