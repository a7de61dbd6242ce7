use super::*;
use std::time::Instant;

/// Where there can be no sandbox, tests fail, unless the machine's owner says that none is expected.
fn sandbox() -> Option<Sandbox> {
    match Sandbox::open() {
        Ok(sandbox) => Some(sandbox),
        Err(error) if std::env::var_os("ESPALIER_NO_SANDBOX").is_some() => {
            eprintln!("not tested, as ESPALIER_NO_SANDBOX allows: {error}");
            None
        }
        Err(error) => panic!("{error}; set ESPALIER_NO_SANDBOX=1 to go without these tests"),
    }
}

const HEAD: &str = "def add(a, b):\n    \"\"\" Add. \"\"\"\n";
const TESTS: &str = "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate(5, 5) == 10\n";

fn verdict(sandbox: &Sandbox, program: &str, tests: &str) -> Verdict {
    sandbox.judge(Judged { program, entry_point: "add", head: HEAD, tests }).unwrap()
}

/// A body of `add` that does something first.
fn with(act: &str, last: &str) -> String {
    let body = act.lines().fold(String::new(), |body, line| body + "    " + line + "\n");
    format!("{HEAD}{body}    {last}\n")
}

/// Programs that try to be counted as right, to stop the judge, or to hold the machine's memory. None is right.
const HOSTILE: &[(&str, &str, &str)] = &[
    ("signals to the group", "import os, signal\nos.kill(0, signal.SIGKILL)", "return 0"),
    ("signals to all", "import os, signal\nos.kill(-1, signal.SIGKILL)", "return 0"),
    ("signals to the first process", "import os, signal\nos.kill(1, signal.SIGKILL)", "return 0"),
    ("an exit that says all is well", "import os\nos._exit(0)", "return 3"),
    ("an exit by an exception", "raise SystemExit(0)", "return 3"),
    (
        "every secret of every frame, printed",
        "import sys, os\nf = sys._getframe()\nwhile f is not None:\n    for c in f.f_code.co_consts: os.write(1, repr(c).encode())\n    f = f.f_back",
        "return 0",
    ),
    (
        "the verdict, written on every descriptor",
        "import os\nfor d in range(64):\n    try: os.write(d, b'passed null\\n')\n    except OSError: pass",
        "return 0",
    ),
    (
        "answers before the questions",
        "import os\nfor d in range(64):\n    try: os.write(d, b'answer {\"returned\": true}\\n' * 9)\n    except OSError: pass",
        "return 0",
    ),
    (
        "an object that equals all",
        "class Any:\n    def __eq__(self, other): return True\n    def __ne__(self, other): return False",
        "return Any()",
    ),
    (
        "a number that equals all",
        "class Any(int):\n    def __eq__(self, other): return True\n    def __hash__(self): return 0",
        "return Any()",
    ),
    (
        "comparisons and assertions redefined",
        "import builtins\nbuiltins.AssertionError = StopIteration\nbuiltins.int = bool\nbuiltins.isinstance = lambda *_: True",
        "return 0",
    ),
    ("a hook for failures", "import sys, os\nsys.excepthook = lambda *_: os._exit(0)", "raise ValueError('passed')"),
    ("a trace that leaves", "import sys, os\nsys.settrace(lambda *_: os._exit(0))", "return 0"),
    (
        "a check of its own",
        "import sys\nfor m in list(sys.modules.values()): m.__dict__['check'] = lambda c: None",
        "return 0",
    ),
    ("deep data", "x = []\nfor _ in range(100000): x = [x]", "return x"),
    ("endless data", "import itertools", "return itertools.count()"),
    ("a line without end", "import os\nwhile True: os.write(3, b'x' * 65536); os.write(4, b'x' * 65536)", "return 0"),
    ("files", "open('/etc/passwd').read()", "return 3"),
    ("a program of the machine", "import subprocess\nsubprocess.run(['/usr/bin/env'], check=True)", "return 3"),
    ("a second process", "import os\nos.fork()", "return a + b"),
    ("memory", "x = bytearray(3 << 29)", "return a + b"),
    (
        "memory of segments",
        "import ctypes\nc = ctypes.CDLL(None)\nif any(c.shmget(0, 1 << 26, 0o1600) < 0 for _ in range(40)): raise MemoryError",
        "return a + b",
    ),
    (
        "memory of nameless files",
        "import os\nfor _ in range(40): os.write(os.memfd_create('x'), b'x' * (1 << 26))",
        "return 3",
    ),
    ("memory of files", "for i in range(9): open(f'/tmp/{i}', 'wb').write(bytes(1 << 24))", "return a + b"),
    ("sockets", "import socket\nsocket.socket()", "return a + b"),
    ("a crash", "import ctypes\nctypes.string_at(0)", "return a + b"),
];

