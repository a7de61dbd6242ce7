//! Values and tokens of texts.

use crate::gradual::{Gradual, Words, at_once};
use crate::house::{House, PROMPT};
use espalier_search::fake::{FakePolicy, FakeTexts};
use serde_json::{Value, json};
use std::time::Duration;

fn value_of(text: &str) -> Value {
    json!(Words::value(&text.bytes().map(u32::from).collect::<Vec<_>>()))
}

#[test]
fn values_are_those_of_the_states() {
    for house in [House::new(at_once()), House::new(Gradual::new(1, Duration::ZERO))] {
        let text = format!("{PROMPT}<step>a</step><step>b</step>c");
        let at_end = house.answer("/value", &json!({ "prompt": text }));
        assert_eq!(at_end["data"][0]["values"], json!([value_of(&text)]));
        assert_eq!(at_end["data"][0]["ends"], json!([text.len()]));
        assert_eq!(at_end["usage"]["prompt_tokens"], text.len());
        // At the ends of steps, by their stop strings, and at the end of all.
        let steps = house.answer("/value", &json!({ "prompt": text, "stop": ["</step>"] }));
        let ends: Vec<usize> =
            text.match_indices("</step>").map(|(at, stop)| at + stop.len()).chain([text.len()]).collect();
        assert_eq!(steps["data"][0]["ends"], json!(ends));
        let expected: Vec<Value> = ends.iter().map(|&end| value_of(&text[..end])).collect();
        assert_eq!(steps["data"][0]["values"], json!(expected));
        // At given ends, in their order and as often as given.
        let ids: Vec<u32> = text.bytes().map(u32::from).collect();
        let given = house.answer("/value", &json!({ "prompt": ids, "ends": [9, 3, 9] }));
        assert_eq!(
            given["data"][0]["values"],
            json!([value_of(&text[..9]), value_of(&text[..3]), value_of(&text[..9])])
        );
        let lists = house.answer("/value", &json!({ "prompt": [text, "abc"], "ends": [[1], [2, 3]] }));
        assert_eq!(lists["data"][1]["values"], json!([value_of("ab"), value_of("abc")]));
    }
}

#[test]
fn pooling_is_the_same_in_another_form() {
    let house = House::new(at_once());
    let pooled = house.answer("/pooling", &json!({ "model": "fake", "input": ["abc", "d"] }));
    assert_eq!(pooled["data"][0], json!({ "object": "pooling", "index": 0, "data": [value_of("abc")] }));
    assert_eq!(pooled["data"][1]["data"], json!([value_of("d")]));
    let tokens =
        house.answer("/pooling", &json!({ "input": "abc", "task": "token_classify", "encoding_format": "float" }));
    assert_eq!(tokens["data"][0]["data"], json!([[value_of("a")], [value_of("ab")], [value_of("abc")]]));
    let chat = house.answer("/pooling", &json!({ "messages": [{ "role": "user", "content": "x" }] }));
    assert_eq!(chat["data"][0]["data"], json!([value_of("<user>x</user><question>")]));
    for (fields, field) in [
        (json!({ "input": "x", "task": "embed" }), "task"),
        (json!({ "input": "x", "encoding_format": "base64" }), "encoding_format"),
        (json!({ "input": "" }), "input"),
        (json!({ "prompt": "x" }), "input"),
    ] {
        assert_eq!(house.refusal("/pooling", &fields).1, field);
    }
    for (fields, field) in [
        (json!({ "prompt": "abc", "ends": [4] }), "ends"),
        (json!({ "prompt": "abc", "ends": [0] }), "ends"),
        (json!({ "prompt": "abc", "ends": [-1] }), "ends"),
        (json!({ "prompt": "abc", "ends": [[1], [2]] }), "ends"),
        (json!({ "prompt": "abc", "ends": [1], "stop": "x" }), "ends"),
        (json!({ "prompt": "abc", "stop": "" }), "stop"),
    ] {
        assert_eq!(house.refusal("/value", &fields).1, field, "{fields}");
    }
    let without = House::new(FakePolicy::new(FakeTexts { values: false, ..FakeTexts::new(1) }));
    let (status, _, message) = without.refusal("/value", &json!({ "prompt": "abc" }));
    assert!(status == 400 && message.contains("no value head"), "{message}");
}

#[test]
fn texts_become_tokens_and_back() {
    let house = House::new(Gradual::new(1, Duration::ZERO));
    let text = "5 € für";
    let tokens = house.answer("/tokenize", &json!({ "model": "fake", "prompt": text, "return_token_strs": true }));
    assert_eq!(tokens["tokens"], json!(text.as_bytes()));
    assert_eq!((tokens["count"].as_u64(), tokens["max_model_len"].as_u64()), (Some(text.len() as u64), Some(4000)));
    assert_eq!(tokens["token_strs"][0], "5");
    let back = house.answer("/detokenize", &json!({ "tokens": tokens["tokens"] }));
    assert_eq!(back, json!({ "prompt": text }));
    for (fields, field) in [
        (json!({ "tokens": [300] }), "tokens"),
        (json!({ "tokens": [-1] }), "tokens"),
        (json!({ "tokens": ["a"] }), "tokens"),
        (json!({}), "tokens"),
        (json!({ "tokens": [1], "other": 2 }), "other"),
    ] {
        assert_eq!(house.refusal("/detokenize", &fields).1, field, "{fields}");
    }
}
