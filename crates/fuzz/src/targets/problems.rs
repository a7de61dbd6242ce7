//! Readers of problem sets: this project's own, and the layouts of published ones.

use super::parquet_seed::plain;
use super::{Begun, Target};
use crate::scratch::Scratch;
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use espalier_files::publish_bytes;
use espalier_task::families::{GenerateConfig, Split, generate, in_domain};
use espalier_task::{Dataset, Problem, load_dataset, load_problems, write_jsonl};
use parquet::arrow::ArrowWriter;
use std::sync::Arc;

const FIELDS: &[&str] =
    &["\"question\":", "\"answer\":", "\"id\":", "\"solution\":", "\"difficulty\":", "\"family\":", "####", "\\boxed{"];
const XML: &[&str] = &[
    "<!DOCTYPE a [<!ENTITY a \"b\">]>",
    "&a;",
    "&#x0;",
    "<![CDATA[",
    "<Problem ID=\"1\">",
    "</Problem>",
    "<?xml?>",
    "<!--",
];
const CSV: &[&str] = &[",", "\"", "\"\"", "\r\n", ",,,,,", "\u{feff}"];

/// A published layout is as much like the others as to share what is read by the same code.
macro_rules! layout {
    ($name:literal, $share:literal, $words:expr, $dataset:ident, $file:literal, $($seed:expr),+) => {
        Target {
            name: $name,
            share: $share,
            words: $words,
            begin: |scratch| Begun::new([$($seed),+], move |input| {
                load_dataset(&scratch.put($file, input), Dataset::$dataset, None, 7).is_ok()
            }),
        }
    };
}

pub(super) const TARGETS: [Target; 14] = [
    Target { name: "problems-jsonl", share: 150, words: FIELDS, begin: lines },
    Target { name: "problems-json", share: 150, words: FIELDS, begin: array },
    Target { name: "problems-parquet", share: 20, words: &["PAR1", "question", "answer"], begin: table },
    layout!(
        "layout-gsm8k",
        100,
        FIELDS,
        Gsm8k,
        "test.jsonl",
        "{\"question\": \"How many?\", \"answer\": \"Then 12-2=<<12-2=10>>10 are left.\\n#### 1,010\"}\n"
    ),
    layout!(
        "layout-math",
        100,
        FIELDS,
        Math,
        "2.json",
        r#"{"problem": "Solve $2x=1$.", "level": "Level 3", "type": "Algebra", "solution": "So $x=\\boxed{\\frac{1}{2}}$."}"#
    ),
    layout!(
        "layout-mawps",
        100,
        FIELDS,
        Mawps,
        "a.json",
        r#"[{"iIndex": 5, "sQuestion": "Ann had 5.5 apples .", "lEquations": ["X=5.5-2"], "lSolutions": [3.5]}]"#,
        r#"{"input": "Ann had 5 apples , ate 2 . How many ?", "target": 3.0}"#
    ),
    layout!(
        "layout-svamp",
        100,
        FIELDS,
        Svamp,
        "a.json",
        r#"[{"ID": "chal-1", "Body": "Each costs 76 dollars", "Question": "How much?", "Answer": 152.0, "Type": "Multiplication"}]"#
    ),
    layout!(
        "layout-asdiv",
        100,
        XML,
        Asdiv,
        "a.xml",
        "<?xml version=\"1.0\"?><a><ProblemSet><Problem ID=\"n1\" Grade=\"1\"><Body>Red &amp; green.</Body><Question>How \
         many?</Question><Solution-Type>Addition</Solution-Type><Answer>9 (apples); 3</Answer></Problem></ProblemSet></a>"
    ),
    layout!(
        "layout-aqua",
        100,
        FIELDS,
        Aqua,
        "a.jsonl",
        r#"{"question": "Half of 42?", "options": ["A)20", "B)21", "C)(22)", "D)23", "E)24"], "rationale": "42/2", "correct": "B"}"#
    ),
    layout!(
        "layout-arc",
        100,
        FIELDS,
        ArcChallenge,
        "a.jsonl",
        r#"{"id": "M7", "question": {"stem": "What melts?", "choices": [{"text": "ice", "label": "1"}, {"text": "air", "label": "2"}]}, "answerKey": "1"}"#,
        r#"{"id": "M8", "question": "What flies?", "choices": {"text": ["rock", "bird"], "label": ["A", "B"]}, "answerKey": "B"}"#
    ),
    layout!(
        "layout-mmlu",
        100,
        CSV,
        Mmlu,
        "a_test.csv",
        "\"Order of 2, mod 7?\",1,2,3,6,C\nWho?,a,b,\"c \"\"d\"\"\",d,A\n"
    ),
    layout!(
        "layout-gpqa",
        100,
        CSV,
        Gpqa,
        "a.csv",
        "Record ID,Question,Correct Answer,Incorrect Answer 1,Incorrect Answer 2,Incorrect Answer 3,High-level domain\n\
         rec1,\"What,\nnow?\",right,wrong,false,bad,Physics\n"
    ),
    layout!(
        "layout-bbh",
        100,
        FIELDS,
        Bbh,
        "a.json",
        r#"{"canary": "c", "examples": [{"input": "Which?\nOptions:\n(A) a\n(B) b", "target": "(B)"}, {"input": "Sort: b a", "target": "a b"}]}"#
    ),
    // Its rows are read only where programs can be run, which is looked at each time.
    Target { name: "layout-humaneval", share: 1, words: FIELDS, begin: humaneval },
];

