//! What all requests of a server share.

use super::config::ServeConfig;
use super::desk::Ask;
use super::error::Refusal;
use super::fields::Fields;
use super::metrics::Metrics;
use super::search::Searcher;
use espalier_search::{About, Wish};
use espalier_tokenizer::Tokenizer;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc as std_mpsc;
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// A token has at most so many bytes of text on average: a text with more for each token of the context cannot fit.
const BYTES_PER_TOKEN: usize = 256;

/// The server, as its handlers see it.
pub(crate) struct State {
    pub config: ServeConfig,
    pub about: About,
    pub tokenizer: Arc<Tokenizer>,
    pub metrics: Arc<Metrics>,
    /// What answers conversations, where that is not the policy alone.
    pub searcher: Option<Arc<dyn Searcher>>,
    /// Searches that may begin.
    pub searches: Arc<Semaphore>,
    /// The line to the desk.
    pub asks: mpsc::Sender<Vec<Ask>>,
    pub releases: std_mpsc::Sender<u64>,
    wishes: Vec<Wish>,
    admission: Arc<Semaphore>,
    next_tree: AtomicU64,
    next_name: AtomicU64,
    /// When it began, in seconds since 1970; sets the names of two servers' answers apart.
    pub started: u64,
}

impl State {
    pub fn new(
        config: ServeConfig,
        about: About,
        wishes: Vec<Wish>,
        tokenizer: Arc<Tokenizer>,
        searcher: Option<Arc<dyn Searcher>>,
        metrics: Arc<Metrics>,
        (asks, releases): (mpsc::Sender<Vec<Ask>>, std_mpsc::Sender<u64>),
    ) -> State {
        State {
            admission: Arc::new(Semaphore::new(config.max_requests)),
            searches: Arc::new(Semaphore::new(config.max_searches)),
            config,
            about,
            tokenizer,
            metrics,
            searcher,
            asks,
            releases,
            wishes,
            next_tree: AtomicU64::new(0),
            next_name: AtomicU64::new(0),
            started: now(),
        }
    }

    /// Whether the policy can fulfil a wish.
    pub fn can(&self, wish: Wish) -> bool {
        self.wishes.contains(&wish)
    }

    /// Takes a request in, if there is room.
    pub fn admit(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        Arc::clone(&self.admission).try_acquire_owned().map_err(|_| Refusal::busy(self.config.max_requests))
    }

    /// Requests taken in.
    pub fn busy(&self) -> usize {
        self.config.max_requests - self.admission.available_permits()
    }

    /// Names for trees that no other request has.
    pub fn new_trees(&self, count: usize) -> std::ops::Range<u64> {
        let first = self.next_tree.fetch_add(count as u64, Ordering::Relaxed);
        first..first + count as u64
    }

    /// A name for an answer, of which this is the kind.
    pub fn new_name(&self, kind: &str) -> String {
        format!("{kind}-{:x}-{:x}", self.started, self.next_name.fetch_add(1, Ordering::Relaxed))
    }

    /// Reads the field `model`, which need not be there.
    pub fn check_model(&self, fields: &mut Fields) -> Result<(), Refusal> {
        match fields.text("model")? {
            Some(name) if name != self.config.model => Err(Refusal::unknown_model(&name, &self.config.model)),
            _ => Ok(()),
        }
    }

    /// Refuses a text that cannot fit, before work is spent on it.
    pub fn check_bytes(&self, name: &str, bytes: usize) -> Result<(), Refusal> {
        match self.about.max_context_tokens {
            Some(context) if bytes / BYTES_PER_TOKEN > context => {
                let message = format!(
                    "has {bytes} bytes, too many for the model's context length of {context} tokens; shorten it"
                );
                Err(Refusal::field(name, message))
            }
            _ => Ok(()),
        }
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
