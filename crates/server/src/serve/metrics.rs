//! What a server counts, in the text format of Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Upper bounds of the latency histogram, in seconds.
const BOUNDS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Counters of one server.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// By path and status.
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    latencies: Mutex<BTreeMap<&'static str, Latencies>>,
    prompt_tokens: AtomicU64,
    sampled_tokens: AtomicU64,
    waiting: AtomicUsize,
    running: AtomicUsize,
    hung_up: AtomicU64,
}

#[derive(Clone, Debug, Default)]
struct Latencies {
    /// Requests at or below each bound and above the one before.
    within: [u64; BOUNDS.len()],
    count: u64,
    sum_s: f64,
}

impl Metrics {
    /// Counts a request by its answer's status.
    pub fn add_request(&self, path: &'static str, status: u16) {
        *lock(&self.requests).entry((path, status)).or_default() += 1;
    }

    /// Counts what a request has read and sampled.
    pub fn add_tokens(&self, prompt: usize, sampled: usize) {
        self.prompt_tokens.fetch_add(prompt as u64, Ordering::Relaxed);
        self.sampled_tokens.fetch_add(sampled as u64, Ordering::Relaxed);
    }

    /// Says how many requests wait in line, and how many the policy has.
    pub fn set_queue(&self, waiting: usize, running: usize) {
        self.waiting.store(waiting, Ordering::Relaxed);
        self.running.store(running, Ordering::Relaxed);
    }

    /// Whether the policy has nothing to do.
    pub fn is_idle(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) + self.running.load(Ordering::Relaxed) == 0
    }

    /// Counts an asker who has gone before the answer.
    pub fn add_hung_up(&self) {
        self.hung_up.fetch_add(1, Ordering::Relaxed);
    }

    fn add_latency(&self, path: &'static str, took: Duration) {
        let seconds = took.as_secs_f64();
        let mut all = lock(&self.latencies);
        let latencies = all.entry(path).or_default();
        latencies.count += 1;
        latencies.sum_s += seconds;
        if let Some(place) = BOUNDS.iter().position(|&bound| seconds <= bound) {
            latencies.within[place] += 1;
        }
    }

    /// All of it; `busy` requests are taken in at present, of at most `most`.
    pub fn text(&self, busy: usize, most: usize) -> String {
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, lines: &[(String, f64)]| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "# HELP espalier_{name} {help}\n# TYPE espalier_{name} {kind}");
            for (labels, value) in lines {
                let _ = writeln!(text, "espalier_{name}{labels} {value}");
            }
        };
        let one = |value: f64| vec![(String::new(), value)];
        let requests: Vec<_> = lock(&self.requests)
            .iter()
            .map(|((path, status), &count)| (format!("{{path=\"{path}\",status=\"{status}\"}}"), count as f64))
            .collect();
        family("requests_total", "counter", "Requests by path and status of the answer.", &requests);
        let load = |counter: &AtomicU64| one(counter.load(Ordering::Relaxed) as f64);
        family("prompt_tokens_total", "counter", "Tokens of all prefixes.", &load(&self.prompt_tokens));
        family("sampled_tokens_total", "counter", "Tokens sampled.", &load(&self.sampled_tokens));
        family("hung_up_total", "counter", "Requests whose client did not wait for the answer.", &load(&self.hung_up));
        family("requests_taken_in", "gauge", "Requests without a whole answer yet.", &one(busy as f64));
        family("requests_limit", "gauge", "Most requests taken in at a time.", &one(most as f64));
        let load = |gauge: &AtomicUsize| one(gauge.load(Ordering::Relaxed) as f64);
        family("queue_length", "gauge", "Prompts that wait for the policy.", &load(&self.waiting));
        family("queue_running", "gauge", "Prompts that the policy has.", &load(&self.running));
        let mut lines = Vec::new();
        for (path, Latencies { within, count, sum_s }) in &*lock(&self.latencies) {
            let mut sum = 0;
            for (bound, count) in BOUNDS.iter().zip(within) {
                sum += count;
                lines.push((format!("_bucket{{path=\"{path}\",le=\"{bound}\"}}"), sum as f64));
            }
            lines.push((format!("_bucket{{path=\"{path}\",le=\"+Inf\"}}"), *count as f64));
            lines.push((format!("_sum{{path=\"{path}\"}}"), *sum_s));
            lines.push((format!("_count{{path=\"{path}\"}}"), *count as f64));
        }
        family("request_seconds", "histogram", "Time from a request's head to the end of its answer.", &lines);
        text
    }
}

/// Measures a request until it is dropped, with the end of its answer.
#[derive(Debug)]
pub(crate) struct Timer {
    metrics: std::sync::Arc<Metrics>,
    path: &'static str,
    began: Instant,
}

impl Timer {
    pub fn new(metrics: std::sync::Arc<Metrics>, path: &'static str) -> Timer {
        Timer { metrics, path, began: Instant::now() }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.metrics.add_latency(self.path, self.began.elapsed());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_what_is_at_or_below_each_bound() {
        let metrics = Metrics::default();
        metrics.add_request("/v1/completions", 200);
        metrics.add_request("/v1/completions", 200);
        metrics.add_request("/v1/completions", 400);
        metrics.add_tokens(7, 5);
        for ms in [5, 6, 40, 400_000] {
            metrics.add_latency("/v1/completions", Duration::from_millis(ms));
        }
        metrics.set_queue(3, 2);
        let text = metrics.text(4, 9);
        let value = |name: &str| {
            let line = text.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
            line.unwrap_or_else(|| panic!("{name} is not in {text}"))
                .rsplit(' ')
                .next()
                .unwrap()
                .parse::<f64>()
                .unwrap()
        };
        let bucket =
            |le: &str| value(&format!("espalier_request_seconds_bucket{{path=\"/v1/completions\",le=\"{le}\"}}"));
        assert_eq!(
            [bucket("0.005"), bucket("0.01"), bucket("0.05"), bucket("300"), bucket("+Inf")],
            [1.0, 2.0, 3.0, 3.0, 4.0]
        );
        assert_eq!(value("espalier_request_seconds_count{path=\"/v1/completions\"}"), 4.0);
        assert!((value("espalier_request_seconds_sum{path=\"/v1/completions\"}") - 400.051).abs() < 1e-9);
        assert_eq!(value("espalier_requests_total{path=\"/v1/completions\",status=\"200\"}"), 2.0);
        assert_eq!((value("espalier_prompt_tokens_total"), value("espalier_sampled_tokens_total")), (7.0, 5.0));
        assert_eq!((value("espalier_queue_length"), value("espalier_queue_running")), (3.0, 2.0));
        assert_eq!((value("espalier_requests_taken_in"), value("espalier_requests_limit")), (4.0, 9.0));
        // Each family has its type, each line ends.
        assert_eq!(text.lines().filter(|line| line.starts_with("# TYPE")).count(), 9);
        assert!(text.ends_with('\n'));
    }
}
