//! Bodies that nobody should send: each gets one clear refusal, and the server goes on.

use crate::gradual::{Gradual, at_once};
use crate::house::{House, PROMPT};
use espalier_server::serve::ServeConfig;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const PATH: &str = "/v1/completions";

fn serves(house: &House) {
    house.answer(PATH, &json!({ "prompt": PROMPT, "max_tokens": 3 }));
}

#[test]
fn bodies_that_are_no_request_are_refused() {
    let house = House::new(at_once());
    let deep = format!("{{\"prompt\": {}{}}}", "[".repeat(200_000), "]".repeat(200_000));
    let bodies: [&[u8]; 9] = [
        b"",
        b"{",
        b"null",
        b"[1, 2]",
        b"\"prompt\"",
        b"{\"prompt\": \"\xff\xfe\"}",
        b"{\"prompt\": \"\\ud800\"}",
        b"{\"prompt\": \"x\", \"temperature\": 1e999}",
        deep.as_bytes(),
    ];
    for body in bodies {
        let (status, answer) = house.post_bytes(PATH, body);
        assert_eq!((status, &answer["error"]["type"]), (400, &json!("invalid_request_error")), "{answer}");
    }
    serves(&house);
}

#[test]
fn wrong_types_and_numbers_name_their_field() {
    let house = House::new(Gradual::new(50, Duration::ZERO));
    let many: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let cases = [
        ("prompt", json!(-3)),
        ("prompt", json!(["a", 3])),
        ("prompt", json!([1, -2])),
        ("prompt", json!([1, 2.5])),
        ("prompt", json!([1, 99_999])),
        ("prompt", json!([[1], "a", {}])),
        ("prompt", json!({})),
        ("prompt", json!("")),
        ("prompt", json!([])),
        ("prompt", json!(many)),
        ("prompt", json!("x".repeat(5000))),
        ("prompt", json!("x".repeat(2_000_000))),
        ("max_tokens", json!(-1)),
        ("max_tokens", json!(1e30)),
        ("max_tokens", json!("many")),
        ("n", json!(0)),
        ("n", json!(129)),
        ("best_of", json!(2)),
        ("temperature", json!(-0.1)),
        ("temperature", json!("hot")),
        ("top_p", json!(0)),
        ("top_p", json!(1.1)),
        ("top_k", json!(-2)),
        ("top_k", json!(2.5)),
        ("min_p", json!(1)),
        ("min_p", json!(-0.5)),
        ("repetition_penalty", json!(0)),
        ("repeat_last_n", json!(-2)),
        ("samplers", json!(["temperature"])),
        ("seed", json!(1.5)),
        ("seed", json!("x")),
        ("stop", json!(5)),
        ("stop", json!([""])),
        ("stop", json!(["a", 5])),
        ("stop", json!(vec!["x"; 65])),
        ("stop", json!("x".repeat(1025))),
        ("logprobs", json!(21)),
        ("logprobs", json!(true)),
        ("logprobs", json!(-1)),
        ("stream", json!("yes")),
        ("echo", json!(1)),
        ("suffix", json!("end")),
        ("presence_penalty", json!(0.5)),
        ("frequency_penalty", json!(-0.5)),
        ("logit_bias", json!({ "5": 1 })),
        ("skip_special_tokens", json!(true)),
        ("ignore_eos", json!(true)),
        ("min_tokens", json!(3)),
        ("guided_json", json!({})),
        ("model", json!(3)),
    ];
    for (field, value) in cases {
        let mut body = json!({ "prompt": PROMPT, "max_tokens": 3 });
        body[field] = value;
        let (status, param, message) = house.refusal(PATH, &body);
        assert_eq!((status, param.as_str()), (400, Some(field)), "{message}");
        assert!(message.len() < 300, "{message}");
    }
    let long = house.post(PATH, &json!({ "prompt": "x".repeat(5000) })).1;
    assert_eq!(long["error"]["code"], "context_length_exceeded");
    // No prompt at all, another model, and fields that are null.
    assert_eq!(house.refusal(PATH, &json!({})).1, "prompt");
    let (status, param, _) = house.refusal(PATH, &json!({ "prompt": "x", "model": "gpt" }));
    assert_eq!((status, param), (404, json!("model")));
    house.answer(PATH, &json!({ "prompt": PROMPT, "max_tokens": null, "stop": null, "guided_json": null, "seed": -5 }));
}

#[test]
fn huge_bodies_are_not_read() {
    let config = ServeConfig { max_body_bytes: 100_000, ..ServeConfig::new("fake") };
    let house = House::with(config, at_once(), None);
    let (status, answer) = house.post(PATH, &json!({ "prompt": "x".repeat(200_000) }));
    assert_eq!((status, answer["error"]["message"].as_str()), (413, Some("the body is longer than 100000 bytes")));
    // In chunks, with no length in front.
    let mut connection = TcpStream::connect(house.address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(
        connection,
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    .unwrap();
    for _ in 0..40 {
        if write!(connection, "2710\r\n{}\r\n", "y".repeat(10_000)).is_err() {
            break;
        }
    }
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
    serves(&house);
}

#[test]
fn a_body_that_does_not_come_is_given_up() {
    let config = ServeConfig { body_patience: Duration::from_millis(200), max_requests: 1, ..ServeConfig::new("fake") };
    let house = House::with(config, at_once(), None);
    let mut connection = TcpStream::connect(house.address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(
        connection,
        "POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 90\r\n\r\n{{"
    )
    .unwrap();
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    serves(&house);
}

#[test]
fn paths_methods_and_types_are_checked() {
    let house = House::new(at_once());
    assert_eq!(house.get("/v1/nothing").0, 404);
    assert_eq!(house.get(PATH).0, 405);
    assert_eq!(house.post("/health", &json!({})).0, 405);
    // What any page in a browser may send to this machine.
    let simple = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let sent = simple
        .post(format!("{}{PATH}", house.url()))
        .header("content-type", "text/plain")
        .send("{\"prompt\": \"x\"}")
        .unwrap();
    assert_eq!(sent.status(), 415);
    let (status, body) = house.get("/health");
    assert_eq!((status, serde_json::from_str::<Value>(&body).unwrap()), (200, json!({ "status": "ok" })));
    let (_, models) = house.get("/v1/models");
    let models: Value = serde_json::from_str(&models).unwrap();
    assert_eq!((models["data"][0]["id"].as_str(), models["data"].as_array().map(Vec::len)), (Some("fake"), Some(1)));
    // Lines that are no HTTP end their connection alone.
    let mut garbage = TcpStream::connect(house.address).unwrap();
    garbage.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    garbage.write_all(b"\x16\x03\x01 hello\r\n\r\n").unwrap();
    let mut said = Vec::new();
    let _ = garbage.read_to_end(&mut said);
    assert!(said.is_empty() || said.starts_with(b"HTTP/1.1 400"), "{said:?}");
    serves(&house);
}
