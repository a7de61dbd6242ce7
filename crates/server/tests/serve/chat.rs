//! Chat: conversations in the words of the folder's template.

use crate::gradual::{Gradual, at_once};
use crate::house::House;
use serde_json::{Value, json};
use std::time::Duration;

const PATH: &str = "/v1/chat/completions";

fn ask(fields: Value) -> Value {
    let mut body = json!({ "model": "fake", "messages": [{ "role": "user", "content": "What is 3 + 7?" }], "seed": 4, "max_tokens": 80 });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

#[test]
fn a_conversation_is_continued_as_the_template_writes_it() {
    let house = House::new(at_once());
    let answer = house.answer(PATH, &ask(json!({ "stop": ["</solution>"] })));
    let prompt = "<user>What is 3 + 7?</user><question>";
    let plain = json!({ "prompt": prompt, "seed": 4, "max_tokens": 80, "stop": "</solution>" });
    let completed = house.answer("/v1/completions", &plain);
    let choice = &answer["choices"][0];
    assert_eq!(choice["message"]["role"], "assistant");
    assert_eq!(choice["message"]["content"], completed["choices"][0]["text"]);
    assert_eq!(choice["finish_reason"], completed["choices"][0]["finish_reason"]);
    assert_eq!((&answer["usage"], answer["object"].as_str()), (&completed["usage"], Some("chat.completion")));
    // Content in parts, and more than one message.
    let parts = json!([
        { "role": "system", "content": "Be brief." },
        { "role": "user", "content": [{ "type": "text", "text": "What is " }, { "type": "text", "text": "3 + 7?" }] },
    ]);
    let tokens = house.answer("/tokenize", &json!({ "messages": parts }));
    assert_eq!(tokens["count"], "<system>Be brief.</system><user>What is 3 + 7?</user><question>".len());
    assert_eq!(house.answer(PATH, &ask(json!({ "messages": parts })))["usage"]["prompt_tokens"], tokens["count"]);
}

#[test]
fn log_probabilities_have_the_form_of_chat() {
    let house = House::new(Gradual::new(4, Duration::ZERO));
    let answer =
        house.answer(PATH, &ask(json!({ "logprobs": true, "top_logprobs": 2, "max_completion_tokens": 3, "n": 2 })));
    assert_eq!(answer["choices"].as_array().unwrap().len(), 2);
    let content = answer["choices"][0]["logprobs"]["content"].as_array().unwrap();
    assert_eq!(content.len(), 3);
    let (token, logprob) = (content[0]["token"].as_str().unwrap(), content[0]["logprob"].as_f64().unwrap());
    assert!(logprob < 0.0 && token.len() == 1, "{content:?}");
    assert_eq!(content[0]["bytes"], json!(token.as_bytes()));
    let top = content[0]["top_logprobs"].as_array().unwrap();
    assert_eq!((top.len(), &top[0]["token"]), (2, &content[0]["token"]));
    let plain = house.answer(PATH, &ask(json!({ "logprobs": true })));
    assert_eq!(plain["choices"][0]["logprobs"]["content"][0]["top_logprobs"], json!([]));
    let without = house.answer(PATH, &ask(json!({})));
    assert_eq!(without["choices"][0]["logprobs"], Value::Null);
}

#[test]
fn what_is_wrong_with_a_conversation_is_named() {
    let house = House::new(at_once());
    let cases = [
        (json!({ "messages": [] }), "messages"),
        (json!({ "messages": "hello" }), "messages"),
        (json!({ "messages": ["hello"] }), "messages[0]"),
        (json!({ "messages": [{ "role": "user" }] }), "messages[0].content"),
        (json!({ "messages": [{ "role": 3, "content": "x" }] }), "messages[0].role"),
        (json!({ "messages": [{ "role": "user", "content": [{ "type": "image_url" }] }] }), "messages[0].content"),
        (json!({ "messages": [{ "role": "user", "content": "x", "tool_calls": [1] }] }), "messages[0].tool_calls"),
        // The template itself refuses it.
        (json!({ "messages": [{ "role": "wizard", "content": "x" }] }), "messages"),
        (json!({ "top_logprobs": 2 }), "top_logprobs"),
        (json!({ "max_tokens": 0 }), "max_tokens"),
        (json!({ "tools": [{ "type": "function" }] }), "tools"),
        (json!({ "response_format": { "type": "json_object" } }), "response_format"),
        (json!({ "search_tokens": 5 }), "search_tokens"),
        (json!({ "prompt": "x" }), "prompt"),
    ];
    for (fields, field) in cases {
        let (status, param, message) = house.refusal(PATH, &ask(fields));
        assert_eq!((status, param.as_str()), (400, Some(field)), "{message}");
    }
    let neutral = json!({ "tools": [], "tool_choice": "none", "response_format": { "type": "text" }, "user": "me", "frequency_penalty": 0, "logit_bias": {} });
    house.answer(PATH, &ask(neutral));
}
