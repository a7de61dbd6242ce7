//! Tasks of one's own: what their files may say, what is refused and how, and what is read by them.

#![allow(clippy::disallowed_methods, reason = "tests make files")]

use espalier_task::{Fault, Granularity, Problem, Prompting, StepText, Task, TaskError, Turn, Worked};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Steps are paragraphs, the answer is a line, and the model ends the solution itself.
const PARAGRAPHS: &str = r#"
about = "Paragraphs"
chat = true
system = "Think in steps.{% if slots.tag %} Quality: {{ slots.tag }}.{% endif %}"
user = "{{ question }}\n\nAnswer on a line 'Answer: ...'."
assistant = "Let us see.\n\n"
answer = { regex = '(?m)^Answer: *(.+)$' }
judges = ["answer", "equations"]

[slots]
tag = ""
weights = 0.5

[step]
end = "\n\n"
max_tokens = 80
"#;

const COUNTS: &str = r#"
prompt = "{% for shot in shots %}{{ shot.question }}={{ shot.path }}|{% endfor %}{{ question }}="
answer = "last_number"
stop = ["|"]
shots = { from = "found", count = 2 }
[step]
begin = "("
end = ")"
[solution]
begin = "["
end = "]"
"#;

fn task(text: &str) -> Task {
    Task::parse("mine.toml", text, None, Path::new("")).unwrap()
}

fn refused(text: &str) -> String {
    refused_as(text, None)
}

fn refused_as(text: &str, granularity: Option<Granularity>) -> String {
    let message = Task::parse("tasks/mine.toml", text, granularity, Path::new("")).unwrap_err().to_string();
    assert_eq!(message.lines().count(), 1, "{message}");
    message
}

fn solution(answer: &str) -> StepText {
    StepText::Solution { answer: answer.to_owned() }
}

/// A file with these lines before what every file needs.
fn with(lines: &str) -> String {
    format!("{lines}\nprompt = '{{{{ question }}}}'\n[step]\nend = ';'\n")
}

#[test]
fn paragraphs_end_in_empty_lines_and_the_solution_where_the_model_ends_it() {
    let task = task(PARAGRAPHS);
    assert_eq!((task.name(), task.about(), task.granularity()), ("mine", "Paragraphs", Granularity::Step));
    assert_eq!(task.judges(), ["answer", "equations"]);
    assert_eq!((task.step_stops(), task.path_stops()), (&["\n\n".to_owned()][..], &[][..]));
    assert_eq!(task.max_step_tokens(), Some(80));
    assert_eq!(task.read_step("First, 3 + 4 = 7.\n\n"), StepText::Step);
    assert_eq!(task.read_step("\nFirst, 3 + 4 = 7.\n\n"), StepText::Step);
    assert_eq!(task.read_step("So it is.\nAnswer: 7 apples "), solution("7 apples"));
    // An answer ends the path also where a paragraph ends.
    assert_eq!(task.read_step("Answer: 7\n\n"), solution("7"));
    assert_eq!(task.read_step("Answer: 6\nNo.\nAnswer: 7"), solution("7"), "the last match counts");
    assert_eq!(task.try_read("\n\n"), Err(Fault::Empty));
    assert_eq!(task.try_read("So it is 7."), Err(Fault::NoAnswer("match of (?m)^Answer: *(.+)$".into())));
    assert_eq!(task.read_path("3 + 4 = 7.\n\nAll.\n\nAnswer: 7"), solution("7"));
    assert_eq!(task.read_path("3 + 4 = 7.\n\n"), StepText::Malformed);
    assert_eq!(task.answer_of("no\n\n\n\nAnswer: 7").as_deref(), Some("7"), "an answer without its path");
    let worked = Worked { plan: Vec::new(), solution: "3 + 4 = 7.\nAnswer: 7\nDone.".into() };
    assert_eq!(task.segments(&worked), ["3 + 4 = 7.\n\n", "Answer: 7\nDone."]);
}

