//! How programs begin and end, and what they may do meanwhile.

use super::{CommandConfig, HONEST, Program, all_end, is_running, judge, notices, quick};
use crate::error::JudgeError;
use crate::scorer::Scorer;
use crate::testing::{end, math};
use espalier_files::publish_bytes;
use espalier_task::Sandbox;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

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
    child.args(["--exact", "command::tests::ends::child", "--ignored"]).env("JUDGE_FOLDER", folder.path());
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
    for (command, words) in [
        ("", "empty"),
        ("  ", "empty"),
        ("a 'b", "never closed"),
        ("/nowhere/judge --x", "no such program"),
        ("no-such-program-anywhere", "no such program"),
    ] {
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
    let config = CommandConfig { timeout_s: 0.5, start_timeout_s: 5.0, failures: 2, ..quick() };
    let hangs = open("hangs.py", "while True: pass", &config);
    assert_eq!(score(&hangs, "1"), None);
    assert_eq!(hangs.trouble().unwrap(), "it failed at 1 of 1 questions");
    let broken = open("broken.py", "import nothing_such", &CommandConfig { failures: 1, ..quick() });
    assert_eq!(score(&broken, "1"), None);
    assert!(Program::open_sandboxed(&folder.path().join("none.py"), &quick(), notices().0).is_err());
}
