//! Programs that judge well, and what the tests of those that do not need.

mod ends;
mod hostile;

use super::{CommandConfig, Program};
use crate::scorer::{Asked, Scorer};
use crate::standing::Notice;
use crate::testing::{end, math};
use espalier_files::publish_bytes;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Answers with the number that a step is, over 100.
const HONEST: &str = "
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({'id': asked['id'], 'score': int(asked['step']) / 100}))
";

struct Judge {
    program: Program,
    lines: Arc<Mutex<Vec<String>>>,
    folder: TempDir,
}

fn quick() -> CommandConfig {
    CommandConfig { processes: 1, timeout_s: 60.0, start_timeout_s: 60.0, ..CommandConfig::default() }
}

fn notices() -> (Notice, Arc<Mutex<Vec<String>>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    (Arc::new(move |line: &str| kept.lock().unwrap().push(line.to_owned())), lines)
}

/// A judge of Python, in a file whose folder is the program's only argument.
fn judge(python: &str, config: &CommandConfig) -> Judge {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("a judge.py");
    publish_bytes(&file, python.as_bytes()).unwrap();
    let (notice, lines) = notices();
    let command = format!("python3 '{}' {}", file.display(), folder.path().display());
    Judge { program: Program::open(&command, config, notice).unwrap(), lines, folder }
}

impl Judge {
    fn score(&self, step: &str) -> Option<f32> {
        let problem = math("5");
        self.program.score(&[end(&problem, step, Some("5"))])[0]
    }

    /// All that people are told: the lines on the way, and what is wrong at the end.
    fn said(&self) -> String {
        let lines = self.lines.lock().unwrap().join("\n");
        format!("{lines}\n{}", self.program.trouble().unwrap_or_default())
    }

    /// The process ids that the program wrote.
    fn pids(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("pids")).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    }
}

fn is_running(pid: &str) -> bool {
    let state = std::fs::read_to_string(Path::new("/proc").join(pid).join("stat"));
    state.is_ok_and(|state| !state.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

/// Whether all of them end within some seconds.
fn all_end(pids: &[String]) -> bool {
    let began = Instant::now();
    while pids.iter().any(|pid| is_running(pid)) {
        if began.elapsed() > Duration::from_secs(30) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    !pids.is_empty()
}

#[test]
fn ten_thousand_questions_from_many_threads_are_all_answered() {
    let judge = judge(HONEST, &CommandConfig { processes: 3, ..quick() });
    let problem = math("5");
    std::thread::scope(|scope| {
        for thread in 0..20 {
            let (program, problem) = (&judge.program, &problem);
            scope.spawn(move || {
                let steps: Vec<String> = (0..500).map(|index| ((thread + index) % 101).to_string()).collect();
                let asked: Vec<Asked<'_>> = steps.iter().map(|step| end(problem, step, None)).collect();
                let scores = program.score(&asked);
                for (step, score) in steps.iter().zip(scores) {
                    assert_eq!(score, Some((step.parse::<f64>().unwrap() / 100.0) as f32));
                }
            });
        }
    });
    assert_eq!((judge.program.trouble(), judge.lines.lock().unwrap().len()), (None, 0));
}

#[test]
fn all_that_is_known_of_a_step_is_told() {
    let python = "
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    told = [asked['problem']['question'], asked['problem']['answer'], asked['steps'], asked['step'], asked['answer'], asked['is_end']]
    print(json.dumps({'id': asked['id'], 'score': told == ['How many?', '5', ['one', 'two\\n'], 'three', None, False], 'reason': 'so'}))
";
    let judge = judge(python, &quick());
    let problem = math("5");
    let asked = Asked { problem: &problem, steps: &["one", "two\n"], step: "three", answer: None, is_end: false };
    assert_eq!(judge.program.score(&[asked.clone(), Asked { step: "four", ..asked }]), [Some(1.0), Some(0.0)]);
}
