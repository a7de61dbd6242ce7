//! One target: inputs made, tried and counted.

use crate::mutate::Mutator;
use crate::scratch::Scratch;
use crate::targets::{Begun, Target};
use crate::watch::{Limits, Progress, peak_bytes, watch};
use espalier_files::seed_from;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Inputs that take longer are within the limit, and worth a look.
const SLOW: Duration = Duration::from_secs(1);
/// The stack of threads that are not told otherwise: what is parsed in a stage has no more.
const STACK_BYTES: usize = 2 << 20;

thread_local! {
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// How much is tried, and where failures go.
#[derive(Clone, Debug)]
pub struct Run {
    /// Inputs of all targets together.
    pub inputs: u64,
    /// Seed of all inputs.
    pub seed: u64,
    /// Folder of the inputs that failed.
    pub failures: PathBuf,
}

/// What became of a target's inputs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Number of inputs.
    pub inputs: u64,
    /// Number of those that the target took as valid.
    pub accepted: u64,
    /// Number of those that panicked.
    pub panics: u64,
    /// Each place that panicked, with the first input that did.
    pub places: BTreeMap<String, PathBuf>,
    /// Seconds of all.
    pub seconds: f64,
    /// Milliseconds of the slowest, the smaller of two runs of it.
    pub slowest_ms: f64,
    /// Largest resident memory of the process, in bytes.
    pub peak_bytes: u64,
}

/// Tries `inputs` inputs. `current` holds the input under way, for whoever finds this process dead.
///
/// Ends the process when an input takes more than the limits, since nothing can stop a thread; the last line then says so.
///
/// # Panics
/// When the system gives no thread or no file.
pub fn work(target: &Target, run: &Run, current: &Path, limits: Limits) -> Outcome {
    std::panic::set_hook(Box::new(|panic| {
        if !espalier_files::catches_panics() {
            PANIC.set(Some(panic.to_string()));
        }
    }));
    let current = File::create(current).expect("a file of the input under way");
    let progress = Progress::default();
    std::thread::scope(|scope| {
        let all = || {
            let outcome = try_all(target, run, &current, &progress);
            progress.end();
            outcome
        };
        let worker = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, all);
        let worker = worker.expect("a thread for inputs");
        if let Err(excess) = watch(&progress, limits) {
            println!("{}", serde_json::json!({ "excess": excess }));
            std::process::exit(3);
        }
        worker.join().expect("panics of inputs are caught")
    })
}

fn try_all(target: &Target, wanted: &Run, current: &File, progress: &Progress) -> Outcome {
    progress.step();
    let scratch = Scratch::new().expect("a folder for inputs");
    let Begun { seeds, mut run } = (target.begin)(scratch);
    let mut outcome = Outcome::default();
    for seed in &seeds {
        // A seed that is refused makes a target that tries nothing but the first check.
        let result = tried(&mut *run, seed);
        if result != Ok(true) {
            let path = save(&wanted.failures, target.name, seed);
            println!(
                "{}",
                serde_json::json!({ "excess": format!("a seed is refused: {result:?}: {}", path.display()) })
            );
            std::process::exit(3);
        }
    }
    let mut mutator = Mutator::new(target.name, wanted.seed, seeds, target.words);
    let begin = Instant::now();
    let mut slowest = Duration::ZERO;
    for _ in 0..wanted.inputs {
        let input = mutator.draw();
        keep(current, &input).expect("the input under way can be kept");
        progress.step();
        let began = Instant::now();
        let mut result = tried(&mut *run, &input);
        let mut took = began.elapsed();
        if took > slowest {
            // Another process may have had the processor.
            let began = Instant::now();
            result = tried(&mut *run, &input);
            took = took.min(began.elapsed());
            slowest = slowest.max(took);
            if took > SLOW {
                eprintln!(
                    "{} takes {took:.1?}: {}",
                    target.name,
                    save(&wanted.failures, target.name, &input).display()
                );
            }
        }
        outcome.inputs += 1;
        match result {
            Ok(accepted) => {
                outcome.accepted += u64::from(accepted);
                if accepted {
                    mutator.accepted(input);
                }
            }
            Err(panic) => {
                outcome.panics += 1;
                outcome.places.entry(panic).or_insert_with(|| save(&wanted.failures, target.name, &input));
            }
        }
    }
    outcome.seconds = begin.elapsed().as_secs_f64();
    outcome.slowest_ms = slowest.as_secs_f64() * 1e3;
    outcome.peak_bytes = peak_bytes();
    outcome
}

/// Whether the input was accepted, or where it panicked.
fn tried(run: &mut dyn FnMut(&[u8]) -> bool, input: &[u8]) -> Result<bool, String> {
    catch_unwind(AssertUnwindSafe(|| run(input))).map_err(|_| PANIC.take().unwrap_or_else(|| "a panic".to_owned()))
}

/// Writes the input and its length over the one before.
fn keep(current: &File, input: &[u8]) -> io::Result<()> {
    let mut bytes = (input.len() as u64).to_le_bytes().to_vec();
    bytes.extend(input);
    current.write_all_at(&bytes, 0)
}

/// The input that was under way when its process died.
pub(crate) fn kept(current: &Path) -> Option<Vec<u8>> {
    let bytes = std::fs::read(current).ok()?;
    let (len, rest) = bytes.split_first_chunk()?;
    rest.get(..u64::from_le_bytes(*len) as usize).map(<[u8]>::to_vec)
}

/// Keeps an input that failed, and tells where.
///
/// # Panics
/// When it cannot be written: a finding must not be lost.
pub(crate) fn save(failures: &Path, name: &str, input: &[u8]) -> PathBuf {
    let text = String::from_utf8_lossy(input);
    let path = failures.join(format!("{name}-{:016x}", seed_from(&[&text, &input.len()])));
    let written = std::fs::create_dir_all(failures).and_then(|()| std::fs::write(&path, input));
    written.unwrap_or_else(|error| panic!("cannot keep {}: {error}", path.display()));
    path
}
