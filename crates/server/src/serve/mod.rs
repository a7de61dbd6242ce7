//! Our own server: a policy behind OpenAI's completions and chat, with vLLM's extensions, and behind `/value`.
//!
//! ```text
//!   this thread: the desk ─── owns the Policy ◄── bounded channel ──┐
//!                                                                   │
//!   thread "http": axum ─► key, path, body ─► fields ─► prompts ────┴─► pieces ─► JSON, or events while they come
//!                                                  └─► with a Searcher: a thread each, whose policy is the desk
//! ```
//!
//! [`Server::run`] keeps the policy on the thread that calls it, and works until it is stopped: it then takes no connection any more,
//! finishes what it has begun, and returns. The answer to a request with a seed depends on the request alone, as far as the
//! policy's does. What a request says is done, or refused by the name of the field; nothing is ignored.

mod answering;
mod config;
mod desk;
mod drawing;
mod error;
mod fields;
mod generate;
mod growing;
mod metrics;
mod prompt;
mod route;
mod search;
mod shape;
mod state;
mod stop;
mod stream;
mod tokens;
mod value;

pub use config::ServeConfig;
pub use error::ServeError;
pub use search::{Found, Question, Searcher};
pub use stop::Stopper;

use desk::Desk;
use espalier_search::{Policy, Wish};
use espalier_tokenizer::Tokenizer;
use metrics::Metrics;
use state::State;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use tokio::sync::mpsc;

/// A server that has its address and does not answer yet.
pub struct Server {
    config: ServeConfig,
    listener: TcpListener,
    address: SocketAddr,
    stopper: Stopper,
    ready: Box<dyn FnOnce(SocketAddr) + Send>,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("config", &self.config).field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Takes the address. Connections wait until [`run`](Self::run).
    ///
    /// # Errors
    /// A configuration that must not be served, or an address that cannot be had.
    pub fn bind(config: ServeConfig) -> Result<Server, ServeError> {
        config.check()?;
        let failed = |source| ServeError::Listen { address: config.address, source };
        let listener = TcpListener::bind(config.address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Server { config, listener, address, stopper: Stopper::new(), ready: Box::new(|_| {}) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Calls this once it answers, and signals stop it.
    #[must_use]
    pub fn when_ready(self, ready: impl FnOnce(SocketAddr) + Send + 'static) -> Server {
        Server { ready: Box::new(ready), ..self }
    }

    /// Stops it, from any thread.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Serves the policy until it is stopped. Conversations are answered by the searcher, if there is one.
    ///
    /// # Errors
    /// When the system has no thread left, or the policy fails altogether.
    pub fn run(
        self,
        policy: &mut dyn Policy,
        tokenizer: Arc<Tokenizer>,
        searcher: Option<Arc<dyn Searcher>>,
    ) -> Result<(), ServeError> {
        let (asks, asked) = mpsc::channel(self.config.max_requests);
        let (releases, released) = std_mpsc::channel();
        let metrics = Arc::new(Metrics::default());
        let desk_metrics = Arc::clone(&metrics);
        let max_prompts = self.config.max_prompts;
        let wishes =
            [Wish::Sampling, Wish::Alternatives, Wish::Prefix].into_iter().filter(|&wish| policy.can(wish)).collect();
        let state = State::new(self.config, policy.about(), wishes, tokenizer, searcher, metrics, (asks, releases));
        let stopper = self.stopper.clone();
        let (listener, ready, address) = (self.listener, self.ready, self.address);
        let http = std::thread::Builder::new().name("http".to_owned());
        let http = http
            .spawn(move || stop::serve(listener, Arc::new(state), &stopper, || ready(address)))
            .map_err(ServeError::System)?;
        let worked = Desk::new(policy, asked, released, max_prompts, desk_metrics).run();
        self.stopper.stop();
        let served =
            http.join().unwrap_or_else(|_| Err(std::io::Error::other("the thread of its connections has panicked")));
        worked.map_err(ServeError::Policy)?;
        served.map_err(ServeError::System)
    }
}