#[test]
fn hostile_programs_neither_pass_nor_disturb() {
    let Some(sandbox) = sandbox() else { return };
    let honest = with(
        "import threading\nt = [threading.Thread(target=int) for _ in range(4)]\n[x.start() for x in t]",
        "return a + b",
    );
    // Some at a time beside an honest one, each with its act at the first call, and with it while the function is defined.
    for group in HOSTILE.chunks(4) {
        let called = group.iter().map(|(name, act, last)| (name, "", with(act, last)));
        let defined =
            group.iter().map(|(name, act, _)| (name, ", while it is defined", format!("{act}\n{HEAD}    return 0\n")));
        let hostile: Vec<_> = called.chain(defined).collect();
        std::thread::scope(|scope| {
            let sandbox = &sandbox;
            let judged = |program| scope.spawn(move || verdict(sandbox, program, TESTS));
            let beside = judged(&honest);
            let all: Vec<_> = hostile.iter().map(|(name, when, program)| (name, when, judged(program))).collect();
            for (name, when, judged) in all {
                let verdict = judged.join().unwrap();
                assert!(matches!(verdict, Verdict::Failed(_)), "{name}{when}: {verdict:?}");
            }
            assert_eq!(beside.join().unwrap(), Verdict::Passed, "beside one of {group:?}");
        });
    }
}

#[test]
fn programs_full_of_threads_leave_others_theirs() {
    let Some(sandbox) = sandbox() else { return };
    let greedy = with(
        "import threading, time\nfor _ in range(12): threading.Thread(target=time.sleep, args=(1,)).start()\ntime.sleep(1)",
        "return a + b",
    );
    let endless = with(
        "import threading, time\nfor _ in range(99): threading.Thread(target=time.sleep, args=(9,)).start()",
        "return 3",
    );
    std::thread::scope(|scope| {
        let judged = [&greedy; 4].map(|program| scope.spawn(|| verdict(&sandbox, program, TESTS)));
        judged.into_iter().for_each(|judged| assert_eq!(judged.join().unwrap(), Verdict::Passed));
    });
    assert!(matches!(verdict(&sandbox, &endless, TESTS), Verdict::Failed(reason) if reason.contains("thread")));
}

#[test]
fn right_programs_pass_whatever_they_print() {
    let Some(sandbox) = sandbox() else { return };
    let acts = [
        "pass",
        "print('x' * (1 << 20))",
        "import atexit\natexit.register(print, 'after the end')",
        "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.1), print('late'))).start()",
        "import sys\nsys.stdout = None\nsys.stderr = None",
        "import os\nos.closerange(0, 3)",
        "global print\nprint = None",
        "import sys\nsys.stdin.read()",
        "global check, candidate, passed, json\ncheck = candidate = passed = json = 0",
        "import sys\nsys.setrecursionlimit(100000)",
    ];
    for act in acts {
        assert_eq!(verdict(&sandbox, &with(act, "return a + b"), TESTS), Verdict::Passed, "{act}");
    }
}

#[test]
fn values_arrive_as_what_they_are() {
    let Some(sandbox) = sandbox() else { return };
    let echo = "def add(a):\n    return a\n";
    let tests = r#"
from collections import Counter, OrderedDict
from decimal import Decimal
from fractions import Fraction
def check(candidate):
    values = [None, True, 0, -1, 10 ** 4000, 0.1, float("inf"), -0.0, 2j, "", "\ud800\n\u2028", b"\x00", [], [[1], (2,)],
              (), {1, 2}, frozenset(), {}, {(1, "a"): [None]}, range(3), Decimal("1.10"), Fraction(1, 3)]
    for value in values:
        got = candidate(value)
        assert got == value and type(got) is type(value) and repr(got) == repr(value), value
    assert str(candidate(float("nan"))) == "nan"
    assert candidate(Counter("aab")) == {"a": 2, "b": 1} and candidate(OrderedDict(b=1)) == {"b": 1}
    assert next(candidate(iter([7]))) == 7 and candidate({1: 2}.keys()) == {1}
    assert candidate(a=5) == 5
"#;
    assert_eq!(verdict(&sandbox, echo, tests), Verdict::Passed);
    let sorts = "def add(a, b):\n    a.sort()\n    b['x'] = 1\n";
    let tests = "def check(add):\n    a, b = [2, 1], {}\n    assert add(a, b) is None\n    assert (a, b) == ([1, 2], {'x': 1})\n";
    assert_eq!(verdict(&sandbox, sorts, tests), Verdict::Passed, "arguments that are changed are changed");
    let raises = "def add(a):\n    raise KeyError('no')\n";
    let tests = "def check(add):\n    try: add(1)\n    except KeyError: return\n    assert False\n";
    assert_eq!(verdict(&sandbox, raises, tests), Verdict::Passed, "exceptions have their type");
}

