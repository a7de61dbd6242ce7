//! What an input may take: seconds and memory, watched from beside.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Clock ticks of `/proc/self/stat` in a second, on every Linux.
const TICKS: f64 = 100.0;
/// A process that gets no processor is not the input's fault: so many times the limit may pass on the wall's clock.
const STARVED: u32 = 12;

/// Bounds of one input.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest time, of the processor; of the wall's clock it is twelve times as much.
    pub time: Duration,
    /// Largest resident memory of the whole process, in bytes.
    pub memory: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { time: Duration::from_secs(5), memory: 1 << 30 }
    }
}

/// Which input is being tried, counted from 2 (1 makes the seeds); [`ENDED`] when all are done.
#[derive(Debug, Default)]
pub struct Progress(AtomicU64);

const ENDED: u64 = u64::MAX;

impl Progress {
    /// The next input begins.
    pub fn step(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// There are no more.
    pub fn end(&self) {
        self.0.store(ENDED, Relaxed);
    }
}

/// Returns when `progress` has ended, or what the input under way exceeds.
pub fn watch(progress: &Progress, limits: Limits) -> Result<(), String> {
    let (mut seen, mut since, mut used) = (0, Instant::now(), processor_s());
    loop {
        std::thread::sleep(Duration::from_millis(10));
        let now = progress.0.load(Relaxed);
        if now == ENDED {
            return Ok(());
        }
        if now != seen {
            (seen, since, used) = (now, Instant::now(), processor_s());
        } else if now > 0 && since.elapsed() > limits.time {
            let spent = processor_s() - used;
            if spent > limits.time.as_secs_f64() || since.elapsed() > limits.time * STARVED {
                return Err(format!("more than {} s", limits.time.as_secs()));
            }
        }
        let peak = peak_bytes();
        if peak > limits.memory {
            return Err(format!("{} MiB of memory", peak >> 20));
        }
    }
}

/// Largest resident memory of this process so far, in bytes; 0 where the system does not tell.
pub fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()).unwrap_or_default() << 10
}

/// Seconds of processor time of this process, all threads together.
fn processor_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program stands in parentheses and may hold anything.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_that_takes_too_long_or_too_much_is_told() {
        let progress = Progress::default();
        progress.step();
        let begin = Instant::now();
        let limits = Limits { time: Duration::from_millis(20), memory: 1 << 40 };
        assert!(watch(&progress, limits).unwrap_err().starts_with("more than"));
        assert!(begin.elapsed() >= limits.time);
        let limits = Limits { memory: 1 << 10, ..Limits::default() };
        assert!(watch(&progress, limits).unwrap_err().ends_with("MiB of memory"));
    }

    #[test]
    fn processor_time_is_what_this_process_computes() {
        let (begin, before) = (Instant::now(), processor_s());
        let mut sum = 0_u64;
        while begin.elapsed() < Duration::from_millis(200) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(processor_s() > before, "{sum}");
    }
}
