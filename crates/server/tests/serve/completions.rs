//! Completions, whole: what is drawn, cut, listed and counted.

use crate::gradual::{Gradual, Words, at_once};
use crate::house::{House, PROMPT};
use espalier_search::{Candidate, StepRequest, Stops, Unit};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::time::Duration;

const PATH: &str = "/v1/completions";

fn ids(text: &str) -> Vec<u32> {
    text.bytes().map(u32::from).collect()
}

/// What the policy draws for this seed, by itself.
fn drawn(prompt: &str, max_tokens: usize, stops: &[&str], seed: u64) -> Candidate {
    let request = StepRequest {
        ticket: 0,
        tree: 0,
        step_ends: vec![prompt.len() as u32].into(),
        prefix_ids: ids(prompt).into(),
        k: 1,
        max_tokens,
        unit: Unit::Path,
        stops: Cow::Owned(Stops { path: stops.iter().map(ToString::to_string).collect(), ..Stops::default() }),
        temperature: 1.0,
        seed,
        want_value: false,
    };
    let mut candidate = Words::new().candidate(&request, seed);
    candidate.logprobs.truncate(candidate.token_ids.len());
    candidate
}

fn texts(answer: &Value) -> Vec<&str> {
    answer["choices"].as_array().unwrap().iter().map(|choice| choice["text"].as_str().unwrap()).collect()
}

#[test]
fn a_completion_is_what_the_policy_draws_without_the_stop_string() {
    let house = House::new(at_once());
    let ask = json!({ "model": "fake", "prompt": PROMPT, "max_tokens": 200, "seed": 5, "stop": "</step>", "logprobs": 0, "return_token_ids": true });
    let answer = house.answer(PATH, &ask);
    let expected = drawn(PROMPT, 200, &["</step>"], 5);
    let text = expected.text.strip_suffix("</step>").expect("this seed draws a step");
    let choice = &answer["choices"][0];
    assert_eq!((choice["text"].as_str(), choice["finish_reason"].as_str()), (Some(text), Some("stop")));
    // The tokens of the stop string are listed: who builds trees needs them.
    assert_eq!(choice["token_ids"], json!(expected.token_ids));
    assert_eq!(choice["prompt_token_ids"], json!(ids(PROMPT)));
    let listed = &choice["logprobs"];
    assert_eq!(listed["token_logprobs"], json!(expected.logprobs));
    assert_eq!(listed["tokens"][0], "<");
    assert_eq!(listed["text_offset"], json!((0..expected.token_ids.len()).collect::<Vec<_>>()));
    assert_eq!(listed["top_logprobs"][0], json!({ "<": expected.logprobs[0] }));
    let tokens = expected.token_ids.len();
    let usage =
        json!({ "prompt_tokens": PROMPT.len(), "completion_tokens": tokens, "total_tokens": PROMPT.len() + tokens });
    assert_eq!(answer["usage"], usage);
    assert_eq!((answer["object"].as_str(), answer["model"].as_str()), (Some("text_completion"), Some("fake")));
    // The same prompt as ids, and ids as marks.
    let by_ids = house.answer(PATH, &json!({ "prompt": ids(PROMPT), "max_tokens": 200, "seed": 5, "stop": ["</step>"], "logprobs": 1, "return_tokens_as_token_ids": true }));
    assert_eq!(by_ids["choices"][0]["text"], text);
    assert_eq!(by_ids["choices"][0]["logprobs"]["tokens"][0], "token_id:60");
    // This policy knows no other tokens than those it draws.
    assert_eq!(by_ids["choices"][0]["logprobs"]["top_logprobs"], Value::Null);
}