#[test]
fn a_conversation_is_in_the_words_of_the_model_that_is_asked() {
    let task = task(PARAGRAPHS);
    assert!(task.is_chat());
    let error = task.prompt_of("?").unwrap_err().to_string();
    assert_eq!(error, "the task mine: chat needs the chat template of a policy");
    let chat = |turns: &[Turn]| -> Result<String, String> {
        let turns: Vec<String> = turns.iter().map(|turn| format!("<{}>{}", turn.role, turn.text)).collect();
        if turns.concat().contains("bad") { Err("no such role".into()) } else { Ok(turns.concat() + "<bot>") }
    };
    let task = task.speaking(Arc::new(chat));
    let prompt = "<system>Think in steps.<user>3 + 4?\n\nAnswer on a line 'Answer: ...'.<bot>Let us see.\n\n";
    assert_eq!(task.prompt_of("3 + 4?").unwrap(), prompt);
    assert_eq!(task.prompt_of("bad").unwrap_err().to_string(), "the task mine: no such role");

    // A slot is filled by the setting, and by the problem's own column before that.
    let good = task.with_slots(&BTreeMap::from([("tag".to_owned(), "good".to_owned())])).unwrap();
    assert!(good.prompt_of("3 + 4?").unwrap().starts_with("<system>Think in steps. Quality: good."));
    let problem = Problem {
        question: "3 + 4?".into(),
        slots: BTreeMap::from([("tag".to_owned(), "best".to_owned()), ("other".to_owned(), "x".to_owned())]),
        ..Problem::default()
    };
    assert!(good.prompt(&problem).unwrap().starts_with("<system>Think in steps. Quality: best."));
    assert_ne!(good.text(), task.text(), "another default is another task");
    let error = task.with_slots(&BTreeMap::from([("tga".to_owned(), String::new())])).unwrap_err().to_string();
    assert_eq!(error, "the task mine: there is no slot \"tga\"; it has tag, weights");
}

