//! A completions server with faults, for tests: answers as one of the known servers does, or fails as it is told to.
//!
//! ```text
//!  HTTP request ─► fault? ─► Brain: which tokens ─► Manners: in which form ─► HTTP answer
//! ```

#![expect(clippy::missing_panics_doc, reason = "a fake may panic where a test is wrong")]

mod answers;
mod http;

pub use answers::Answers;

use espalier_search::{Candidate, Finish, Policy, StepRequest, Stops, Unit};
use http::listen;
use std::borrow::Cow;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

/// What the model behind the server is asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The tokens of the prompt.
    pub prefix_ids: Vec<u32>,
    /// Most tokens that it may draw.
    pub max_tokens: usize,
    /// 0 takes the likeliest token.
    pub temperature: f32,
    /// Seed of the drawing.
    pub seed: u64,
    /// Strings that end the text.
    pub stops: Vec<String>,
}

impl Asked {
    /// What a policy in this process draws; `decode` is that of its tokenizer.
    pub fn draw_from(&self, policy: &mut (impl Policy + ?Sized), decode: impl Fn(&[u32]) -> String) -> Drawn {
        let request = StepRequest {
            ticket: 0,
            tree: 0,
            prefix_ids: self.prefix_ids.as_slice().into(),
            step_ends: vec![self.prefix_ids.len() as u32].into(),
            k: 1,
            max_tokens: self.max_tokens,
            unit: Unit::Path,
            stops: Cow::Owned(Stops { path: self.stops.clone().into(), ..Stops::default() }),
            temperature: self.temperature,
            seed: self.seed,
            want_value: false,
        };
        policy.submit(request).unwrap();
        let answer = policy.poll().unwrap().remove(0).candidates.remove(0);
        assert!(policy.poll().unwrap().is_empty());
        policy.forget(0);
        let Candidate { token_ids, logprobs, finish, .. } = answer;
        let text = decode(&token_ids);
        Drawn { ids: token_ids, logprobs, text, is_stopped: finish == Finish::Stop }
    }
}

/// What it drew.
#[derive(Clone, Debug)]
pub struct Drawn {
    /// Its tokens.
    pub ids: Vec<u32>,
    /// Natural, one for each token.
    pub logprobs: Vec<f32>,
    /// The text of all tokens.
    pub text: String,
    /// Not at the limit.
    pub is_stopped: bool,
}

/// The model behind the server.
pub trait Brain: Send + Sync {
    /// The tokens of a text.
    fn encode(&self, text: &str) -> Vec<u32>;
    /// The text of tokens.
    fn decode(&self, ids: &[u32]) -> String;
    /// One continuation.
    fn draw(&self, asked: &Asked) -> Drawn;

    /// Status and answer to a request for anything but completions, such as `/pooling`.
    fn other(&self, _path: &str, _body: &serde_json::Value) -> Option<(u16, serde_json::Value)> {
        None
    }

    /// Status and message for what it will never answer.
    fn refuses(&self, _asked: &Asked) -> Option<(u16, &'static str)> {
        None
    }
}

/// A model that completes nothing: what it answers to a request for anything else, such as `/pooling`.
#[derive(Clone, Copy, Debug)]
pub struct Elsewhere<F>(pub F);

impl<F> Brain for Elsewhere<F>
where
    F: Fn(&str, &serde_json::Value) -> Option<(u16, serde_json::Value)> + Send + Sync,
{
    fn encode(&self, _text: &str) -> Vec<u32> {
        Vec::new()
    }

    fn decode(&self, _ids: &[u32]) -> String {
        String::new()
    }

    fn draw(&self, _asked: &Asked) -> Drawn {
        unreachable!("no completion is asked for")
    }

    fn other(&self, path: &str, body: &serde_json::Value) -> Option<(u16, serde_json::Value)> {
        self.0(path, body)
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
    /// Nothing.
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
    /// Host and port.
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
    /// A server without faults, on a port of its own.
    pub fn new(brain: Arc<dyn Brain>, manners: Manners) -> FakeServer {
        Self::with_faults(brain, manners, None, |_| Fault::None)
    }

    /// `faults` is asked for each completion, and for each of the [others](Brain::other), with its number.
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

    /// Where the server is.
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