#[test]
fn the_limit_and_the_default_length_end_a_text() {
    let house = House::new(at_once());
    let cut = house.answer(PATH, &json!({ "prompt": PROMPT, "max_tokens": 7, "seed": 5 }));
    assert_eq!((texts(&cut)[0].len(), cut["choices"][0]["finish_reason"].as_str()), (7, Some("length")));
    let default = house.answer(PATH, &json!({ "prompt": PROMPT, "seed": 5 }));
    assert_eq!(texts(&default)[0].len(), 16);
    let nothing = house.answer(PATH, &json!({ "prompt": PROMPT, "max_tokens": 0, "echo": true }));
    assert_eq!((texts(&nothing)[0], nothing["choices"][0]["finish_reason"].as_str()), (PROMPT, Some("length")));
}

#[test]
fn several_prompts_have_several_continuations_each_in_order() {
    let house = House::new(at_once());
    let other = "<question>What is 4 + 7?</question><plan>";
    let ask = |prompt: Value, n: usize| json!({ "prompt": prompt, "max_tokens": 60, "seed": 3, "n": n });
    let four = house.answer(PATH, &ask(json!([PROMPT, other]), 2));
    let indices: Vec<u64> =
        four["choices"].as_array().unwrap().iter().map(|one| one["index"].as_u64().unwrap()).collect();
    assert_eq!(indices, [0, 1, 2, 3]);
    let four = texts(&four);
    assert_eq!(four[0], drawn(PROMPT, 60, &[], 3).text);
    assert_eq!(four[1], drawn(PROMPT, 60, &[], 1003).text);
    assert_eq!(four[2], drawn(other, 60, &[], 3).text);
    assert_eq!(four[3], drawn(other, 60, &[], 1003).text);
    assert_ne!(four[0], four[1]);
    let lists = house.answer(PATH, &ask(json!([ids(PROMPT), ids(other)]), 1));
    assert_eq!(texts(&lists), [four[0], four[2]]);
}

#[test]
fn the_same_seed_gives_the_same_bytes_whatever_runs_beside_it() {
    let house = House::new(Gradual::new(3, Duration::from_millis(1)));
    let ask = json!({ "prompt": PROMPT, "max_tokens": 120, "seed": 11, "n": 2, "logprobs": 2, "stop": ["</step>"] });
    let content = |ask: &Value| house.answer(PATH, ask)["choices"].to_string();
    let alone = content(&ask);
    std::thread::scope(|scope| {
        let others: Vec<_> = (0..6)
            .map(|seed| {
                let other = json!({ "prompt": "Anything else", "max_tokens": 50 + 10 * seed, "seed": seed, "n": 3 });
                let house = &house;
                scope.spawn(move || house.answer(PATH, &other))
            })
            .collect();
        for _ in 0..3 {
            assert_eq!(content(&ask), alone);
        }
        others.into_iter().for_each(|other| drop(other.join().unwrap()));
    });
    // Without a seed two answers differ.
    let unseeded = json!({ "prompt": PROMPT, "max_tokens": 120 });
    assert_ne!(content(&unseeded), content(&unseeded));
}

#[test]
fn prompts_are_scored_where_the_policy_reads_them() {
    let house = House::new(Gradual::new(5, Duration::ZERO));
    let ask = json!({ "prompt": "abcé", "max_tokens": 0, "echo": true, "logprobs": 1 });
    let answer = house.answer(PATH, &ask);
    let choice = &answer["choices"][0];
    let listed = &choice["logprobs"];
    assert_eq!(choice["text"], "abcé");
    let read = |id: u8| Gradual::read(id.into());
    assert_eq!(listed["token_logprobs"], json!([null, read(b'b'), read(b'c'), read(0xc3), read(0xa9)]));
    assert_eq!(listed["tokens"].as_array().unwrap().len(), 5);
    assert_eq!(listed["text_offset"], json!([0, 1, 2, 3, 3]));
    assert_eq!((&listed["top_logprobs"][0], &listed["top_logprobs"][1]), (&Value::Null, &json!({ "b": read(b'b') })));
    // Prompt and continuation in one list, whose offsets go on.
    let both = house.answer(PATH, &json!({ "prompt": "abc", "max_tokens": 2, "echo": true, "logprobs": 0, "seed": 1 }));
    let listed = &both["choices"][0]["logprobs"];
    assert_eq!(listed["text_offset"], json!([0, 1, 2, 3, 4]));
    assert_eq!(listed["token_logprobs"].as_array().unwrap().len(), 5);
    // vLLM's way.
    let answer = house.answer(PATH, &json!({ "prompt": "abc", "max_tokens": 1, "prompt_logprobs": 2, "seed": 1 }));
    let scored = &answer["choices"][0]["prompt_logprobs"];
    assert_eq!(scored[0], Value::Null);
    assert_eq!(scored[1]["98"], json!({ "logprob": read(b'b'), "rank": 1, "decoded_token": "b" }));
    assert_eq!(scored[1]["97"], json!({ "logprob": read(b'b') - 1.0, "rank": 2, "decoded_token": "a" }));
    // A policy that only draws says so.
    let house = House::new(at_once());
    for (field, ask) in [("echo", ask), ("prompt_logprobs", json!({ "prompt": "abc", "prompt_logprobs": 0 }))] {
        let (status, param, message) = house.refusal(PATH, &ask);
        assert_eq!((status, param), (400, json!(field)), "{message}");
    }
}

