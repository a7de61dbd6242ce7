//! What goes over the wire of the fake server.

use super::{Asked, Drawn, Fault, Manners, Shared};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

pub(super) fn listen(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        while shared.is_alive.load(Ordering::SeqCst) {
            match listener.accept() {
                Ok((connection, _)) => {
                    connection.set_nonblocking(false).unwrap();
                    let _ = connection.set_nodelay(true);
                    shared.connections.lock().unwrap().push(connection.try_clone().unwrap());
                    let shared = Arc::clone(&shared);
                    std::thread::spawn(move || while serve(&connection, &shared).is_some() {});
                }
                Err(_) => sleep(Duration::from_millis(1)),
            }
        }
    })
}

/// One request of a connection; `None` at its end.
fn serve(connection: &TcpStream, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(connection);
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|&length| length > 0)?;
    let (mut length, mut key) = (0, None);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|&length| length > 0)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => key = value.trim().strip_prefix("Bearer ").map(str::to_owned),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    if shared.api_key.is_some() && key != shared.api_key {
        return reply(connection, 401, "", &json!({ "error": { "message": "bad key" } }).to_string());
    }
    match first.split(' ').nth(1)? {
        "/v1/models" => {
            let list =
                json!({ "object": "list", "data": [{ "id": "fake", "object": "model", "max_model_len": null }] });
            reply(connection, 200, "", &list.to_string())
        }
        "/v1/completions" => complete(connection, shared, &body),
        path => other(connection, shared, path, &body),
    }
}

fn other(connection: &TcpStream, shared: &Shared, path: &str, body: &[u8]) -> Option<()> {
    let now = shared.now.fetch_add(1, Ordering::SeqCst) + 1;
    shared.most.fetch_max(now, Ordering::SeqCst);
    let fault = (shared.faults)(shared.completions.fetch_add(1, Ordering::SeqCst));
    let done = match faulty(connection, fault) {
        ControlFlow::Break(done) => done,
        ControlFlow::Continue(()) => answer_other(connection, shared, path, body),
    };
    shared.now.fetch_sub(1, Ordering::SeqCst);
    done
}

