//! Verdicts of a model that writes.

use regex::Regex;
use serde_json::{Value, json};

/// The body of a request for a grade.
pub(super) fn ask(model: &str, prompt: &str, max_tokens: usize) -> Value {
    let messages = json!([{ "role": "user", "content": prompt }]);
    json!({ "model": model, "messages": messages, "max_tokens": max_tokens, "temperature": 0.0, "seed": 0 })
}

/// The body of a request for the first token's probabilities.
pub(super) fn ask_yes_no(model: &str, prompt: &str) -> Value {
    let mut body = ask(model, prompt, 1);
    // As many as OpenAI's API allows.
    body["logprobs"] = json!(true);
    body["top_logprobs"] = json!(20);
    body
}

/// The grade in the last line of an answer, from 0 to 1.
pub(super) fn grade(answer: &Value, verdict: &Regex, full_marks: f64) -> Result<f32, String> {
    let text = answer["choices"][0]["message"]["content"].as_str().ok_or("its answer has no text")?;
    // What a model thinks aloud before is no part of its answer.
    let said = text.rsplit_once("</think>").map_or(text, |(_, said)| said);
    let line = said.lines().rev().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let cut = if answer["choices"][0]["finish_reason"] == "length" { " (it was cut at max_tokens)" } else { "" };
    let shown: String = line.chars().take(120).collect();
    let found =
        verdict.captures(line).ok_or_else(|| format!("its last line is {shown:?}{cut}, in which there is no grade"))?;
    let grade = found.get(1).or(found.get(0)).map_or("", |group| group.as_str().trim());
    let of_words = match grade.to_lowercase().as_str() {
        "yes" | "correct" | "right" | "true" | "pass" | "good" => Some(1.0),
        "no" | "incorrect" | "wrong" | "false" | "fail" | "bad" => Some(0.0),
        _ => None,
    };
    let score = of_words.or_else(|| grade.parse::<f64>().ok().map(|grade| grade / full_marks));
    match score {
        Some(score) if (0.0..=1.0).contains(&score) => Ok(score as f32),
        _ => Err(format!(
            "its grade is {grade:?}, which is neither a word for right or wrong nor from 0 to {full_marks}"
        )),
    }
}

/// The probability of Yes among Yes and No, of the first token. `None` if neither is among the likely ones.
pub(super) fn yes_no(answer: &Value) -> Result<Option<f32>, String> {
    let first = &answer["choices"][0]["logprobs"]["content"][0];
    let listed = first["top_logprobs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let own = std::slice::from_ref(first);
    let tokens = if listed.is_empty() { own } else { listed };
    let (mut yes, mut no, mut read) = (0.0, 0.0, 0);
    for token in tokens {
        let (Some(text), Some(logprob)) = (token["token"].as_str(), token["logprob"].as_f64()) else { continue };
        read += 1;
        match text.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase().as_str() {
            "yes" => yes += logprob.exp(),
            "no" => no += logprob.exp(),
            _ => {}
        }
    }
    if read == 0 {
        return Err("its answer has no log-probabilities; take the endpoint \"chat\"".to_owned());
    }
    let share = yes / (yes + no);
    Ok(share.is_finite().then_some(share as f32))
}

#[cfg(test)]
mod tests {
    use super::super::config::ServerJudgeConfig;
    use super::*;

    fn said(text: &str) -> Value {
        json!({ "choices": [{ "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }] })
    }

    #[test]
    fn the_grade_is_the_last_line_s() {
        let config = ServerJudgeConfig::default();
        let verdict = Regex::new(&config.verdict).unwrap();
        let of = |text: &str| grade(&said(text), &verdict, config.full_marks);
        for (text, score) in [
            ("Fine.\nGrade: 7", 0.7),
            ("**Grade: 10/10**\n\n", 1.0),
            ("grade: 0", 0.0),
            ("Grade: 2.5", 0.25),
            ("Grade: 10\nNo, it is wrong.\nGrade: 1", 0.1),
            ("<think>Grade: 10</think>Grade: 3", 0.3),
        ] {
            assert_eq!(of(text), Ok(score), "{text}");
        }
        for text in [
            "",
            "Grade: 10\nI am not sure.",
            "Grade: 11",
            "Grade: -1",
            "The step says Grade: 10",
            "Grade: ten",
            "<think>Grade: 10</think>",
        ] {
            assert!(of(text).is_err(), "{text}");
        }
        assert!(grade(&json!({ "choices": [] }), &verdict, 10.0).is_err());
        let cut = json!({ "choices": [{ "message": { "content": "Let me" }, "finish_reason": "length" }] });
        assert!(grade(&cut, &verdict, 10.0).unwrap_err().contains("max_tokens"));
        let words = Regex::new(r"^Verdict: (\w+)$").unwrap();
        for (text, score) in [("Verdict: Correct", 1.0), ("Verdict: wrong", 0.0), ("Verdict: 1", 1.0)] {
            assert_eq!(grade(&said(text), &words, 1.0), Ok(score), "{text}");
        }
    }

    #[test]
    fn yes_is_weighed_against_no() {
        let first = |tokens: &[(&str, f64)]| {
            let listed: Vec<Value> =
                tokens.iter().map(|(token, p)| json!({ "token": token, "logprob": p.ln() })).collect();
            json!({ "choices": [{ "logprobs": { "content": [{ "token": "Yes", "logprob": -0.5, "top_logprobs": listed }] } }] })
        };
        // 0.5 + 0.1 for yes, 0.2 for no.
        let share = yes_no(&first(&[("Yes", 0.5), (" yes", 0.1), ("No", 0.2), ("Maybe", 0.1)])).unwrap().unwrap();
        assert!((share - 0.75).abs() < 1e-6, "{share}");
        assert_eq!(yes_no(&first(&[("No", 0.9)])), Ok(Some(0.0)));
        assert_eq!(yes_no(&first(&[("Perhaps", 0.9)])), Ok(None));
        assert_eq!(yes_no(&first(&[])), Ok(Some(1.0)), "the token itself, where no others are listed");
        assert!(yes_no(&said("Yes")).is_err());
    }
}
