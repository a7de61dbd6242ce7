//! A completions server with faults: answers as one of the known servers does, or fails as it is told to.

use espalier_policy::ModelPolicy;
use espalier_search::{Candidate, Finish, Policy, StepRequest, Unit};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

/// What the model behind the server is asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub prefix_ids: Vec<u32>,
    pub max_tokens: usize,
    pub temperature: f32,
    pub seed: u64,
    pub stops: Vec<String>,
}

impl Asked {
    /// What a model in this process draws.
    pub fn draw_from(&self, policy: &mut ModelPolicy) -> Drawn {
        let request = StepRequest {
            ticket: 0,
            tree: 0,
            prefix_ids: self.prefix_ids.as_slice().into(),
            step_ends: vec![self.prefix_ids.len() as u32].into(),
            k: 1,
            max_tokens: self.max_tokens,
            unit: Unit::Path,
            temperature: self.temperature,
            seed: self.seed,
            want_value: false,
        };
        policy.submit(request).unwrap();
        let answer = policy.poll().unwrap().remove(0).candidates.remove(0);
        assert!(policy.poll().unwrap().is_empty());
        policy.forget(0);
        let Candidate { token_ids, logprobs, finish, .. } = answer;
        let text = policy.tokenizer().decode(&token_ids);
        Drawn { ids: token_ids, logprobs, text, is_stopped: finish == Finish::Stop }
    }
}

/// What it drew.
#[derive(Clone, Debug)]
pub struct Drawn {
    pub ids: Vec<u32>,
    pub logprobs: Vec<f32>,
    /// The text of all tokens.
    pub text: String,
    /// Not at the limit.
    pub is_stopped: bool,
}

/// The model behind the server.
pub trait Brain: Send + Sync {
    fn encode(&self, text: &str) -> Vec<u32>;
    fn decode(&self, ids: &[u32]) -> String;
    fn draw(&self, asked: &Asked) -> Drawn;

    /// Status and message for what it will never answer.
    fn refuses(&self, _asked: &Asked) -> Option<(u16, &'static str)> {
        None
    }
}

/// Whose manners the server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manners {
    /// Takes ids, gives ids, lists the stop's tokens.
    Vllm,
    /// Takes ids, gives ids, drops the stop's tokens.
    LlamaCpp,
    /// Takes text, gives texts of tokens, lists the stop's tokens.
    LlamaCppPython,
    /// As vLLM, but refuses fields that are not OpenAI's.
    Strict,
    /// As vLLM, but its log-probabilities are those at the temperature (of all tokens, here: divided by it).
    Scaled,
    /// As vLLM, without log-probabilities.
    Mute,
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// An answer with this status.
    Status(u16),
    /// 429 with `Retry-After`, in milliseconds.
    Busy(u64),
    /// The connection ends in the middle of the body.
    Cut,
    /// The answer comes so many milliseconds late.
    Slow(u64),
    /// A whole body that is no JSON.
    Garbage,
    /// So many choices.
    Choices(usize),
    /// A choice with one log-probability too few.
    Short,
}

type Faults = dyn Fn(u64) -> Fault + Send + Sync;

/// The server, which serves until it is dropped, but for the time that it is dead.
pub struct FakeServer {
    shared: Arc<Shared>,
    listening: Mutex<Option<JoinHandle<()>>>,
    pub address: SocketAddr,
}

struct Shared {
    brain: Arc<dyn Brain>,
    manners: Manners,
    faults: Box<Faults>,
    api_key: Option<String>,
    is_alive: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
    completions: AtomicU64,
    now: AtomicUsize,
    most: AtomicUsize,
    answered: AtomicU64,
}

impl FakeServer {
    pub fn new(brain: Arc<dyn Brain>, manners: Manners) -> FakeServer {
        Self::with_faults(brain, manners, None, |_| Fault::None)
    }

    /// `faults` is asked for each completion, with its number.
    pub fn with_faults(
        brain: Arc<dyn Brain>,
        manners: Manners,
        api_key: Option<&str>,
        faults: impl Fn(u64) -> Fault + Send + Sync + 'static,
    ) -> FakeServer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            brain,
            manners,
            faults: Box::new(faults),
            api_key: api_key.map(str::to_owned),
            is_alive: AtomicBool::new(true),
            connections: Mutex::default(),
            completions: AtomicU64::new(0),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            answered: AtomicU64::new(0),
        });
        let listening = Mutex::new(Some(listen(listener, Arc::clone(&shared))));
        FakeServer { shared, listening, address }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Completions that went out.
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// Most completions that were here at a time.
    pub fn most(&self) -> usize {
        self.shared.most.load(Ordering::SeqCst)
    }

    /// Closes its port and all connections, in the middle of whatever they carry.
    pub fn die(&self) {
        self.shared.is_alive.store(false, Ordering::SeqCst);
        if let Some(listening) = self.listening.lock().unwrap().take() {
            listening.join().unwrap();
        }
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Serves again, at the same address.
    pub fn revive(&self) {
        let listener = loop {
            match TcpListener::bind(self.address) {
                Ok(listener) => break listener,
                Err(_) => sleep(Duration::from_millis(10)),
            }
        };
        self.shared.is_alive.store(true, Ordering::SeqCst);
        *self.listening.lock().unwrap() = Some(listen(listener, Arc::clone(&self.shared)));
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.die();
    }
}

fn listen(listener: TcpListener, shared: Arc<Shared>) -> JoinHandle<()> {
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
        _ => reply(connection, 404, "", r#"{"detail":"Not Found"}"#),
    }
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
    match fault {
        Fault::Status(status) => return reply(connection, status, "", r#"{"error":{"message":"a fault"}}"#),
        Fault::Busy(ms) => {
            return reply(connection, 429, &format!("Retry-After: {}\r\n", ms as f64 / 1000.0), "slow down");
        }
        Fault::Garbage => return reply(connection, 200, "", "{\"choices\": [{\"te"),
        Fault::Slow(ms) => sleep(Duration::from_millis(ms)),
        _ => {}
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
