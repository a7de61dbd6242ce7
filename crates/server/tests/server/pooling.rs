//! Numbers of texts over the wire: in order, in one request, tried again where that helps, refused where it does not.

use crate::policy::config;
use espalier_server::testing::{Elsewhere, FakeServer, Fault, Manners};
use espalier_server::{PoolInput, PostError, Posts, Servers, probability};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Gives of a text its length, and of token ids a row each, of which it knows those below 100.
fn lengths(path: &str, body: &Value) -> Option<(u16, Value)> {
    assert_eq!((path, &body["model"]), ("/pooling", &json!("fake")));
    let inputs = body["input"].as_array()?;
    let numbers = |input: &Value| match input {
        Value::String(text) => json!([text.len()]),
        ids => ids.as_array().into_iter().flatten().map(|id| json!([id, 0.5])).collect(),
    };
    if body.to_string().contains("999") {
        return Some((400, json!({ "error": { "message": "token id 999 is out of vocabulary" } })));
    }
    // In another order than they were asked, with their numbers.
    let data = inputs.iter().enumerate().rev().map(|(index, input)| json!({ "index": index, "data": numbers(input) }));
    Some((200, json!({ "data": data.collect::<Value>() })))
}

#[test]
fn texts_and_token_ids_have_their_numbers() {
    let faults = |number| match number {
        0 => Fault::Status(503),
        1 => Fault::Garbage,
        _ => Fault::None,
    };
    let server = FakeServer::with_faults(Arc::new(Elsewhere(lengths)), Manners::Vllm, None, faults);
    let servers = Servers::parse([server.url().as_str()]).unwrap();
    let posts = Posts::open(&servers, &config(), Duration::from_secs(5), |_| {}).unwrap();
    let texts = posts.pool(PoolInput::Texts(&["a", "abc"])).unwrap();
    assert_eq!(texts, [[[1.0]], [[3.0]]]);
    assert!(probability(&texts[1][0], None).unwrap() > 0.95);
    let tokens = posts.pool(PoolInput::Tokens(&[&[1, 2], &[3]])).unwrap();
    assert_eq!(tokens, [vec![vec![1.0, 0.5], vec![2.0, 0.5]], vec![vec![3.0, 0.5]]]);
    assert_eq!(posts.pool(PoolInput::Texts(&[])).unwrap().len(), 0);
    let refused = posts.pool(PoolInput::Tokens(&[&[999]])).unwrap_err();
    assert!(matches!(&refused, PostError::Refused(problem) if problem.contains("out of vocabulary")), "{refused}");
    let empty = posts.pool(PoolInput::Tokens(&[&[]])).unwrap_err();
    assert!(matches!(&empty, PostError::Refused(problem) if problem.contains("no number")), "{empty}");
    server.die();
    let posts_of_the_dead = posts.pool(PoolInput::Texts(&["a"]));
    assert!(matches!(posts_of_the_dead, Err(PostError::Away(_))), "{posts_of_the_dead:?}");
}