#[test]
fn the_likeliest_tokens_are_listed_where_the_policy_tells_them() {
    let house = House::new(Gradual::new(5, Duration::ZERO));
    let answer = house.answer(PATH, &json!({ "prompt": PROMPT, "max_tokens": 4, "logprobs": 3, "seed": 5 }));
    let listed = &answer["choices"][0]["logprobs"];
    let first = listed["token_logprobs"][0].as_f64().unwrap();
    assert_eq!(listed["tokens"][0], "<");
    let top = listed["top_logprobs"][0].as_object().unwrap();
    assert_eq!(top.len(), 3);
    assert!(
        (top["<"].as_f64().unwrap() - first).abs() < 1e-6 && (top[";"].as_f64().unwrap() - first + 1.0).abs() < 1e-6
    );
    let (_, param, message) = House::new(at_once()).refusal(PATH, &json!({ "prompt": PROMPT, "logprobs": 3 }));
    assert_eq!(param, "logprobs", "{message}");
}

#[test]
fn limits_of_one_request_reach_the_policy() {
    let gradual = Gradual::new(50, Duration::ZERO);
    let seen = gradual.seen.clone();
    let house = House::new(gradual);
    let ask = |fields: Value| {
        let mut body = json!({ "prompt": PROMPT, "max_tokens": 1 });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        house.answer(PATH, &body);
        seen.lock().unwrap().sampling.pop().unwrap()
    };
    let some = ask(json!({ "top_p": 0.5, "top_k": 7, "min_p": 0.1, "repetition_penalty": 1.5, "repeat_penalty": 1.5 }))
        .unwrap();
    assert_eq!((some.top_p, some.top_k, some.min_p, some.repetition_penalty), (0.5, 7, 0.1, 1.5));
    // What changes nothing is no wish: our own client always says it.
    let neutral = json!({ "top_p": 1.0, "top_k": 256, "min_p": 0.0, "repeat_penalty": 1, "repeat_last_n": 5, "samplers": ["penalties", "temperature", "top_k", "top_p", "min_p"] });
    assert_eq!(ask(neutral), None);
    assert_eq!(ask(json!({ "top_k": -1 })), None);
    // The likeliest token needs no limit, and with it no limit has a meaning.
    assert_eq!(ask(json!({ "top_k": 1, "temperature": 0.7 })), None);
    assert_eq!(ask(json!({ "top_p": 0.5, "temperature": 0 })), None);
    let text = |fields: Value| {
        let mut body = json!({ "prompt": PROMPT, "max_tokens": 60, "seed": 9 });
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        house.answer(PATH, &body)["choices"][0]["text"].clone()
    };
    assert_eq!(text(json!({ "top_k": 1 })), text(json!({ "temperature": 0 })));
    assert_ne!(text(json!({ "top_k": 1 })), text(json!({})));
}
