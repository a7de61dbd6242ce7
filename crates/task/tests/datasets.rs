//! Published sets in small hand-written files of their publishers' layouts.

#![allow(clippy::disallowed_methods, reason = "tests make and break files")]

use espalier_task::{
    AnswerKind, Dataset, Grader, Problem, TaskError, Truth, equations, load_dataset, load_problems, write_jsonl,
};
use std::path::Path;
use tempfile::TempDir;

/// Writes files into a folder and loads the first, or the folder if there are several.
fn load(dataset: &str, files: &[(&str, &str)]) -> Result<Vec<Problem>, TaskError> {
    let folder = TempDir::new().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let path = if files.len() == 1 { folder.path().join(files[0].0) } else { folder.path().to_owned() };
    load_dataset(&path, dataset.parse().unwrap(), None, 7)
}

fn one(dataset: &str, name: &str, content: &str) -> Problem {
    let mut problems = load(dataset, &[(name, content)]).unwrap();
    assert_eq!(problems.len(), 1);
    problems.remove(0)
}

fn is_right(problem: &Problem, text: &str) -> bool {
    Grader::new([problem], false).unwrap().grade(problem, text).unwrap().correct
}

#[test]
fn gsm8k() {
    let line = r#"{"question": "Tim has 3 bags of 4 pears. He eats 2. How many are left?", "answer": "He has 3*4=<<3*4=12>>12 pears.\nThen 12-2=<<12-2=10>>10 are left.\n#### 1,010"}"#;
    let problem = one("gsm8k", "test.jsonl", line);
    assert_eq!((problem.id.as_str(), problem.answer.as_str()), ("test-000001", "1,010"));
    let solution = &problem.solution.as_ref().unwrap().solution;
    assert_eq!(solution, "He has 3*4=12 pears.\nThen 12-2=10 are left.\nThe final answer is \\boxed{1,010}.");
    assert!(is_right(&problem, solution));
}

#[test]
fn math_as_a_folder_and_as_lines() {
    let problems = load(
        "math",
        &[
            (
                "train/algebra/2.json",
                r#"{"problem": "Solve $2x=1$.", "level": "Level 3", "type": "Algebra", "solution": "So $x=\\boxed{\\frac{1}{2}}$."}"#,
            ),
            (
                "train/geometry/2.json",
                r#"{"problem": "Area?", "level": "Level ?", "type": "Geometry", "solution": "It is $\\boxed 9$."}"#,
            ),
        ],
    );
    let problems = problems.unwrap();
    assert_eq!((problems[0].id.as_str(), problems[0].answer.as_str()), ("train/algebra/2", r"\frac{1}{2}"));
    assert_eq!((problems[0].family.as_deref(), problems[0].difficulty), (Some("Algebra"), Some(3)));
    assert_eq!((problems[1].id.as_str(), problems[1].answer.as_str()), ("train/geometry/2", "9"));
    assert_eq!(problems[1].difficulty, None);
    let line = r#"{"problem": "P", "solution": "See \\boxed{4}.", "answer": "4", "subject": "Precalculus", "level": 2, "unique_id": "test/precalculus/807.json"}"#;
    let problem = one("math", "test.jsonl", line);
    assert_eq!((problem.id.as_str(), problem.family.as_deref()), ("test/precalculus/807.json", Some("Precalculus")));
    assert_eq!(problem.difficulty, Some(2));
}

