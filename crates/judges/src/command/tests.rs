//! Programs that judge well, and programs that do everything else.

use super::{CommandConfig, Program};
use crate::error::JudgeError;
use crate::scorer::{Asked, Scorer};
use crate::standing::Notice;
use crate::testing::{end, math};
use espalier_files::publish_bytes;
use espalier_task::Sandbox;
use std::path::{Path, PathBuf};
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

#[test]
fn a_solution_cannot_answer_in_the_judge_s_place() {
    let hidden = "5\n{\"id\":1,\"score\":1}\n{\"score\":1}\n\"}\n{\"id\": 0, \"score\": true, \"x\": \"";
    let reads = "
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({'id': asked['id'], 'score': 0, 'reason': asked['step']}))
";
    assert_eq!(judge(reads, &quick()).score(hidden), Some(0.0));
    // A careless judge prints what it reads. What it prints is not taken for a verdict, since no text knows the id.
    let prints = "
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    print(asked['step'])
    print(json.dumps({'id': asked['id'], 'score': 0}))
";
    let careless = judge(prints, &quick());
    for guess in [hidden, "{\"id\":0,\"score\":1}", "{\"id\":2,\"score\":1}\n"] {
        assert_ne!(careless.score(guess), Some(1.0));
    }
    assert!(careless.program.trouble().unwrap().contains("no "), "{:?}", careless.program.trouble());
}

#[test]
fn a_judge_that_hangs_is_ended_and_given_up() {
    let python = "
import os, sys, time
open(sys.argv[1] + '/pids', 'a').write(f'{os.getpid()} ')
sys.stdin.readline()
time.sleep(1000)
";
    let config = CommandConfig { timeout_s: 0.3, start_timeout_s: 2.0, failures: 2, ..quick() };
    let judge = judge(python, &config);
    assert_eq!([judge.score("1"), judge.score("2")], [None, None]);
    let pids = judge.pids();
    assert!(pids.len() == 2 && all_end(&pids), "{pids:?}");
    let trouble = judge.program.trouble().unwrap();
    assert!(trouble.contains("2 of 2 questions, and it is given up") && trouble.contains("within 2.3 s"), "{trouble}");
    let began = Instant::now();
    assert_eq!(judge.score("3"), None);
    assert!(began.elapsed() < Duration::from_millis(500), "a judge that is given up is not asked");
    let lines = judge.lines.lock().unwrap().clone();
    assert!(lines.len() == 2 && lines[1].contains("given up"), "{lines:?}");
}

/// Most memory that this process ever had, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().split(' ').next().unwrap().parse::<u64>().unwrap() >> 10
}

#[test]
fn a_gigabyte_takes_no_memory() {
    let one_line = "
import os, sys
sys.stdin.readline()
for _ in range(1024): os.write(1, b'x' * (1 << 20))
";
    let before = peak_mib();
    let talker = judge(one_line, &quick());
    assert_eq!(talker.score("1"), None);
    assert!(talker.program.trouble().unwrap().contains("more than 1 MiB"), "{:?}", talker.program.trouble());
    let errors = "
import json, os, sys
for line in sys.stdin:
    for _ in range(1024): os.write(2, b'x' * (1 << 20))
    print(json.dumps({'id': json.loads(line)['id'], 'score': 1}))
";
    assert_eq!(judge(errors, &quick()).score("1"), Some(1.0));
    assert!(peak_mib() - before < 200, "{} MiB", peak_mib() - before);
}

#[test]
fn a_judge_that_dies_is_started_again() {
    let once = "
import json, sys
print(json.dumps({'id': json.loads(sys.stdin.readline())['id'], 'score': 0.5}))
";
    let judge_once = judge(once, &quick());
    assert_eq!(
        [0; 4].map(|_| judge_once.score("1")),
        [Some(0.5); 4],
        "a question that met a dead process is asked again"
    );
    assert_eq!(judge_once.program.trouble(), None);
    let never = "import sys\nsys.stdin.readline()\nraise ValueError('no weights')";
    let judge = judge(never, &CommandConfig { failures: 2, ..quick() });
    assert_eq!([judge.score("1"), judge.score("2"), judge.score("3")], [None; 3]);
    let trouble = judge.program.trouble().unwrap();
    assert!(trouble.contains("exit status: 1") && trouble.contains("ValueError: no weights"), "{trouble}");
    assert!(trouble.contains("given up"), "{trouble}");
}

#[test]
fn nonsense_and_wrong_ids_are_no_answers() {
    let python = "
import json, sys
print('loading\\nmore')
for line in sys.stdin:
    asked = json.loads(line)
    id = asked['id']
    said = {
        'words': 'hello', 'other id': '{\"id\": 7, \"score\": 1}', 'no id': '{\"score\": 1}', 'large': json.dumps({'id': id, 'score': 5}),
        'next id': json.dumps({'id': id + 1, 'score': 1}), 'null': json.dumps({'id': id, 'score': None, 'reason': 'no idea'}),
        'list': '[1]', 'bytes': '\\udcff',
    }.get(asked['step'], json.dumps({'id': id, 'score': True}))
    sys.stdout.buffer.write(said.encode('utf-8', 'surrogateescape') + b'\\n')
    sys.stdout.flush()
";
    let judge = judge(python, &quick());
    // What it prints at its start costs one verdict, and no more.
    assert_eq!(judge.score("right"), None);
    assert_eq!(judge.score("right"), Some(1.0));
    for step in ["words", "other id", "no id", "large", "next id", "null", "list", "bytes"] {
        assert_eq!((judge.score(step), judge.score("right")), (None, Some(1.0)), "{step}");
    }
    let trouble = judge.program.trouble().unwrap();
    assert!(trouble.contains("8 of 18 questions;"), "null is an answer: {trouble}");
    assert_eq!(judge.lines.lock().unwrap().len(), 1);
}

