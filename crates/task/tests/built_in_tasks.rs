//! The built-in tasks against what the formats said that they replaced: prompts, stops, worked solutions, readings.

use espalier_task::{StepText, Task, Worked};
use rand::SeedableRng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Readings; the first are written out, and all are in the hash.
const READ: usize = 60_000;

/// Of the parts, from here on whole steps.
const WHOLE: usize = 32;
const PARTS: &[&str] = &[
    "<step>",
    "</step>",
    "<plan>",
    "</plan>",
    "<solution>",
    "</solution>",
    "<question>",
    "</question>",
    "<endstep>",
    "<endsolution>",
    "\nProblem:",
    "Problem:",
    "Detailed Implementation:",
    "\nDetailed Implementation:\n",
    "\\boxed{",
    "\\boxed{7}",
    "\\boxed{ }",
    "\\boxed 7",
    "\\boxed{1} and \\boxed{2}",
    "}",
    "Plan 1: ",
    "Plan 12:",
    "Plan: ",
    "Plan  1: ",
    "Step 1: ",
    "Step 2:",
    "Add 5 and 3.",
    "é",
    "\n",
    " ",
    "\u{a0}",
    "7",
    "<step>Plan 1: Add 5 and 3</step>",
    "<step>5 + 3 = 8</step>",
    "</plan><solution>So \\boxed{8}.</solution>",
    "</plan>\n <solution>So \\boxed{8}.</solution>",
    "So it is \\boxed{\\frac{1}{2}}.</solution>",
    "\nPlan 1: Add 5 and 3.<endstep>",
    "\nStep 1: 5 + 3 = 8.<endstep>",
    "\nDetailed Implementation:\nSo \\boxed{8}.<endsolution>",
    "\nThe final answer is \\boxed{8}.<endsolution>",
];

fn texts() -> impl Iterator<Item = String> {
    let mut random = ChaCha8Rng::seed_from_u64(16);
    (0..READ).map(move |at| {
        let parts = if at % 3 == 0 { PARTS } else { &PARTS[WHOLE..] };
        (0..at % 5).map(|_| *parts.choose(&mut random).unwrap()).collect()
    })
}

fn questions() -> [String; 5] {
    [
        "?".into(),
        "What is 3 + 4?".into(),
        "Two\nlines, {{ braces }}, {% tags %}, <html> & \"quotes\"".into(),
        " spaces around ".into(),
        String::new(),
    ]
}

fn worked() -> Vec<Worked> {
    let of = |plan: &[&str], solution: &str| Worked {
        plan: plan.iter().map(|&step| step.to_owned()).collect(),
        solution: solution.to_owned(),
    };
    vec![
        of(
            &["Plan 1: Add: A = 5 + 3", "Plan 2: Take away: B = A - 2"],
            "A = 5 + 3 = 8. B = 8 - 2 = 6. It is \\boxed{6}.",
        ),
        of(&[], "First, 1. 5 = 5.\n\n So 5.\nIt is \\boxed{5}.\nDone."),
        of(&["no heading", " Plan 3: <b> & "], "\\boxed{5}"),
        of(&["Plan 1: a"], ""),
        of(&[], "  One line. Two.  \\boxed{1} and \\boxed{2}. Three.  "),
        of(&[], "Step 1: a heading already.\nStep 2: so \\boxed{3}."),
        of(&[], "no box. at all. "),
        of(&[], "no box\nat all\n"),
    ]
}

fn written(text: &StepText) -> String {
    match text {
        StepText::Plan => "plan".into(),
        StepText::Step => "step".into(),
        StepText::Malformed => "malformed".into(),
        StepText::Solution { answer } => format!("solution {answer}"),
    }
}

/// Made by the program before tasks were files.
const SAID: &str = include_str!("built_in_tasks.json");

#[test]
fn the_built_in_tasks_are_to_the_byte_what_the_formats_were() {
    let said: Vec<Value> = serde_json::from_str(SAID).unwrap();
    assert_eq!(said.len(), 4);
    for said in said {
        let task = Task::built_in(
            said["format"].as_str().unwrap().parse().unwrap(),
            said["granularity"].as_str().unwrap().parse().unwrap(),
        );
        let prompts = questions().map(|question| task.prompt_of(&question).unwrap());
        assert_eq!(json!(prompts), said["prompts"]);
        assert_eq!(json!(task.step_stops()), said["step_stops"]);
        assert_eq!(json!(task.path_stops()), said["path_stops"]);
        // Those of both were one list.
        assert_eq!(json!(task.step_stops()), said["ends"]);
        assert_eq!(json!(task.tags()), said["tags"]);
        let segments: Vec<_> = worked().iter().map(|worked| task.segments(worked)).collect();
        assert_eq!(json!(segments), said["segments"]);
        let mut hash = Sha256::new();
        for (at, text) in texts().enumerate() {
            let (step, path) = (written(&task.read_step(&text)), written(&task.read_path(&text)));
            hash.update(format!("{step}\0{path}\0"));
            if let Some(shown) = said["readings"].get(at) {
                assert_eq!(json!([text, step, path]), *shown);
            }
        }
        assert_eq!(hex::encode(hash.finalize()), said["all_readings"], "{} {}", said["format"], said["granularity"]);
    }
}