#[test]
fn what_a_policy_stores_is_the_same_task_again() {
    let stored = task(PARAGRAPHS).prompting();
    let json = serde_json::to_string(&stored).unwrap();
    let read: Prompting = serde_json::from_str(&json).unwrap();
    assert_eq!(read, stored);
    let again = read.task(Path::new("espalier.json")).unwrap();
    assert_eq!((again.text(), again.name()), (task(PARAGRAPHS).text(), "mine"));
    assert_eq!(again.read_step("Answer: 7"), solution("7"));
    // As it was before tasks were files.
    let old: Prompting = serde_json::from_str(r#"{"format":"xml","granularity":"step"}"#).unwrap();
    let task = old.task(Path::new("")).unwrap();
    assert_eq!(task.prompt_of("?").unwrap(), "<question>?</question><solution>");
    assert_eq!(serde_json::to_string(&task.prompting()).unwrap(), r#"{"format":"xml","granularity":"step"}"#);
}

#[test]
fn found_paths_are_shown_before_all_questions_but_their_own() {
    let path = |question: &str, steps: &[&str]| (question.to_owned(), steps.iter().map(ToString::to_string).collect());
    let paths = [
        path("1+1", &["(one)", "[2]"]),
        path("2+2", &["[4"]),
        path("1+1", &["[2]"]),
        path("3+3", &["[6]"]),
        path("4+4", &["(four)", "(more)", "[8]"]),
        path("5+5", &["[10]"]),
    ];
    let bare = task(COUNTS);
    assert_eq!(bare.found_shots(), 2);
    let task = bare.with_found(paths.clone()).unwrap();
    assert_eq!(task.prompt_of("9+9").unwrap(), "1+1=(one)[2]|3+3=[6]|9+9=");
    assert_eq!(task.prompt_of("1+1").unwrap(), "3+3=[6]|4+4=(four)(more)[8]|1+1=");
    assert_eq!(task.shots().len(), 3);
    assert_eq!(task.text(), bare.text());
    let error = bare.with_found(paths[..4].to_vec()).unwrap_err().to_string();
    assert!(error.contains("correct paths of 3 problems are needed, but the trees have 2"), "{error}");
}

#[test]
fn shots_come_from_files_beside_the_task() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    file(
        "worked.jsonl",
        "{\"question\": \"3 + 4?\", \"answer\": \"3 + 4 = <<3+4=7>>7\\n#### 7\"}\n\
         {\"question\": \"1?\", \"solution\": {\"plan\": [], \"solution\": \"#### 1\"}}\n",
    );
    file(
        "gsm.toml",
        "prompt = '{% for shot in shots %}Q: {{ shot.question }}{{ shot.path }}{% endfor %}Q: {{ question }}'\n\
         answer = { regex = '#### (.*)' }\nshots = { from = \"worked.jsonl\" }\n[step]\nbegin = \"\\n\"\nend = \";\"\n\
         [solution]\nbegin = \"\\n\"\nend = \"\\n\\n\"",
    );
    let task = Task::load(&folder.path().join("gsm.toml"), None).unwrap();
    let prompt = "Q: 3 + 4?\n3 + 4 = <<3+4=7>>7;\n#### 7\n\nQ: 1?\n#### 1\n\nQ: ?";
    assert_eq!((task.prompt_of("?").unwrap().as_str(), task.name()), (prompt, "gsm"));
    // What is stored names no other file.
    let again = task.prompting().task(Path::new("")).unwrap();
    assert_eq!(again.prompt_of("?").unwrap(), prompt);

    for (name, shots, words) in [
        ("missing.toml", "{ from = 'nowhere.jsonl' }", "nowhere.jsonl: cannot read"),
        (
            "three.toml",
            "{ from = 'worked.jsonl', count = 3 }",
            "shots.count is 3 of worked.jsonl, but must be at most 2",
        ),
    ] {
        file(name, &with(&format!("shots = {shots}")));
        let error = Task::load(&folder.path().join(name), None).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let error = Task::load(&folder.path().join("none.toml"), None).unwrap_err();
    assert!(matches!(error, TaskError::Read { .. }), "{error}");
}

#[test]
fn what_a_file_has_wrong_is_named_with_its_key_and_value() {
    for (text, wanted) in [
        ("prompt", "not valid TOML in line 1: "),
        ("prompt = '{{ question }}'", "step.end is left out, but must be the text that a step ends with"),
        ("[step]\nend = ';'", "prompt is left out, but must be a template with {{ question }}"),
        ("prompt = 'Hello'\n[step]\nend = ';'", "prompt is without {{ question }}"),
        ("prompt = '{{ question }'\n[step]\nend = ';'", "prompt is no template, but must be one (syntax error"),
        (
            "prompt = '{{ question }}{{ qustion }}'\n[step]\nend = ';'",
            "a template that asks for qustion, but must be one",
        ),
        ("prompt = '{{ question }}{{ slots.a }}'\n[step]\nend = ';'", "a template that asks for slots.a"),
        (&with("ende = 1"), "ende is 1, but must be left out: the keys here are name, about, shots,"),
        (&with("stop = 'x'"), "stop is \"x\", but must be a list of texts, none of them empty"),
        (&with("stop = ['']"), "stop is [\"\"], but must be a list of texts"),
        (
            &with("answer = 'box'"),
            "answer is \"box\", but must be one of boxed, choice, last_number, whole, or { regex",
        ),
        (
            &with("answer = { regex = 'a' }"),
            "answer.regex is \"a\" with 0 groups, but must be an expression with one group",
        ),
        (&with("answer = { regex = '(' }"), "answer.regex is (, but must be a regular expression ("),
        (&with("answer = { regex = '(a{1000}{1000}{1000})' }"), "must be a regular expression ("),
        (&with("system = 'x'"), "system is \"x\", but must be left out, or chat = true"),
        (&with("chat = true"), "prompt is \"{{ question }}\", but must be left out where chat = true"),
        (&with("chat = 'yes'"), "chat is \"yes\", but must be true or false"),
        ("chat = true\nuser = 'Hello'\n[step]\nend = ';'", "user is without {{ question }}"),
        (&with("shots = 3"), "shots is 3, but must be a list of worked problems, or { from ="),
        (&with("shots = { from = 'found' }"), "but must be a list of worked problems, or { from ="),
        (&with("shots = { from = 'found', count = 0 }"), "but must be a list of worked problems, or { from ="),
        (&with("shots = [{ solution = 'x' }]"), "shots[0].question is left out, but must be a text"),
        (&with("shots = [{ question = 'x', solution = 'y' }]"), "shots[0] would not be read as it should be"),
        (&with("slots = { a = [1] }"), "slots.a is [1], but must be a text: the slot's default"),
        (&with("name = 'xml'"), "name is \"xml\", but that is a built-in task's"),
        (&with("variants = { plans = {} }"), "variants is \"plans\", but must be one of plan, step"),
        (&(with("") + "kind = 'thought'"), "step.kind is \"thought\", but must be one of plan, step"),
        (&(with("") + "heading = 'Step:'"), "step.heading is \"Step:\", but must be a text with one {n}"),
        (&(with("") + "max_tokens = 0"), "step.max_tokens is 0, but must be a whole number from 1 up"),
        (
            &(with("") + "begin = { regex = 1 }"),
            "step.begin is regex = 1, but must be a text, or { text = \"..\", regex",
        ),
        (&(with("") + "begin = { regex = '[' }"), "step.begin is [, but must be a regular expression ("),
        (
            &(with("") + "[solution]\nheading = 'x'"),
            "solution.heading is \"x\", but must be left out: the keys here are",
        ),
        ("prompt = '{{ question }}'\n[variants.plan]\nstep = 1", "step is 1, but must be a table"),
    ] {
        let message = refused(text);
        assert!(message.contains(wanted), "{text}\ngave: {message}\nwanted: {wanted}");
        assert!(message.starts_with("the task tasks/mine.toml: "), "{message}");
    }
}

#[test]
fn variants_lie_over_the_file_and_are_named_by_the_granularity() {
    let file = "prompt = '{{ question }}'\nanswer = 'whole'\n[step]\nend = ';'\n[variants.plan.step]\nkind = 'plan'\n";
    let both = format!("{file}[variants.step]\nprompt = 'S {{{{ question }}}}'\n");
    let of = |text: &str, granularity| Task::parse("mine.toml", text, granularity, Path::new(""));
    let plan = of(&both, None).unwrap();
    assert_eq!((plan.granularity(), plan.prompt_of("?").unwrap().as_str()), (Granularity::Plan, "?"));
    let step = of(&both, Some(Granularity::Step)).unwrap();
    assert_eq!((step.granularity(), step.prompt_of("?").unwrap().as_str()), (Granularity::Step, "S ?"));
    assert_eq!(step.prompting().task(Path::new("")).unwrap().prompt_of("?").unwrap(), "S ?");
    let message = refused_as(file, Some(Granularity::Step));
    assert!(message.contains("granularity is \"step\", but must be one of the task's variants: plan"), "{message}");
    let message = refused_as(&with(""), Some(Granularity::Plan));
    assert!(message.contains("granularity is \"plan\", but must be left out: the task has no variants"), "{message}");
}

#[test]
fn prompts_that_loop_or_grow_are_errors() {
    let greedy = [
        "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}{{ question }}",
        "{{ question * 1000000000 }}",
    ];
    for prompt in greedy {
        let task = task(&format!("prompt = '{prompt}'\n[step]\nend = ';'"));
        let error = task.prompt_of("?").unwrap_err().to_string();
        assert!(error.starts_with("the task mine: prompt: it takes more than "), "{error}");
    }
}

#[test]
fn answers_stand_where_the_task_says() {
    let read = |answer: &str, text: &str| {
        let file =
            format!("prompt = '{{{{ question }}}}'\nanswer = {answer}\n[step]\nend = ';'\n[solution]\nend = '!'");
        task(&file).read_step(text)
    };
    assert_eq!(read("'last_number'", "3 + 4 = 7."), StepText::Malformed, "nothing ends it");
    assert_eq!(read("'last_number'", "3 + 4 = 7.!"), solution("7"));
    assert_eq!(read("'last_number'", "3 + 4 = 7;"), StepText::Step, "a number marks no answer");
    assert_eq!(read("'choice'", "It must be (C).!"), solution("C"));
    assert_eq!(read("'whole'", " let x = 7 !"), solution("let x = 7"));
    assert_eq!(read("'whole'", " !"), StepText::Malformed);
    assert_eq!(read("{ regex = 'is (\\d+)' }", "it is 7;"), solution("7"));
    assert_eq!(read("'boxed'", "\\boxed{7};"), solution("7"));
}