fn problems() -> Vec<Problem> {
    let families = in_domain().into_iter().take(3).map(str::to_owned).collect();
    let config =
        GenerateConfig { seed: 1, families, split: Split::Train, count: 3, min_steps: 2, max_steps: 3, mistakes: 0.0 };
    generate(&config).expect("problems of known families")
}

fn lines(scratch: Scratch) -> Begun {
    let path = scratch.file("problems.jsonl");
    write_jsonl(&path, &problems()).expect("problems can be written");
    let own = scratch.take("problems.jsonl");
    let foreign =
        "{\"problem\": \"P\", \"solution\": \"So \\\\boxed{x^2}.\"}\n\n{\"input\": \"Q\", \"target\": -26.0}\r\n";
    Begun::new([own, foreign.into()], move |input| load_problems(&scratch.put("problems.jsonl", input), None).is_ok())
}

fn array(scratch: Scratch) -> Begun {
    let own = serde_json::to_vec(&problems()).expect("problems are JSON");
    let foreign =
        r#"[{"index": 7, "question": " Fold it? ", "answer": "48"}, {"id": 9, "prompt": "$x$?", "final_answer": 1e3}]"#;
    Begun::new([own, foreign.into()], move |input| load_problems(&scratch.put("problems.json", input), None).is_ok())
}

fn table(scratch: Scratch) -> Begun {
    let columns: [(&str, ArrayRef); 4] = [
        ("question", Arc::new(StringArray::from(vec!["A", "B", "C"]))),
        ("answer", Arc::new(StringArray::from(vec!["1", "so\n#### 2", "3"]))),
        ("index", Arc::new(Int64Array::from(vec![10, 20, 30]))),
        ("difficulty", Arc::new(Int64Array::from(vec![Some(2), None, Some(4)]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a plain schema");
    writer.write(&batch).and_then(|()| writer.close().map(drop)).expect("a plain table");
    let path = scratch.file("problems.parquet");
    publish_bytes(&path, &bytes).expect("a file can be written");
    Begun::new(plain(&path), move |input| load_problems(&scratch.put("problems.parquet", input), None).is_ok())
}

fn humaneval(scratch: Scratch) -> Begun {
    let seed = r#"{"task_id": "HumanEval/900", "prompt": "def double(x: int) -> int:\n", "entry_point": "double", "canonical_solution": "    return 2 * x\n", "test": "def check(candidate):\n    assert candidate(4) == 8\n"}"#;
    let read = move |input: &[u8]| load_dataset(&scratch.put("a.jsonl", input), Dataset::HumanEval, None, 7).is_ok();
    let runs_programs = read(seed.as_bytes());
    // Where no program can be run, there is nothing to read.
    Begun::new([seed], move |input| read(input) || !runs_programs)
}
