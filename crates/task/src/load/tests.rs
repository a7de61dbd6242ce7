//! Small files of every shape, right and wrong.

use super::*;
use crate::problem::Worked;
use crate::write::write_jsonl;
use ::parquet::arrow::ArrowWriter;
use arrow::array::{
    ArrayRef, BinaryArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array, Float64Array, Int64Array,
    LargeStringArray, ListBuilder, RecordBatch, StringArray, StringBuilder, StringViewArray, StructArray,
};
use arrow::datatypes::{DataType, Field, Int8Type};
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

/// A folder with one file in it.
fn file(name: &str, content: &[u8]) -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    (folder, path)
}

fn load(name: &str, content: &str) -> Result<Vec<Problem>, TaskError> {
    let (_folder, path) = file(name, content.as_bytes());
    load_problems(&path, None)
}

fn error(name: &str, content: &str) -> String {
    load(name, content).unwrap_err().to_string()
}

fn parquet_file(columns: Vec<(&str, ArrayRef)>) -> (TempDir, PathBuf) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    file("set.parquet", &bytes)
}

#[test]
fn reads_gsm8k() {
    let problems = load(
        "gsm8k.jsonl",
        "{\"question\": \"How many eggs?\", \"answer\": \"16 - 3 = <<16-3=13>>13\\n#### 13\"}\n\n\
         {\"question\": \"How much?\", \"answer\": \"It is 70,000.\\n#### 70,000\"}\r\n",
    );
    let problems = problems.unwrap();
    assert_eq!(problems.len(), 2);
    assert_eq!((problems[0].id.as_str(), problems[0].answer.as_str()), ("gsm8k-000001", "13"));
    assert_eq!((problems[1].id.as_str(), problems[1].answer.as_str()), ("gsm8k-000003", "70,000"));
    assert_eq!(problems[1].solution, None);
}

#[test]
fn reads_an_array_with_indices() {
    let problems = load(
        "round.json",
        r#"[{"index": 7, "question": " Fold it? ", "answer": "48"}, {"index": 9, "question": "$x$?", "answer": "\\frac{1}{2}"}]"#,
    );
    let problems = problems.unwrap();
    assert_eq!((problems[0].id.as_str(), problems[0].question.as_str()), ("round-7", "Fold it?"));
    assert_eq!((problems[1].id.as_str(), problems[1].answer.as_str()), ("round-9", "\\frac{1}{2}"));
}

#[test]
fn reads_numeric_targets() {
    let answers = |target: &str| {
        load("mawps.jsonl", &format!("{{\"input\":\"Q\",\"target\":{target}}}")).unwrap().remove(0).answer
    };
    for (target, answer) in [
        ("26.0", "26"),
        ("7.5", "7.5"),
        ("26", "26"),
        ("-3.0", "-3"),
        ("-0.0", "0"),
        ("1e3", "1000"),
        ("0.125", "0.125"),
    ] {
        assert_eq!(answers(target), answer);
    }
}

#[test]
fn reads_other_names_and_optional_fields() {
    let problems = load(
        "math.jsonl",
        concat!(
            r#"{"id": "algebra/1", "problem": "P", "solution": "So \\boxed{x^2}.", "level": "Level 5"}"#,
            "\n",
            r#"{"id": 4, "prompt": "P", "final_answer": "3", "family": "f", "difficulty": 2, "solution": {"plan": ["Plan 1: a"], "solution": "\\boxed{3}"}}"#,
            "\n",
            r#"{"question": "P", "answer": null, "target": "3", "difficulty": "hard", "solution": "see the book", "extra": [1]}"#,
        ),
    );
    let problems = problems.unwrap();
    assert_eq!((problems[0].id.as_str(), problems[0].answer.as_str()), ("algebra/1", "x^2"));
    assert_eq!(problems[0].solution.as_ref().unwrap().plan.len(), 0);
    assert_eq!(
        (problems[1].id.as_str(), problems[1].family.as_deref(), problems[1].difficulty),
        ("math-4", Some("f"), Some(2))
    );
    assert_eq!(problems[1].solution, Some(Worked { plan: vec!["Plan 1: a".into()], solution: "\\boxed{3}".into() }));
    assert_eq!((problems[2].id.as_str(), problems[2].difficulty, &problems[2].solution), ("math-000003", None, &None));
}

