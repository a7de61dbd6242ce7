//! Which server takes the next request: the one with the fewest pending, of those that are not left alone after a
//! failure.
//!
//! ```text
//!             failure: left alone for the backoff          an answer: open again
//!   open ───────────────────────────► resting ──► one request tries ─────────────► open
//!                                        ▲                 │ failure: twice as long
//!                                        └─────────────────┘
//! ```

use crate::call::Failure;
use crate::config::Backoff;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A server that fails now and then is spoken of once in this time.
const SILENCE: Duration = Duration::from_secs(10);
/// Failures in a row after which a server's return is worth a line.
const OUTAGE: u32 = 3;

/// A server that asks to be left alone for longer (`Retry-After`) is asked again after this time all the same.
const LONGEST_ASKED_FOR: Duration = Duration::from_secs(300);

/// Takes what people should know of the servers, a line at a time.
pub(crate) type Notice = Arc<dyn Fn(&str) + Send + Sync>;

/// The servers and what is known of each.
pub(crate) struct Endpoints {
    urls: Vec<String>,
    backoff: Backoff,
    notice: Notice,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    servers: Vec<Server>,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Server {
    /// Requests that it has now.
    pending: usize,
    /// Requests that it ever got.
    sent: u64,
    /// Failures since its last answer. Requests that were sent before the last of them fail with it and do not count.
    failures: u32,
    failed_at: Option<Instant>,
    resting_until: Option<Instant>,
    spoken_of: Option<Instant>,
    /// One request looks whether it is back.
    is_tried: bool,
}

/// Leave to send one request to one server.
#[derive(Debug)]
pub(crate) struct Permit {
    server: usize,
    began: Instant,
}

impl Endpoints {
    /// `up` says which servers answer now.
    pub fn new(urls: Vec<String>, up: &[bool], backoff: Backoff, notice: Notice) -> Endpoints {
        let server = |&up: &bool| Server { failures: u32::from(!up), ..Server::default() };
        let servers = up.iter().map(server).collect();
        let state = Mutex::new(State { servers, is_closed: false });
        Endpoints { urls, backoff, notice, state, changed: Condvar::new() }
    }

    pub fn url(&self, permit: &Permit) -> &str {
        &self.urls[permit.server]
    }

    /// Waits until a server can be asked. `None` once nothing is to be asked any more.
    pub fn acquire(&self) -> Option<Permit> {
        self.acquire_until(None)
    }

    /// Waits, at most until then, until a server can be asked.
    pub fn acquire_until(&self, deadline: Option<Instant>) -> Option<Permit> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if state.is_closed || deadline.is_some_and(|deadline| now >= deadline) {
                return None;
            }
            let choice = (0..state.servers.len())
                .filter(|&index| state.servers[index].is_open(now))
                .min_by_key(|&index| (state.servers[index].pending, state.servers[index].sent));
            if let Some(index) = choice {
                let server = &mut state.servers[index];
                server.pending += 1;
                server.sent += 1;
                server.is_tried = server.failures > 0;
                return Some(Permit { server: index, began: now });
            }
            let next = state.servers.iter().filter_map(|server| server.resting_until).filter(|&at| at > now).min();
            let pause = next.map_or(Duration::from_secs(1), |at| at - now);
            let pause = deadline.map_or(pause, |deadline| pause.min(deadline - now));
            state = self.changed.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Gives the permit back. Requests that are answered or refused show that the server is there.
    pub fn release(&self, permit: &Permit, failure: Option<&Failure>) {
        let mut state = self.lock();
        let server = &mut state.servers[permit.server];
        server.pending -= 1;
        server.is_tried = false;
        let mut line = None;
        if let Some(Failure::Passing { problem, retry_after }) = failure {
            let is_news = server.failed_at.is_none_or(|failed_at| permit.began >= failed_at);
            let now = Instant::now();
            if is_news {
                server.failures += 1;
                server.failed_at = Some(now);
            }
            let pause = if is_news { self.backoff.pause(server.failures, random()) } else { Duration::ZERO };
            let until = now + pause.max(retry_after.unwrap_or_default().min(LONGEST_ASKED_FOR));
            server.resting_until = server.resting_until.max(Some(until));
            if is_news && server.spoken_of.is_none_or(|at| now - at >= SILENCE) {
                server.spoken_of = Some(now);
                let url = &self.urls[permit.server];
                line = Some(format!("{url}: {problem}; trying again (failures in a row: {})", server.failures));
            }
        } else {
            if server.failures >= OUTAGE {
                line = Some(format!("{} answers again", self.urls[permit.server]));
            }
            // What it asked for still holds: the answer may be one that was on its way.
            server.failures = 0;
        }
        drop(state);
        self.changed.notify_all();
        if let Some(line) = line {
            (self.notice)(&line);
        }
    }