#[test]
fn mawps_in_both_layouts() {
    let array = r#"[{"iIndex": 5, "sQuestion": "Ann had 5.5 apples , ate 2 . How many are left ?", "lEquations": ["X=5.5-2"], "lSolutions": [3.5]}]"#;
    let problem = one("mawps", "AddSub.json", array);
    assert_eq!((problem.id.as_str(), problem.answer.as_str()), ("AddSub-5", "3.5"));
    let problem = one("mawps", "mawps.jsonl", r#"{"input": "Ann had 5 apples , ate 2 . How many ?", "target": 3.0}"#);
    assert_eq!((problem.id.as_str(), problem.answer.as_str()), ("mawps-000001", "3"));
}

#[test]
fn svamp() {
    let array = r#"[{"ID": "chal-1", "Body": "Each pack costs 76 dollars", "Question": "How much do 2 cost?", "Equation": "( 76.0 * 2.0 )", "Answer": 152.0, "Type": "Multiplication"}]"#;
    let problem = one("svamp", "SVAMP.json", array);
    assert_eq!(problem.question, "Each pack costs 76 dollars. How much do 2 cost?");
    assert_eq!((problem.id.as_str(), problem.answer.as_str()), ("chal-1", "152"));
    assert_eq!(problem.family.as_deref(), Some("Multiplication"));
}

#[test]
fn asdiv() {
    let xml = r#"<?xml version="1.0" encoding="UTF-8"?>
<Machine-Reading-Corpus-File>
 <ProblemSet>
  <Problem ID="nluds-0001" Grade="1" Source="http://example.org">
   <Body>Seven red &amp; two green apples are in a basket.</Body>
   <Question>How many apples are there?</Question>
   <Solution-Type>Addition</Solution-Type>
   <Answer>9 (apples)</Answer>
   <Formula>7+2=9</Formula>
  </Problem>
  <Problem ID="nluds-0002" Grade="6" Source="http://example.org">
   <Body>Two numbers add up to 5 and differ by 1.</Body>
   <Question>What are they?</Question>
   <Solution-Type>Algebra-2</Solution-Type>
   <Answer>3; 2</Answer>
   <Formula>x+y=5; x-y=1</Formula>
  </Problem>
 </ProblemSet>
</Machine-Reading-Corpus-File>"#;
    let problems = load("asdiv", &[("ASDiv.xml", xml)]).unwrap();
    assert_eq!(problems[0].question, "Seven red & two green apples are in a basket. How many apples are there?");
    assert_eq!((problems[0].answer.as_str(), problems[0].difficulty), ("9", Some(1)));
    assert_eq!((problems[1].answer.as_str(), problems[1].family.as_deref()), ("3, 2", Some("Algebra-2")));
    assert!(is_right(&problems[1], r"\boxed{2, 3}"));
    let broken = load("asdiv", &[("ASDiv.xml", &xml.replace("</Body>", ""))]).unwrap_err().to_string();
    assert!(broken.contains("ASDiv.xml: line 10: broken XML"), "{broken}");
    let lacking = load("asdiv", &[("ASDiv.xml", &xml.replace("<Answer>3; 2</Answer>", ""))]).unwrap_err().to_string();
    assert!(lacking.contains("problem 2: no <Answer>"), "{lacking}");
}

/// Publishers pack their files; the names of problems are those that they have unpacked.
#[test]
fn packed_files_are_read_as_what_they_hold() {
    let folder = TempDir::new().unwrap();
    let pack = |name: &str, text: &str| {
        let path = folder.path().join(name);
        let mut packed =
            flate2::write::GzEncoder::new(std::fs::File::create(&path).unwrap(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, text.as_bytes()).unwrap();
        packed.finish().unwrap();
        path
    };
    let csv = "What is 2 + 2?,3,4,5,6,B\n";
    pack("anatomy_test.csv.gz", csv);
    let maths = pack("abstract_algebra_test.csv.GZ", csv);
    let of = |path: &Path, dataset| load_dataset(path, dataset, None, 7).unwrap();
    let all = of(folder.path(), Dataset::Mmlu);
    assert_eq!(
        all.iter().map(|problem| problem.family.as_deref().unwrap()).collect::<Vec<_>>(),
        ["abstract_algebra", "anatomy"]
    );
    assert_eq!(of(folder.path(), Dataset::MmluStem).len(), 2);
    assert_eq!((all[0].id.as_str(), &all[..1]), ("abstract_algebra_test-000001", &of(&maths, Dataset::Mmlu)[..]));

    let object = r#"{"problem": "Area?", "level": "Level 2", "type": "Geometry", "solution": "It is $\\boxed 9$."}"#;
    assert_eq!(of(&pack("2.json.gz", object), Dataset::Math)[0].id, "2");
    let line = r#"{"question": "Q?", "answer": "So 4.\n#### 4"}"#;
    assert_eq!(of(&pack("test.jsonl.gz", line), Dataset::Gsm8k)[0].id, "test-000001");
}

#[test]
fn aqua() {
    let line = r#"{"question": "Half of 42?", "options": ["A)20", "B)21", "C)(22)", "D)23", "E)24"], "rationale": "42/2", "correct": "B"}"#;
    let problem = one("aqua", "test.json", line);
    let question = "Half of 42?\n(A) 20\n(B) 21\n(C) (22)\n(D) 23\n(E) 24\nAnswer with a letter from A to E.";
    assert_eq!((problem.question.as_str(), problem.answer.as_str(), problem.kind), (question, "B", AnswerKind::Choice));
    assert!(is_right(&problem, "The answer is B.") && is_right(&problem, r"\boxed{B) 21}"));
    assert!(!is_right(&problem, "The answer is 21.") && !is_right(&problem, r"\boxed{C}"));
    let bare = line.replace(r#"["A)20", "B)21", "C)(22)", "D)23", "E)24"]"#, r#"["f(3)", "g(3)"]"#);
    let problem = one("aqua", "test.json", &bare);
    assert_eq!(problem.question, "Half of 42?\n(A) f(3)\n(B) g(3)\nAnswer with a letter from A to B.");
}

#[test]
fn arc_in_both_layouts() {
    let nested = r#"{"id": "Mercury_7", "question": {"stem": "What melts?", "choices": [{"text": "ice", "label": "1"}, {"text": "air", "label": "2"}]}, "answerKey": "1"}"#;
    let flat = r#"{"id": "Mercury_8", "question": "What flies?", "choices": {"text": ["rock", "bird", "tree"], "label": ["A", "B", "C"]}, "answerKey": "B"}"#;
    let problems = load("arc_c", &[("ARC-Challenge-Test.jsonl", &format!("{nested}\n{flat}\n"))]).unwrap();
    assert_eq!(problems[0].question, "What melts?\n(A) ice\n(B) air\nAnswer with a letter from A to B.");
    let summary: Vec<_> = problems.iter().map(|problem| (problem.id.as_str(), problem.answer.as_str())).collect();
    assert_eq!(summary, [("Mercury_7", "A"), ("Mercury_8", "B")]);
}

#[test]
fn mmlu_and_its_stem_part() {
    let algebra = "\"Order of 2, mod 7?\",1,2,3,6,C\n";
    let law = "Who?,a,b,c,d,A\n\"Say \"\"when\"\"\",a,b,c,d,D\n";
    let files = [("test/abstract_algebra_test.csv", algebra), ("test/professional_law_test.csv", law)];
    let all = load("mmlu", &files).unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!(all[0].question, "Order of 2, mod 7?\n(A) 1\n(B) 2\n(C) 3\n(D) 6\nAnswer with a letter from A to D.");
    assert_eq!((all[0].family.as_deref(), all[0].answer.as_str()), (Some("abstract_algebra"), "C"));
    assert!(all[2].question.starts_with("Say \"when\"\n"));
    let stem = load("mmlu_stem", &files).unwrap();
    assert_eq!(stem, all[..1]);
    let short = load("mmlu", &[("a_test.csv", "Who?,a,b,A\n")]).unwrap_err().to_string();
    assert!(short.contains("a_test.csv: row 1: 4 columns; there should be 6"), "{short}");
}

#[test]
fn gpqa_shuffles_by_seed_and_record() {
    let header = "Record ID,Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3,High-level domain\n";
    let rows = (0..40).map(|row| format!("rec{row},\"What,\nnow?\",right,wrong,false,bad,Physics\n"));
    let rows = rows.collect::<Vec<_>>().concat();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gpqa_diamond.csv");
    std::fs::write(&path, format!("{header}{rows}")).unwrap();
    let load = |limit, seed| load_dataset(&path, Dataset::Gpqa, limit, seed).unwrap();
    let problems = load(None, 1);
    for problem in &problems {
        let right = format!("({}) right", problem.answer);
        assert!(problem.question.contains(&right) && problem.question.starts_with("What,\nnow?\n(A) "));
        assert_eq!((problem.family.as_deref(), problem.kind), (Some("Physics"), AnswerKind::Choice));
    }
    for letter in ["A", "B", "C", "D"] {
        assert!(problems.iter().any(|problem| problem.answer == letter), "{letter} is never right");
    }
    assert_eq!(load(Some(5), 1), problems[..5]);
    assert_ne!(load(None, 2), problems);
}

#[test]
fn bbh() {
    let choice = r#"{"canary": "c", "examples": [{"input": "Which?\nOptions:\n(A) a\n(B) b", "target": "(B)"}]}"#;
    let words = r#"{"canary": "c", "examples": [{"input": "Is it so?", "target": "No"}, {"input": "Sort: b a", "target": "a b"}]}"#;
    let problems = load("bbh", &[("date_understanding.json", choice), ("navigate.json", words)]).unwrap();
    assert_eq!((problems[0].answer.as_str(), problems[0].kind), ("B", AnswerKind::Choice));
    assert_eq!(problems[0].family.as_deref(), Some("date_understanding"));
    assert_eq!((problems[1].id.as_str(), problems[1].answer.as_str()), ("navigate-000001", "No"));
    assert!(is_right(&problems[0], "(B)") && is_right(&problems[1], "So the answer is no."));
    assert!(!is_right(&problems[1], "So the answer is yes.") && is_right(&problems[2], r"\boxed{a b}"));
    let none = load("bbh", &[("x.json", "{}")]).unwrap_err().to_string();
    assert!(none.contains("x.json: the file: no `examples`"), "{none}");
}

#[test]
fn humaneval() {
    let line = r#"{"task_id": "HumanEval/900", "prompt": "def double(x: int) -> int:\n    \"\"\" Twice x. \"\"\"\n", "entry_point": "double", "canonical_solution": "    return 2 * x\n", "test": "def check(candidate):\n    assert candidate(4) == 8\n"}"#;
    let problems = match load("humaneval", &[("HumanEval.jsonl", line)]) {
        Ok(problems) => problems,
        Err(error @ TaskError::Sandbox { .. }) if std::env::var_os("ESPALIER_NO_SANDBOX").is_some() => {
            return eprintln!("not tested: {error}");
        }
        Err(error) => panic!("{error}; set ESPALIER_NO_SANDBOX=1 to go without this test"),
    };
    let problem = &problems[0];
    assert_eq!((problem.id.as_str(), problem.kind), ("HumanEval/900", AnswerKind::Code));
    assert!(problem.question.ends_with("\"\"\"\n"), "the head keeps its line break");
    assert!(is_right(problem, &problem.answer) && !is_right(problem, "    return x\n"));
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("copy.jsonl");
    write_jsonl(&path, &problems).unwrap();
    let again = load_problems(&path, None).unwrap();
    assert_eq!(
        (again[0].kind, &again[0].tests),
        (AnswerKind::Code, &problem.tests),
        "written problems keep their tests"
    );
}

#[test]
fn limits_names_and_folders() {
    let files = [("a_test.csv", "Q,a,b,c,d,A\nR,a,b,c,d,B\n"), ("b_test.csv", "S,a,b,c,d,C\n")];
    let folder = TempDir::new().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let load = |limit| load_dataset(folder.path(), Dataset::Mmlu, Some(limit), 0).unwrap().len();
    assert_eq!([load(0), load(1), load(3), load(9)], [0, 1, 3, 3]);
    let unknown = "gsm8".parse::<Dataset>().unwrap_err().to_string();
    assert!(unknown.contains("dataset is \"gsm8\"") && unknown.contains("humaneval"), "{unknown}");
    for name in ["gsm8k", "math", "mawps", "svamp", "asdiv", "aqua", "arc_c", "mmlu", "mmlu_stem", "gpqa", "bbh"] {
        let dataset: Dataset = name.parse().unwrap();
        assert_eq!(dataset.to_string(), name);
        let missing = load_dataset(Path::new("nowhere"), dataset, None, 0).unwrap_err().to_string();
        assert!(missing.starts_with("nowhere: cannot read"), "{name}: {missing}");
        let empty = load_dataset(TempDir::new().unwrap().path(), dataset, None, 0).unwrap_err().to_string();
        assert!(empty.contains("holds no problem"), "{name}: {empty}");
    }
}

/// The real files, in the folder that `ESPALIER_DATA` names.
#[test]
#[ignore = "needs the real files: ESPALIER_DATA"]
fn real_files() {
    let folder = std::env::var("ESPALIER_DATA").expect("ESPALIER_DATA");
    let load = |dataset, name: &str| load_dataset(&Path::new(&folder).join(name), dataset, None, 0).unwrap();
    for problem in load(Dataset::Gsm8k, "gsm8k_train.jsonl").iter().chain(&load(Dataset::Gsm8k, "gsm8k_test.jsonl")) {
        assert!(is_right(problem, &problem.solution.as_ref().unwrap().solution), "{}", problem.id);
        assert!(!problem.solution.as_ref().unwrap().solution.contains("<<"), "{}", problem.id);
    }
    assert_eq!(load(Dataset::Mawps, "mawps_singleop.jsonl").len(), 562);
}

/// The real functions, in the folder that `ESPALIER_DATA` names: each publisher's body is right, and no body is that does
/// nothing, or ends all processes that it can reach.
#[test]
#[ignore = "needs the real files: ESPALIER_DATA"]
fn real_functions() {
    let path = Path::new(&std::env::var_os("ESPALIER_DATA").expect("ESPALIER_DATA")).join("HumanEval.jsonl.gz");
    let problems = load_dataset(&path, Dataset::HumanEval, None, 0).unwrap();
    assert_eq!(problems.len(), 164);
    let wrong = ["    pass\n", "    import os, signal\n    os.kill(0, signal.SIGKILL)\n"];
    std::thread::scope(|scope| {
        for some in problems.chunks(82) {
            scope.spawn(move || {
                for problem in some {
                    assert!(is_right(problem, &problem.answer), "{}", problem.id);
                    wrong.iter().for_each(|body| assert!(!is_right(problem, body), "{}: {body}", problem.id));
                }
            });
        }
    });
}

/// The real worked solutions, in the folder that `ESPALIER_DATA` names, with GSM8K's annotations: of tens of thousands of
/// equations those that fail are 26 slips of their writers, each read by hand (`2*8 = 24`), and none is an annotation.
#[test]
#[ignore = "needs the real files: ESPALIER_DATA"]
fn real_equations() {
    let folder = std::env::var("ESPALIER_DATA").expect("ESPALIER_DATA");
    let mut counts = [0; 3];
    for name in ["gsm8k_train.jsonl", "gsm8k_test.jsonl"] {
        for line in std::fs::read_to_string(Path::new(&folder).join(name)).unwrap().lines() {
            let fields: serde_json::Value = serde_json::from_str(line).unwrap();
            let text = fields["answer"].as_str().unwrap();
            for found in equations(text) {
                let kind = match found.truth {
                    Truth::Holds => 0,
                    Truth::Fails => 1,
                    Truth::Unclear(_) => 2,
                };
                counts[kind] += 1;
                assert!(kind != 1 || !text[..found.at.start].ends_with("<<"), "{text}");
            }
        }
    }
    assert!(counts[0] > 56_000 && counts[1] <= 26 && counts[2] <= 60, "{counts:?}");
}