#[test]
fn reads_parquet() {
    let difficulty: DictionaryArray<Int8Type> = vec!["easy", "easy", "hard"].into_iter().collect();
    let (_folder, path) = parquet_file(vec![
        ("question", Arc::new(StringArray::from(vec!["A", "B", "C"]))),
        ("answer", Arc::new(LargeStringArray::from(vec!["1", "so\n#### 2", "3"]))),
        ("index", Arc::new(Int64Array::from(vec![10, 20, 30]))),
        ("family", Arc::new(difficulty)),
        ("difficulty", Arc::new(Int64Array::from(vec![Some(2), None, Some(4)]))),
        ("picture", Arc::new(BinaryArray::from(vec![&b"x"[..], b"y", b"z"]))),
    ]);
    let problems = load_problems(&path, None).unwrap();
    let summary: Vec<_> = problems.iter().map(|problem| (problem.id.as_str(), problem.answer.as_str())).collect();
    assert_eq!(summary, [("set-10", "1"), ("set-20", "2"), ("set-30", "3")]);
    assert_eq!(
        (problems[2].family.as_deref(), problems[1].difficulty, problems[2].difficulty),
        (Some("hard"), None, Some(4))
    );
    assert_eq!(load_problems(&path, Some(2)).unwrap(), problems[..2]);
}

#[test]
fn reads_worked_solutions_from_parquet() {
    let mut plans = ListBuilder::new(StringBuilder::new());
    plans.append_value([Some("Plan 1: a"), Some("Plan 2: b")]);
    let plans: ArrayRef = Arc::new(plans.finish());
    let solutions: ArrayRef = Arc::new(StringViewArray::from(vec!["\\boxed{2.5}"]));
    let worked = StructArray::from(vec![
        (Arc::new(Field::new("plan", plans.data_type().clone(), true)), plans),
        (Arc::new(Field::new("solution", DataType::Utf8View, true)), solutions),
    ]);
    let (_folder, path) = parquet_file(vec![
        ("input", Arc::new(StringArray::from(vec!["A"]))),
        ("target", Arc::new(Float64Array::from(vec![2.5]))),
        ("solution", Arc::new(worked)),
    ]);
    let problem = load_problems(&path, None).unwrap().remove(0);
    assert_eq!((problem.id.as_str(), problem.answer.as_str()), ("set-000001", "2.5"));
    let worked = Worked { plan: vec!["Plan 1: a".into(), "Plan 2: b".into()], solution: "\\boxed{2.5}".into() };
    assert_eq!(problem.solution, Some(worked));
}

#[test]
fn numbers_keep_their_digits() {
    let problems = load(
        "big.jsonl",
        "{\"id\": 98765432109876543210987, \"question\": \"12345678901234567890?\", \"answer\": -12345678901234567890123}\n\
         {\"id\": 98765432109876543210988, \"question\": \"a \\\"b\\\" 2?\", \"answer\": 18446744073709551616}\n\
         {\"question\": \"c?\", \"answer\": 0.1234567890123456789}\n",
    );
    let problems = problems.unwrap();
    let read: Vec<_> = problems.iter().map(|problem| (problem.id.as_str(), problem.answer.as_str())).collect();
    assert_eq!(read[0], ("98765432109876543210987", "-12345678901234567890123"));
    assert_eq!(read[1], ("98765432109876543210988", "18446744073709551616"));
    assert_eq!(read[2].1, "0.12345678901234568", "a fraction is a number as ever");
    assert_eq!(problems[0].question, "12345678901234567890?");

    let floats: ArrayRef = Arc::new(Float32Array::from(vec![0.1, 3.0, 2.5]));
    let questions: ArrayRef = Arc::new(StringArray::from(vec!["a?", "b?", "c?"]));
    let (_folder, path) = parquet_file(vec![("question", Arc::clone(&questions)), ("answer", floats)]);
    let answers =
        |path: &Path| load_problems(path, None).unwrap().into_iter().map(|one| one.answer).collect::<Vec<_>>();
    assert_eq!(answers(&path), ["0.1", "3", "2.5"]);
    let decimals = Decimal128Array::from(vec![35, 120, -5]).with_precision_and_scale(4, 1).unwrap();
    let (_folder, path) = parquet_file(vec![("question", questions), ("answer", Arc::new(decimals))]);
    assert_eq!(answers(&path), ["3.5", "12.0", "-0.5"]);
}