    /// Lets nobody wait any longer.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    fn is_open(&self, now: Instant) -> bool {
        self.resting_until.is_none_or(|until| until <= now) && !(self.failures > 0 && self.is_tried)
    }
}

/// Random bits without a seed: the standard library's hash keys.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(count: usize, first: Duration) -> (Endpoints, Arc<Mutex<Vec<String>>>) {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let notice: Notice = Arc::new(move |line: &str| kept.lock().unwrap().push(line.to_owned()));
        let urls = (0..count).map(|index| format!("http://{index}")).collect();
        let backoff = Backoff { first, longest: first * 8 };
        (Endpoints::new(urls, &vec![true; count], backoff, notice), lines)
    }

    fn failed() -> Failure {
        Failure::passing("500")
    }

    #[test]
    fn the_least_loaded_server_is_next() {
        let (endpoints, _) = endpoints(3, Duration::from_secs(60));
        let mut permits: Vec<Permit> = (0..6).map(|_| endpoints.acquire().unwrap()).collect();
        let servers: Vec<usize> = permits.iter().map(|permit| permit.server).collect();
        assert_eq!(servers, [0, 1, 2, 0, 1, 2]);
        endpoints.release(&permits.remove(1), None);
        assert_eq!(endpoints.acquire().unwrap().server, 1);
        // A server that failed gets nothing, however little it has to do.
        for permit in permits.into_iter().filter(|permit| permit.server == 2) {
            endpoints.release(&permit, Some(&failed()));
        }
        assert!((0..8).all(|_| endpoints.acquire().unwrap().server != 2));
    }

    #[test]
    fn what_fails_together_is_one_failure_and_one_request_looks_again() {
        let first = Duration::from_millis(40);
        let (endpoints, lines) = endpoints(1, first);
        let permits: Vec<Permit> = (0..50).map(|_| endpoints.acquire().unwrap()).collect();
        let began = Instant::now();
        for permit in &permits {
            endpoints.release(permit, Some(&failed()));
        }
        assert_eq!(lines.lock().unwrap().len(), 1);
        let trial = endpoints.acquire().unwrap();
        let waited = began.elapsed();
        assert!(waited >= first / 2 && waited < first * 8, "{waited:?}");
        // Nobody else may, until it is answered.
        assert!(!endpoints.lock().servers[0].is_open(Instant::now()));
        endpoints.release(&trial, None);
        let again: Vec<Permit> = (0..3).map(|_| endpoints.acquire().unwrap()).collect();
        assert_eq!(again.len(), 3);
    }

    #[test]
    fn a_server_may_ask_for_a_longer_pause() {
        let (endpoints, _) = endpoints(1, Duration::from_millis(1));
        let (other, permit) = (endpoints.acquire().unwrap(), endpoints.acquire().unwrap());
        let retry_after = Some(Duration::from_millis(120));
        let began = Instant::now();
        endpoints.release(&permit, Some(&Failure::Passing { problem: "429".into(), retry_after }));
        endpoints.release(&other, None);
        endpoints.acquire().unwrap();
        assert!(began.elapsed() >= Duration::from_millis(120));
    }

    #[test]
    fn no_server_may_ask_for_years() {
        let (endpoints, _) = endpoints(1, Duration::from_millis(1));
        let permit = endpoints.acquire().unwrap();
        let retry_after = Some(Duration::from_secs(9_223_372_036));
        endpoints.release(&permit, Some(&Failure::Passing { problem: "429".into(), retry_after }));
        let until = endpoints.lock().servers[0].resting_until.unwrap();
        assert!(until <= Instant::now() + Duration::from_secs(300));
    }

    #[test]
    fn closing_ends_the_waiting() {
        let (endpoints, _) = endpoints(1, Duration::from_secs(60));
        let permit = endpoints.acquire().unwrap();
        endpoints.release(&permit, Some(&failed()));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| endpoints.acquire().is_none());
            endpoints.close();
            assert!(waiting.join().unwrap());
        });
    }
}
