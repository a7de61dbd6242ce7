//! A server on a thread of its own, and a client that knows nothing of it.

use crate::inventor::bytes;
use espalier_search::Policy;
use espalier_server::serve::{Searcher, ServeConfig, Server, Stopper};
use espalier_tokenizer::Tokenizer;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use ureq::Agent;

pub const PROMPT: &str = "<question>What is 3 + 7?</question><plan>";

/// The tokenizer of bytes, with a chat template.
fn chatting() -> Tokenizer {
    let folder = tempfile::tempdir().unwrap();
    bytes().save(folder.path()).unwrap();
    let template = "{% for m in messages %}{% if m.role not in ['system', 'user', 'assistant'] %}{{ raise_exception('no such role') }}\
        {% endif %}<{{ m.role }}>{{ m.content }}</{{ m.role }}>{% endfor %}<question>";
    std::fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
    Tokenizer::load(folder.path()).unwrap()
}

/// A running server; it is stopped when it is dropped.
pub struct House {
    pub address: SocketAddr,
    pub stopper: Stopper,
    running: Option<JoinHandle<Result<(), String>>>,
    agent: Agent,
}

impl House {
    pub fn new(policy: impl Policy + Send + 'static) -> House {
        House::with(ServeConfig::new("fake"), policy, None)
    }

    pub fn with(
        config: ServeConfig,
        mut policy: impl Policy + Send + 'static,
        searcher: Option<Arc<dyn Searcher>>,
    ) -> House {
        let server = Server::bind(config).unwrap();
        let (address, stopper) = (server.address(), server.stopper());
        let run = move || server.run(&mut policy, Arc::new(chatting()), searcher).map_err(|error| error.to_string());
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(Duration::from_secs(60)));
        House { address, stopper, running: Some(std::thread::spawn(run)), agent: config.build().new_agent() }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Status and body.
    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.post_bytes(path, body.to_string().as_bytes())
    }

    pub fn post_bytes(&self, path: &str, body: &[u8]) -> (u16, Value) {
        let request = self.agent.post(format!("{}{path}", self.url())).header("content-type", "application/json");
        let mut response = request.send(body).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}")))
    }

    /// The body of an answer that must be one.
    pub fn answer(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.post(path, body);
        assert_eq!(status, 200, "{body}: {answer}");
        answer
    }

    /// The field that is wrong, and what is said of it.
    pub fn refusal(&self, path: &str, body: &Value) -> (u16, Value, String) {
        let (status, answer) = self.post(path, body);
        assert!(status >= 400, "{body}: {answer}");
        let error = &answer["error"];
        assert!(error["type"].is_string() && error.get("code").is_some(), "{answer}");
        (status, error["param"].clone(), error["message"].as_str().unwrap().to_owned())
    }

    pub fn get(&self, path: &str) -> (u16, String) {
        let mut response = self.agent.get(format!("{}{path}", self.url())).call().unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }

    /// A number of the metrics.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.get("/metrics");
        let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
        line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// A connection on which a request was sent and nothing was read.
    pub fn send(&self, path: &str, body: &Value) -> TcpStream {
        let mut connection = TcpStream::connect(self.address).unwrap();
        connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let body = body.to_string();
        let length = body.len();
        write!(connection, "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        connection
    }

    /// The events of a stream, without the last, which says that it is over.
    pub fn stream(&self, path: &str, body: &Value) -> Vec<Value> {
        let mut body = body.clone();
        body["stream"] = json!(true);
        let mut events = Events::new(self.send(path, &body));
        let all: Vec<String> = std::iter::from_fn(|| events.next()).collect();
        assert_eq!(all.last().map(String::as_str), Some("[DONE]"), "{all:?}");
        all[..all.len() - 1].iter().map(|event| serde_json::from_str(event).unwrap()).collect()
    }

    /// Waits for its end.
    pub fn ended(mut self) -> Result<(), String> {
        self.running.take().unwrap().join().unwrap()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.stopper.stop();
        self.stopper.stop();
        if let Some(running) = self.running.take() {
            let _ = running.join();
        }
    }
}

/// Events as they come, out of a body in chunks.
pub struct Events {
    reader: BufReader<TcpStream>,
    body: Vec<u8>,
    is_over: bool,
}

impl Events {
    pub fn new(connection: TcpStream) -> Events {
        let mut reader = BufReader::new(connection);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            head.push(line.to_ascii_lowercase());
        }
        assert!(head[0].contains("200"), "{head:?}");
        assert!(head.iter().any(|line| line.contains("text/event-stream")), "{head:?}");
        Events { reader, body: Vec::new(), is_over: false }
    }

    pub fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.body.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = self.body.drain(..end + 2).collect();
                // Each event is UTF-8 by itself: no character is cut.
                let event = String::from_utf8(event).unwrap();
                return Some(event.strip_prefix("data: ").unwrap().trim_end().to_owned());
            }
            if self.is_over {
                return None;
            }
            let mut size = String::new();
            self.reader.read_line(&mut size).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let mut chunk = vec![0; size + 2];
            self.reader.read_exact(&mut chunk).unwrap();
            self.body.extend(&chunk[..size]);
            self.is_over = size == 0;
        }
    }
}
