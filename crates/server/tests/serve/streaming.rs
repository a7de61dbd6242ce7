//! Streams: their text is that of the whole answer, byte for byte, and comes token by token.

use crate::gradual::{Gradual, at_once};
use crate::house::{Events, House, PROMPT};
use serde_json::{Value, json};
use std::time::Duration;

const PATH: &str = "/v1/completions";

/// The texts of all rows, joined from their pieces, and how each ended.
fn joined(events: &[Value]) -> Vec<(String, String)> {
    let mut rows: Vec<(String, String)> = Vec::new();
    for choice in events.iter().flat_map(|event| event["choices"].as_array().unwrap()) {
        let row = choice["index"].as_u64().unwrap() as usize;
        rows.resize(rows.len().max(row + 1), Default::default());
        let text = choice["text"].as_str().or_else(|| choice["delta"]["content"].as_str()).unwrap();
        rows[row].0.push_str(text);
        if let Some(finish) = choice["finish_reason"].as_str() {
            assert!(rows[row].1.is_empty(), "a row ended twice");
            finish.clone_into(&mut rows[row].1);
        }
    }
    rows
}

#[test]
fn a_stream_is_the_whole_answer_in_pieces() {
    let stops =
        [json!([]), json!(["</step>"]), json!(["step>", "</step>"]), json!(["an", "the t"]), json!(["</plan>", "e"])];
    // The fakes tell after each token, of some at a time, and not at all before the end.
    let houses = [
        House::new(Gradual::new(1, Duration::ZERO)),
        House::new(Gradual::new(7, Duration::ZERO)),
        House::new(at_once()),
    ];
    for (seed, stop) in (0..40).flat_map(|seed| stops.iter().map(move |stop| (seed, stop))).step_by(3) {
        let ask = json!({ "prompt": [PROMPT, "Größe"], "n": 2, "seed": seed, "max_tokens": 90, "stop": stop });
        let whole = houses[0].answer(PATH, &ask);
        let whole: Vec<(String, String)> = whole["choices"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["text"].as_str().unwrap().to_owned(), one["finish_reason"].as_str().unwrap().to_owned()))
            .collect();
        for house in &houses {
            assert_eq!(joined(&house.stream(PATH, &ask)), whole, "{ask}");
        }
    }
}

#[test]
fn tokens_come_while_they_are_drawn() {
    let house = House::new(Gradual::new(1, Duration::from_millis(20)));
    let ask = json!({ "prompt": PROMPT, "seed": 5, "max_tokens": 200, "stream": true });
    let mut events = Events::new(house.send(PATH, &ask));
    for _ in 0..3 {
        let event: Value = serde_json::from_str(&events.next().unwrap()).unwrap();
        assert_eq!(event["choices"][0]["finish_reason"], Value::Null);
        assert_eq!(event["choices"][0]["text"].as_str().unwrap().len(), 1);
        assert_eq!(house.metric("espalier_queue_running"), 1.0, "the answer was whole before the first token came");
    }
}

#[test]
fn streams_have_roles_log_probabilities_and_usage() {
    let house = House::new(Gradual::new(1, Duration::ZERO));
    let chat = json!({
        "messages": [{ "role": "user", "content": "What is 3 + 7?" }], "seed": 4, "max_tokens": 40, "logprobs": true,
        "stream_options": { "include_usage": true },
    });
    let whole = house.answer("/v1/chat/completions", &{
        let mut whole = chat.clone();
        whole.as_object_mut().unwrap().remove("stream_options");
        whole
    });
    let events = house.stream("/v1/chat/completions", &chat);
    assert_eq!(events[0]["choices"][0]["delta"], json!({ "role": "assistant", "content": "" }));
    assert_eq!(events[0]["object"], "chat.completion.chunk");
    assert!(events.iter().all(|event| event["id"] == events[0]["id"]));
    let (last, rest) = events.split_last().unwrap();
    assert_eq!((&last["usage"], &last["choices"]), (&whole["usage"], &json!([])));
    assert_eq!(joined(rest)[0].0, whole["choices"][0]["message"]["content"].as_str().unwrap());
    let listed: Vec<Value> = rest
        .iter()
        .filter_map(|event| event["choices"][0]["logprobs"]["content"].as_array().cloned())
        .flatten()
        .collect();
    assert_eq!(json!(listed), whole["choices"][0]["logprobs"]["content"]);
    // Echoed prompts come first, with their tokens.
    let echoed = json!({ "prompt": "abc", "echo": true, "logprobs": 0, "max_tokens": 3, "seed": 1, "n": 2, "return_token_ids": true });
    let (whole, events) = (house.answer(PATH, &echoed), house.stream(PATH, &echoed));
    for row in 0..2 {
        let of_row = events.iter().map(|event| &event["choices"][0]).filter(|choice| choice["index"] == row);
        let lists = |name: &str| -> Vec<Value> {
            of_row.clone().filter_map(|choice| choice["logprobs"][name].as_array().cloned()).flatten().collect()
        };
        let expected = &whole["choices"][row]["logprobs"];
        assert_eq!(
            (json!(lists("tokens")), json!(lists("token_logprobs"))),
            (expected["tokens"].clone(), expected["token_logprobs"].clone())
        );
        assert_eq!(joined(&events)[row].0, whole["choices"][row]["text"].as_str().unwrap());
    }
}

#[test]
fn stream_options_without_a_stream_are_refused() {
    let house = House::new(at_once());
    let (_, param, _) = house.refusal(PATH, &json!({ "prompt": "x", "stream_options": { "include_usage": true } }));
    assert_eq!(param, "stream_options");
}