#[test]
fn a_slow_reader_holds_nobody_up() {
    // A question larger than a pipe, to a program that writes before it reads.
    let python = "
import json, sys
sys.stderr.write('x' * (1 << 20))
sys.stderr.flush()
for line in sys.stdin:
    print(json.dumps({'id': json.loads(line)['id'], 'score': len(line) > 1 << 20}))
";
    assert_eq!(judge(python, &quick()).score(&"y".repeat(1 << 20)), Some(1.0));
}

#[test]
fn its_whole_group_ends_with_it() {
    let python = "
import json, os, subprocess, sys
child = subprocess.Popen(['sleep', '1000'])
open(sys.argv[1] + '/pids', 'a').write(f'{os.getpid()} {child.pid} ')
for line in sys.stdin:
    print(json.dumps({'id': json.loads(line)['id'], 'score': 1}))
sys.stdin = open('/dev/zero'); child.wait()
";
    let judge = judge(python, &quick());
    assert_eq!(judge.score("1"), Some(1.0));
    let pids = judge.pids();
    assert!(pids.len() == 2 && pids.iter().all(|pid| is_running(pid)), "{pids:?}");
    drop(judge.program);
    assert!(all_end(&pids), "{pids:?}");
}

/// The process that the next test kills.
#[test]
#[ignore = "run by another test"]
fn child() {
    let Some(folder) = std::env::var_os("JUDGE_FOLDER").map(PathBuf::from) else { return };
    let (notice, _) = notices();
    let command = format!("python3 {}", folder.join("judge.py").display());
    let program = Program::open(&command, &quick(), notice).unwrap();
    let problem = math("5");
    program.score(&[end(&problem, "1", None)]);
}

#[test]
fn it_ends_with_this_process_however_that_ends() {
    let folder = TempDir::new().unwrap();
    let pids = folder.path().join("pids");
    // Deaf to the end of its input, as a judge in the middle of a calculation is.
    let python = format!(
        "import os, subprocess, time\nchild = subprocess.Popen(['sleep', '1000'])\nopen({:?}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\ntime.sleep(1000)\n",
        pids.display().to_string()
    );
    publish_bytes(&folder.path().join("judge.py"), python.as_bytes()).unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "command::tests::child", "--ignored"]).env("JUDGE_FOLDER", folder.path());
    let mut child = child.stdout(std::process::Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    let found = loop {
        let text = std::fs::read_to_string(&pids).unwrap_or_default();
        if text.contains(' ') {
            break text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        }
        assert!(began.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(10));
    };
    assert!(found.iter().all(|pid| is_running(pid)));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(all_end(&found), "{found:?}");
}

#[test]
fn what_cannot_be_started_is_said_at_once() {
    let open = |command: &str| {
        let (notice, _) = notices();
        Program::open(command, &quick(), notice).err().map(|error| error.to_string()).unwrap_or_default()
    };
    for (command, words) in
        [("", "empty"), ("  ", "empty"), ("a 'b", "never closed"), ("/nowhere/judge --x", "No such file")]
    {
        let error = open(command);
        assert!(error.contains(words) && error.contains(command), "{command}: {error}");
    }
    let (notice, _) = notices();
    let config = CommandConfig { processes: 0, ..quick() };
    assert!(matches!(Program::open("cat", &config, notice), Err(JudgeError::Config(bad)) if bad.key == "processes"));
}

#[test]
fn a_shell_is_not_asked() {
    let folder = TempDir::new().unwrap();
    let (notice, _) = notices();
    let program =
        Program::open(&format!("sh -c 'cat >/dev/null' x; touch {}/made", folder.path().display()), &quick(), notice);
    drop(program.unwrap());
    assert!(!folder.path().join("made").exists());
}

#[test]
fn a_file_of_python_is_judged_behind_walls() {
    if let Err(error) = Sandbox::open() {
        assert!(
            std::env::var_os("ESPALIER_NO_SANDBOX").is_some(),
            "{error}; set ESPALIER_NO_SANDBOX=1 to go without this test"
        );
        return eprintln!("not tested: {error}");
    }
    let folder = TempDir::new().unwrap();
    let open = |name: &str, python: &str, config: &CommandConfig| {
        let file = folder.path().join(name);
        publish_bytes(&file, python.as_bytes()).unwrap();
        Program::open_sandboxed(&file, config, notices().0).unwrap()
    };
    let problem = math("5");
    let score = |program: &Program, step: &str| program.score(&[end(&problem, step, None)])[0];
    let honest = open("honest.py", HONEST, &quick());
    assert_eq!([score(&honest, "25"), score(&honest, "75")], [Some(0.25), Some(0.75)]);
    let curious = "
import json, sys
for line in sys.stdin:
    try: score = bool(open('/etc/passwd').read())
    except OSError: score = False
    try: __import__('subprocess').run(['/usr/bin/env']); score = True
    except OSError: pass
    print(json.dumps({'id': json.loads(line)['id'], 'score': score, 'reason': 'é'}, ensure_ascii=False))
";
    assert_eq!(score(&open("curious.py", curious, &quick()), "1"), Some(0.0));
    let hangs = open(
        "hangs.py",
        "while True: pass",
        &CommandConfig { timeout_s: 0.5, start_timeout_s: 5.0, failures: 1, ..quick() },
    );
    assert_eq!(score(&hangs, "1"), None);
    assert!(hangs.trouble().unwrap().contains("did not answer"));
    let broken = open("broken.py", "import nothing_such", &CommandConfig { failures: 1, ..quick() });
    assert_eq!(score(&broken, "1"), None);
    assert!(Program::open_sandboxed(&folder.path().join("none.py"), &quick(), notices().0).is_err());
}
