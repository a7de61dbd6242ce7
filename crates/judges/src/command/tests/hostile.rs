//! Programs that do everything but judge.

use super::{CommandConfig, all_end, judge, quick};
use crate::scorer::{Asked, Scorer};
use crate::testing::{end, math};
use std::time::{Duration, Instant};

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
    assert!(careless.said().contains("no "), "{}", careless.said());
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
    let trouble = judge.said();
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
    assert!(talker.said().contains("more than 1 MiB"), "{}", talker.said());
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
    let trouble = judge.said();
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
    let trouble = judge.said();
    assert!(trouble.contains("8 of 18 questions"), "null is an answer: {trouble}");
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

/// A program that answers each question by this body of a function of it.
fn answering(body: &str) -> String {
    let body = body.replace('\n', "\n    ");
    format!(
        "import json, os, sys, time\ndef judge(question):\n    {body}\nfor line in sys.stdin:\n    question = json.loads(line)\n    \
         print(json.dumps({{'id': question['id'], 'score': judge(question)}}), flush=True)\n"
    )
}

#[test]
fn one_that_hangs_or_dies_costs_no_other_question() {
    let problem = math("5");
    let hangs = answering("time.sleep(3600 if question['step'] == 'bad' else 0)\nreturn 1");
    let dies = answering(
        "if question['step'] == 'bad':\n    print('out of luck', file=sys.stderr)\n    os._exit(3)\nreturn 1",
    );
    for (python, words) in [(hangs, "within 1.5 s"), (dies, "out of luck")] {
        let config = CommandConfig { processes: 2, timeout_s: 1.5, start_timeout_s: 20.0, ..quick() };
        let judge = judge(&python, &config);
        // Both processes have begun, so that the shorter limit holds.
        let warm = ["a"; 50].map(|step| end(&problem, step, None));
        judge.program.score(&warm);
        let asked = ["1", "bad", "2", "3"].map(|step| end(&problem, step, None));
        let began = Instant::now();
        assert_eq!(judge.program.score(&asked), [Some(1.0), None, Some(1.0), Some(1.0)], "{words}");
        assert!(began.elapsed() < Duration::from_secs(30));
        assert!(judge.said().contains(words), "{}", judge.said());
    }
}

#[test]
fn no_number_from_0_to_1_is_no_answer() {
    for (body, words) in [
        ("print('hello', flush=True)\nreturn 1", "hello"),
        ("return 7", "from 0 to 1"),
        ("return -0.5", "from 0 to 1"),
        ("return 'yes'", "from 0 to 1"),
        ("return float('nan')", "no answer"),
        ("print('{\"id\": 99, \"score\": 1}', flush=True)\nreturn 1", "answers no question"),
        ("os.write(1, b'\\xff\\xfe\\n')\nreturn 1", "no answer"),
    ] {
        let judge = judge(&answering(body), &quick());
        assert_eq!(judge.score("1"), None, "{body}");
        assert!(judge.said().contains(words), "{body}: {}", judge.said());
    }
    for (body, score) in
        [("return 1", Some(1.0)), ("return 0.25", Some(0.25)), ("return False", Some(0.0)), ("return", None)]
    {
        let judge = judge(&answering(body), &quick());
        assert_eq!((judge.score("1"), judge.program.trouble()), (score, None), "{body}");
    }
}

#[test]
fn one_that_always_fails_is_given_up_in_bounded_time() {
    let judge = judge("import os\nos._exit(1)", &CommandConfig { processes: 2, ..CommandConfig::default() });
    let problem = math("5");
    let asked: Vec<Asked<'_>> = (0..200).map(|_| end(&problem, "", None)).collect();
    let began = Instant::now();
    assert_eq!(judge.program.score(&asked), vec![None; 200]);
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert!(judge.program.trouble().unwrap().contains("given up"), "{}", judge.said());
    let began = Instant::now();
    assert_eq!(judge.program.score(&asked), vec![None; 200]);
    assert!(began.elapsed() < Duration::from_secs(1));
}