#[test]
fn columns_that_a_problem_can_do_without_may_be_of_any_type() {
    let questions: ArrayRef = Arc::new(StringArray::from(vec!["a?", "b?"]));
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![1, 2]));
    let answers: ArrayRef = Arc::new(Int64Array::from(vec![5, 6]));
    let (_folder, path) = parquet_file(vec![
        ("question", Arc::clone(&questions)),
        ("answer", answers),
        ("index", Arc::clone(&dates)),
        ("difficulty", Arc::clone(&dates)),
    ]);
    let problems = load_problems(&path, None).unwrap();
    assert_eq!((problems[1].id.as_str(), problems[1].answer.as_str()), ("set-000002", "6"));
    let (_folder, path) = parquet_file(vec![("question", questions), ("answer", dates)]);
    assert!(load_problems(&path, None).unwrap_err().to_string().contains("`answer` is Date32"));
}

#[test]
fn bad_parquet_is_named() {
    let (_folder, path) = parquet_file(vec![
        ("question", Arc::new(StringArray::from(vec!["A"; 100]))),
        ("answer", Arc::new(Float64Array::from(vec![f64::NAN; 100]))),
    ]);
    let nan = load_problems(&path, None).unwrap_err().to_string();
    assert!(nan.contains("set.parquet: row 1: no answer"), "{nan}");

    let whole = std::fs::read(&path).unwrap();
    for content in [&whole[..whole.len() / 2], &whole[..3], b"", b"{\"question\": \"Q\", \"answer\": \"1\"}"] {
        let (_folder, path) = file("cut.parquet", content);
        let cut = load_problems(&path, None).unwrap_err().to_string();
        assert!(cut.contains("cut.parquet: not a readable Parquet file") && cut.contains("copy it again"), "{cut}");
    }

    let (_folder, path) = parquet_file(vec![
        ("question", Arc::new(BinaryArray::from(vec![&b"A"[..]]))),
        ("answer", Arc::new(StringArray::from(vec!["1"]))),
    ]);
    let binary = load_problems(&path, None).unwrap_err().to_string();
    assert!(binary.contains("row 1: `question` is Binary"), "{binary}");

    let (_folder, path) = parquet_file(vec![("score", Arc::new(Int64Array::from(vec![1])))]);
    let missing = load_problems(&path, None).unwrap_err().to_string();
    assert!(missing.contains("row 1: no question"), "{missing}");
}

#[test]
fn limits_stop_before_what_comes_after() {
    let (_folder, path) =
        file("some.jsonl", b"{\"question\":\"A\",\"answer\":1}\n{\"question\":\"B\",\"answer\":2}\nbroken\n");
    assert_eq!(load_problems(&path, Some(2)).unwrap().len(), 2);
    assert_eq!(load_problems(&path, Some(0)).unwrap().len(), 0);
    assert!(load_problems(&path, Some(3)).is_err());
}

#[test]
fn lines_in_a_json_file_and_a_byte_order_mark_are_read() {
    let lines = "\u{feff}{\"question\":\"A\",\"answer\":1}\n{\"question\":\"B\",\"answer\":2}\n";
    assert_eq!(load("lines.json", lines).unwrap().len(), 2);
    assert_eq!(load("lines.jsonl", lines).unwrap().len(), 2);
}

