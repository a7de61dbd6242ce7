//! Chat that a search answers, here one that only counts.

use crate::gradual::{Gradual, at_once};
use crate::house::House;
use espalier_search::{Policy, StepRequest, Stops, Unit};
use espalier_server::serve::{Found, Question, Searcher, ServeConfig};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PATH: &str = "/v1/chat/completions";

/// Asks for one candidate after the other until the budget is spent, and answers with the last.
struct Counting;

impl Searcher for Counting {
    fn answer(&self, question: &Question, policy: &mut (dyn Policy + 'static)) -> Result<Found, String> {
        let last = question.messages.last().ok_or("no message")?;
        let prompt = format!("<question>{}</question><plan>", last.content);
        let prefix_ids = policy.tokenize(&prompt).map_err(|error| error.reason())?;
        let (mut spent, mut text) = (0, String::new());
        for ticket in 0.. {
            let request = StepRequest {
                ticket,
                tree: question.tree,
                step_ends: vec![prefix_ids.len() as u32].into(),
                prefix_ids: prefix_ids.as_slice().into(),
                k: 1,
                max_tokens: question.max_tokens.unwrap_or(40),
                unit: Unit::Path,
                stops: Cow::Owned(Stops::default()),
                temperature: question.temperature.unwrap_or(0.5),
                seed: question.seed.wrapping_add(ticket),
                want_value: false,
            };
            policy.submit(request).map_err(|error| error.reason())?;
            let answer = policy.poll().map_err(|error| error.reason())?.remove(0);
            assert_eq!((answer.ticket, policy.pending()), (ticket, 0));
            spent += answer.candidates[0].token_ids.len() as u64;
            text.clone_from(&answer.candidates[0].text);
            if spent >= question.search_tokens {
                break;
            }
        }
        Ok(Found { tokens: text.len(), text, sampled_tokens: spent, prompt_tokens: prefix_ids.len() })
    }

    fn max_tokens(&self) -> u64 {
        1000
    }
}

fn searching(policy: impl Policy + Send + 'static, max_searches: usize) -> House {
    let config = ServeConfig { max_searches, ..ServeConfig::new("fake") };
    House::with(config, policy, Some(Arc::new(Counting)))
}

fn ask(fields: Value) -> Value {
    let mut body =
        json!({ "messages": [{ "role": "user", "content": "What is 3 + 7?" }], "seed": 4, "search_tokens": 200 });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

#[test]
fn chat_is_answered_by_the_search_within_its_budget() {
    let house = searching(at_once(), 4);
    let answer = house.answer(PATH, &ask(json!({})));
    let (content, usage) = (answer["choices"][0]["message"]["content"].as_str().unwrap(), &answer["usage"]);
    let spent = usage["completion_tokens"].as_u64().unwrap();
    assert!((200..240).contains(&spent), "{usage}");
    assert_eq!(usage["completion_tokens_details"]["reasoning_tokens"], spent - content.len() as u64);
    // The whole budget where the request names none; never more.
    let more = house.answer(PATH, &ask(json!({ "search_tokens": null })));
    assert!(more["usage"]["completion_tokens"].as_u64().unwrap() >= 1000);
    assert_eq!(house.refusal(PATH, &ask(json!({ "search_tokens": 1001 }))).1, "search_tokens");
    // Same seed, same text, also beside others and in a stream.
    std::thread::scope(|scope| {
        let same: Vec<_> = (0..5).map(|_| scope.spawn(|| house.answer(PATH, &ask(json!({}))))).collect();
        for answer in same {
            assert_eq!(answer.join().unwrap()["choices"][0]["message"]["content"], content);
        }
    });
    let events = house.stream(PATH, &ask(json!({ "stream_options": { "include_usage": true } })));
    let text: String = events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!((text.as_str(), &events.last().unwrap()["usage"]), (content, usage));
    // Completions are not searched.
    assert_eq!(
        house.answer("/v1/completions", &json!({ "prompt": "abc", "max_tokens": 3 }))["usage"]["completion_tokens"],
        3
    );
}

#[test]
fn what_a_search_cannot_do_is_refused_by_name() {
    let house = searching(at_once(), 4);
    for (field, value) in [
        ("n", json!(2)),
        ("logprobs", json!(true)),
        ("stop", json!(["x"])),
        ("search_tokens", json!(0)),
        ("other", json!(1)),
    ] {
        let (status, param, message) = house.refusal(PATH, &ask(json!({ field: value })));
        assert_eq!((status, param.as_str()), (400, Some(field)), "{message}");
    }
    let long = json!({ "messages": [{ "role": "user", "content": "x".repeat(5000) }] });
    let house = searching(Gradual::new(5, Duration::ZERO), 1);
    let (status, _, message) = house.refusal(PATH, &ask(long));
    assert!(status == 500 && message.contains("context length"), "{message}");
}

#[test]
fn searches_wait_in_line_and_one_that_nobody_waits_for_ends() {
    let policy = Gradual::new(1, Duration::from_millis(20));
    let seen = policy.seen.clone();
    let house = searching(policy, 1);
    let endless = ask(json!({ "search_tokens": 1000 }));
    let (first, second) = (house.send(PATH, &endless), house.send(PATH, &endless));
    let began = Instant::now();
    while house.metric("espalier_requests_taken_in") < 2.0 || house.metric("espalier_queue_running") < 1.0 {
        assert!(began.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(
        house.metric("espalier_queue_running") + house.metric("espalier_queue_length"),
        1.0,
        "one search at a time"
    );
    drop((first, second));
    while house.metric("espalier_requests_taken_in") > 0.0 || house.metric("espalier_queue_running") > 0.0 {
        assert!(began.elapsed() < Duration::from_secs(20), "the searches go on");
    }
    let submitted = seen.lock().unwrap().submitted;
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(seen.lock().unwrap().submitted, submitted);
    // The line moves on.
    house.answer(PATH, &ask(json!({ "search_tokens": 1 })));
}