#[test]
fn wrong_programs_fail_with_their_reason() {
    let Some(sandbox) = sandbox() else { return };
    let failed = |program: &str, reason: &str| match verdict(&sandbox, program, TESTS) {
        Verdict::Failed(message) => assert!(message.contains(reason), "{program}: {message}"),
        other => panic!("{program}: {other:?}"),
    };
    failed("def add(a, b): return a - b", "AssertionError");
    failed("def add(", "SyntaxError");
    failed("x = 1", "KeyError: 'add'");
    failed("def add(a, b): return 1 / 0", "ZeroDivisionError: division by zero");
    failed("def add(a, b): return add(a, b)", "RecursionError");
    failed("def add(a, b): return lambda: 3", "a value of type function is not plain data");
    failed("open('/usr/x', 'w')", "OSError");
    failed("x = bytearray(3 << 30)", "MemoryError");
}

#[test]
fn tests_use_the_head_and_are_refused_if_they_cannot_be_run() {
    let Some(sandbox) = sandbox() else { return };
    let head = "def twice(x):\n    return 2 * x\n\ndef add(a, b):\n    \"\"\" Add. \"\"\"\n";
    let judge = |tests| {
        let program = format!("{head}    return a + b\n");
        sandbox.judge(Judged { program: &program, entry_point: "add", head, tests })
    };
    assert_eq!(judge("def check(c): assert c(1, 1) == twice(1) and add(1, 1) == 2\n").unwrap(), Verdict::Passed);
    let refused = |tests, reason: &str| match judge(tests) {
        Err(TaskError::Tests { reason: message }) => assert!(message.contains(reason), "{message}"),
        other => panic!("{tests}: {other:?}"),
    };
    refused("def check(c", "SyntaxError");
    refused("x = 1", "KeyError: 'check'");
    refused("def check(c):\n    try: c(print, 1)\n    except Exception: pass\n", "builtin_function_or_method");
}

#[test]
fn endless_programs_are_ended() {
    let Some(mut sandbox) = sandbox() else { return };
    sandbox.walls.time_limit_s = 1;
    let began = Instant::now();
    assert_eq!(verdict(&sandbox, &with("import time\ntime.sleep(1000)", "return 3"), TESTS), Verdict::TimedOut);
    assert!(began.elapsed() < Duration::from_secs(60));
}

/// Runs tests of this file again, by a command that they are the last arguments of.
fn again(by: &[&str], tests: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("tests");
    std::fs::copy(std::env::current_exe().unwrap(), &binary).unwrap();
    for path in [folder.path(), &binary] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(path, mode).unwrap();
    }
    let mut command = std::process::Command::new(by[0]);
    command.args(&by[1..]).arg(&binary).args(tests).current_dir("/").env("TMPDIR", "/tmp");
    let ran = command.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    said
}

/// What holds for root must hold for those who are not.
#[test]
fn plain_users_are_as_safe() {
    let Some(sandbox) = sandbox() else { return };
    if sandbox.walls.is_root {
        let user = ["setpriv", "--reuid=60997", "--regid=60997", "--clear-groups"];
        let said = again(&user, &["sandbox::tests", "--skip", "plain_users", "--skip", "mounted_below"]);
        assert!(said.contains("7 passed"), "{said}");
    } // otherwise the other tests ran as one
}

/// A folder of its own below one that is read-only; the first attempts of every sandbox look for such.
#[test]
fn what_is_mounted_below_a_wall_is_one() {
    let Some(sandbox) = sandbox() else { return };
    if sandbox.walls.is_root && sandbox.walls.python.starts_with("/usr/bin") {
        let mount = "mount -t tmpfs -o mode=1777 none /usr/local && exec \"$@\"";
        let said = again(&["unshare", "--mount", "sh", "-c", mount, "sh"], &["sandbox::tests::wrong_programs"]);
        assert!(said.contains("1 passed"), "{said}");
    }
}