fn answer_other(connection: &TcpStream, shared: &Shared, path: &str, body: &[u8]) -> Option<()> {
    let fields: Value = serde_json::from_slice(body).unwrap();
    let Some((status, answer)) = shared.brain.other(path, &fields) else {
        return reply(connection, 404, "", r#"{"detail":"Not Found"}"#);
    };
    // The dead answer nobody.
    if !shared.is_alive.load(Ordering::SeqCst) {
        return None;
    }
    reply(connection, status, "", &answer.to_string())?;
    shared.answered.fetch_add(1, Ordering::SeqCst);
    Some(())
}

/// Goes on, unless the fault stands in the answer's place.
fn faulty(connection: &TcpStream, fault: Fault) -> ControlFlow<Option<()>> {
    ControlFlow::Break(match fault {
        Fault::Status(status) => reply(connection, status, "", r#"{"error":{"message":"a fault"}}"#),
        Fault::Busy(ms) => reply(connection, 429, &format!("Retry-After: {}\r\n", ms as f64 / 1000.0), "slow down"),
        Fault::Garbage => reply(connection, 200, "", "{\"choices\": [{\"te"),
        Fault::Slow(ms) => {
            sleep(Duration::from_millis(ms));
            return ControlFlow::Continue(());
        }
        _ => return ControlFlow::Continue(()),
    })
}

fn complete(connection: &TcpStream, shared: &Shared, body: &[u8]) -> Option<()> {
    let now = shared.now.fetch_add(1, Ordering::SeqCst) + 1;
    shared.most.fetch_max(now, Ordering::SeqCst);
    let done = answer(connection, shared, body);
    shared.now.fetch_sub(1, Ordering::SeqCst);
    done
}

fn answer(connection: &TcpStream, shared: &Shared, body: &[u8]) -> Option<()> {
    let number = shared.completions.fetch_add(1, Ordering::SeqCst);
    let fields: Value = serde_json::from_slice(body).unwrap();
    if fields["model"] != "fake" {
        return reply(connection, 404, "", r#"{"error":{"message":"The model does not exist.","code":404}}"#);
    }
    let brain = &shared.brain;
    let takes_ids = shared.manners != Manners::LlamaCppPython;
    let prefix_ids = match &fields["prompt"] {
        Value::String(text) => brain.encode(text),
        ids if takes_ids => serde_json::from_value(ids.clone()).unwrap(),
        _ => return reply(connection, 500, "", r#"{"error":{"message":"4 validation errors: not a string"}}"#),
    };
    if shared.manners == Manners::Strict && !fields["top_k"].is_null() {
        return reply(connection, 400, "", r#"{"error":{"message":"Unrecognized request argument supplied: top_k"}}"#);
    }
    let fault = (shared.faults)(number);
    if let ControlFlow::Break(done) = faulty(connection, fault) {
        return done;
    }
    let stops: Vec<String> = serde_json::from_value(fields["stop"].clone()).unwrap_or_default();
    let asked = Asked {
        max_tokens: fields["max_tokens"].as_u64().unwrap() as usize,
        temperature: fields["temperature"].as_f64().unwrap() as f32,
        seed: fields["seed"].as_u64().unwrap(),
        stops: stops.clone(),
        prefix_ids,
    };
    if let Some((status, message)) = brain.refuses(&asked) {
        return reply(connection, status, "", &json!({ "error": { "message": message } }).to_string());
    }
    let drawn = brain.draw(&asked);
    let choice = choice(shared, &asked, drawn, fault);
    let count = if let Fault::Choices(count) = fault { count } else { 1 };
    let usage = json!({ "prompt_tokens": asked.prefix_ids.len() });
    let body = json!({ "object": "text_completion", "choices": vec![choice; count], "usage": usage }).to_string();
    if fault == Fault::Cut {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut connection = connection;
        connection.write_all(head.as_bytes()).ok()?;
        connection.write_all(&body.as_bytes()[..body.len() / 2]).ok()?;
        let _ = connection.shutdown(Shutdown::Both);
        return None;
    }
    // The dead answer nobody.
    if !shared.is_alive.load(Ordering::SeqCst) {
        return None;
    }
    reply(connection, 200, "", &body)?;
    shared.answered.fetch_add(1, Ordering::SeqCst);
    Some(())
}

fn choice(shared: &Shared, asked: &Asked, mut drawn: Drawn, fault: Fault) -> Value {
    let brain = &shared.brain;
    let stop = asked.stops.iter().filter_map(|stop| Some((drawn.text.find(stop.as_str())?, stop))).min();
    let text = stop.map_or(drawn.text.as_str(), |(at, _)| &drawn.text[..at]).to_owned();
    let reason = if drawn.is_stopped { "stop" } else { "length" };
    if fault == Fault::Short {
        drawn.logprobs.pop();
    }
    if shared.manners == Manners::Scaled && asked.temperature > 0.0 {
        drawn.logprobs.iter_mut().for_each(|logprob| *logprob /= asked.temperature);
    }
    let texts: Vec<String> =
        drawn.ids.iter().map(|&id| brain.decode(&[id]).replace(char::REPLACEMENT_CHARACTER, "")).collect();
    match shared.manners {
        Manners::LlamaCpp => {
            let dropped = stop.map_or(0, |(_, stop)| brain.encode(stop).len());
            let kept = drawn.ids.len().saturating_sub(dropped);
            let content: Vec<Value> = (0..kept)
                .map(|at| json!({ "id": drawn.ids[at], "token": texts[at], "logprob": drawn.logprobs[at] }))
                .collect();
            json!({ "text": text, "finish_reason": reason, "index": 0, "logprobs": { "content": content } })
        }
        Manners::LlamaCppPython => json!({
            "text": text, "finish_reason": reason, "index": 0,
            "logprobs": { "tokens": texts, "token_logprobs": drawn.logprobs },
        }),
        Manners::Mute => json!({ "text": text, "finish_reason": reason, "index": 0, "logprobs": null }),
        Manners::Vllm | Manners::Strict | Manners::Scaled => json!({
            "text": text, "finish_reason": reason, "index": 0, "token_ids": drawn.ids,
            "logprobs": { "tokens": texts, "token_logprobs": drawn.logprobs },
        }),
    }
}

fn reply(mut connection: &TcpStream, status: u16, headers: &str, body: &str) -> Option<()> {
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(format!("{head}{body}").as_bytes()).ok()
}