#[test]
fn errors_name_the_place_and_the_way_out() {
    let missing = load_problems(Path::new("nowhere/set.jsonl"), None).unwrap_err().to_string();
    assert!(missing.starts_with("nowhere/set.jsonl: cannot read: ") && missing.contains("check the path"), "{missing}");
    for (name, content, parts) in [
        ("set.csv", "question,answer", &["set.csv", "`csv`", ".jsonl, .json"][..]),
        ("set", "", &["unknown extension ``"]),
        (
            "set.jsonl",
            "{\"question\":\"A\",\"answer\":1}\n\n{\"question\":",
            &["set.jsonl:3: broken JSON", "column 12"],
        ),
        ("set.json", "[\n{\"question\":\"A\",\"answer\":1},\n{\"question\"}]", &["set.json:3: broken JSON"]),
        ("set.json", "17", &["set.json:1: broken JSON"]),
        ("set.jsonl", "", &["set.jsonl: holds no problem"]),
        ("set.jsonl", " \n\n", &["holds no problem"]),
        ("set.json", "", &["holds no problem"]),
        ("set.json", "[]", &["holds no problem"]),
        ("set.jsonl", "{\"question\":\"A\",\"answer\":1}\n[1]", &["line 2: a list where an object"]),
        (
            "set.json",
            "[{\"answer\":1}]",
            &["row 1: no question; name its field one of question, input, problem, prompt", "here: answer"],
        ),
        (
            "set.jsonl",
            "{\"question\":\"A\"}",
            &["line 1: no answer; name its field one of answer, target, final_answer"],
        ),
        ("set.jsonl", "{\"question\":\"A\",\"answer\":null}", &["line 1: no answer"]),
        ("set.jsonl", "{\"question\":\" \",\"answer\":1}", &["line 1: `question` is empty"]),
        ("set.jsonl", "{\"question\":\"A\",\"answer\":\"so ####\"}", &["line 1: the answer is empty"]),
        ("set.jsonl", "{\"prompt\":[1],\"answer\":1}", &["line 1: `prompt` is a list; it should be text"]),
        (
            "set.jsonl",
            "{\"input\":\"A\",\"target\":true}",
            &["line 1: `target` is true or false; it should be text or a number"],
        ),
        ("set.jsonl", "{\"id\":[],\"input\":\"A\",\"target\":1}", &["the id is a list"]),
        (
            "set.jsonl",
            "{\"input\":\"A\",\"target\":1,\"solution\":{\"plan\":[]}}",
            &["line 1: `solution`: missing field `solution`"],
        ),
        (
            "set.jsonl",
            "{\"input\":\"A\",\"target\":1,\"solution\":{\"plan\":[],\"solution\":\"1\"}}",
            &["no boxed answer"],
        ),
        (
            "set.jsonl",
            "{\"id\":\"a\",\"input\":\"A\",\"target\":1}\n{\"id\":\"a\",\"input\":\"B\",\"target\":1}",
            &["the id `a` occurs twice"],
        ),
    ] {
        let message = error(name, content);
        assert!(parts.iter().all(|part| message.contains(part)), "{content} gave: {message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
    let (_folder, path) = file("latin.jsonl", b"{\"question\":\"caf\xe9\",\"answer\":1}");
    assert!(load_problems(&path, None).unwrap_err().to_string().contains("valid UTF-8"));
}

#[test]
fn what_is_written_is_read_back() {
    let config = crate::families::GenerateConfig {
        seed: 3,
        families: crate::families::in_domain().into_iter().map(str::to_owned).collect(),
        split: crate::families::Split::HeldOut,
        count: 60,
        min_steps: 2,
        max_steps: 5,
        mistakes: 0.0,
    };
    let problems = crate::families::generate(&config).unwrap();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("held_out.jsonl");
    write_jsonl(&path, &problems).unwrap();
    assert_eq!(load_problems(&path, None).unwrap(), problems);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");

    let below_a_file = write_jsonl(&path.join("such.jsonl"), &problems).unwrap_err().to_string();
    assert!(below_a_file.starts_with("cannot write ") && below_a_file.contains("held_out.jsonl"), "{below_a_file}");
}

#[test]
fn a_footer_with_one_wrong_byte_is_an_error_or_a_table_and_never_a_panic() {
    let (_folder, path) = parquet_file(vec![
        ("question", Arc::new(StringArray::from(vec!["A", "B"]))),
        ("answer", Arc::new(StringArray::from(vec!["1", "2"]))),
    ]);
    let bytes = std::fs::read(&path).unwrap();
    let footer = bytes.len() - 8 - u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()) as usize;
    let mut refused = 0;
    for place in (footer..bytes.len() - 8).step_by(3) {
        for value in [0, bytes[place] ^ 1] {
            let mut damaged = bytes.clone();
            damaged[place] = value;
            std::fs::write(&path, damaged).unwrap();
            refused += usize::from(load_problems(&path, None).is_err());
        }
    }
    // The library itself panics where a part of a column would begin before the file, or divides by a length of 0.
    assert!(refused > 100, "{refused}");
}

fn loaded(name: &str, content: &str, reading: &Reading) -> Result<Loaded, TaskError> {
    let (_folder, path) = file(name, content.as_bytes());
    load_problems_as(&path, reading)
}

/// What is said of a file, without its name.
fn said(content: &str, reading: &Reading) -> Vec<String> {
    let notices = loaded("set.jsonl", content, reading).unwrap().notices;
    notices.iter().map(|notice| notice.split_once("set.jsonl: ").unwrap().1.to_owned()).collect()
}

#[test]
fn what_is_not_used_or_assumed_is_said_once() {
    let all = Reading::default();
    assert_eq!(said(r#"{"id": "a", "question": "A", "answer": "1", "family": "f", "empty": null}"#, &all), [""; 0]);
    let rows = concat!(
        r#"{"question": "A", "answer": "1 + 1\n#### 2", "choices": ["x"], "kind": "mcq", "solution": "see the book"}"#,
        "\n",
        r#"{"input": "A", "solution": "\\boxed{3}", "extra": 1, "tests": "x", "kind": "choice"}"#,
    );
    assert_eq!(
        said(rows, &all),
        [
            "not used: `choices`, `extra`; the question is asked without its choices, unless it has them in its text \
             (--dataset reads published sets)",
            "kind \"mcq\" is none of math, choice, code, countdown, route; taken as math",
            "`tests` of 1 of 2 rows has not entry_point and check; not used",
            "`solution` of 1 of 2 rows has no boxed answer; not trained on",
            "assumed: `input` is the question; the answer of 1 of 2 rows is what `solution` boxes; the answer of 1 of 2 \
             rows is what follows ####",
        ]
    );
    let two = r#"{"question": "A", "input": "B", "target": 7}"#;
    assert_eq!(said(two, &all), ["not used: `input`", "assumed: `target` is the answer"]);
    let (_folder, path) = parquet_file(vec![
        ("question", Arc::new(StringArray::from(vec!["A"]))),
        ("answer", Arc::new(StringArray::from(vec!["1"]))),
        ("picture", Arc::new(BinaryArray::from(vec![&b"x"[..]]))),
    ]);
    let notices = load_problems_as(&path, &all).unwrap().notices;
    assert!(notices.len() == 1 && notices[0].ends_with("set.parquet: not used: `picture`"), "{notices:?}");
}

#[test]
fn answers_may_be_missing_where_that_is_allowed_and_nowhere_else() {
    let rows =
        "{\"question\": \"A\"}\n{\"question\": \"B\", \"answer\": \" \"}\n{\"question\": \"C\", \"answer\": 3}\n";
    assert!(load("set.jsonl", rows).unwrap_err().to_string().contains("line 1: no answer"));
    let reading = Reading { without_answer: true, ..Reading::default() };
    let problems = loaded("set.jsonl", rows, &reading).unwrap().problems;
    assert_eq!(problems.iter().map(|problem| problem.answer.as_str()).collect::<Vec<_>>(), ["", "", "3"]);
    assert_eq!(said(rows, &reading), ["2 of 3 rows have no answer; their solutions stay unverified"]);
}

#[test]
fn columns_fill_slots_and_are_written_with_the_problem() {
    let reading = Reading { slots: vec!["tag".into(), "weight".into(), "list".into()], ..Reading::default() };
    let row = r#"{"question": "A", "answer": "1", "tag": "good", "weight": 0.5, "list": [1], "other": "x"}"#;
    let Loaded { problems, notices } = loaded("set.jsonl", row, &reading).unwrap();
    let slots: Vec<(&str, &str)> =
        problems[0].slots.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(slots, [("tag", "good"), ("weight", "0.5")]);
    assert!(notices.len() == 1 && notices[0].ends_with("not used: `other`"), "{notices:?}");
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("again.jsonl");
    write_jsonl(&path, &problems).unwrap();
    assert_eq!(load_problems(&path, None).unwrap(), problems);
}
