//! What the built-in tasks look like and what they refuse.

use super::*;
use crate::problem::Worked;
use Granularity::{Plan, Step};
use proptest::prelude::*;

fn task(format: Format, granularity: Granularity) -> Task {
    Task::built_in(format, granularity)
}

fn worked() -> Worked {
    Worked {
        plan: vec!["Plan 1: Add: A = 5 + 3".to_owned(), "Plan 2: Take away: B = A - 2".to_owned()],
        solution: "A = 5 + 3 = 8. B = 8 - 2 = 6. The final answer is \\boxed{6}.".to_owned(),
    }
}

fn solution(answer: &str) -> StepText {
    StepText::Solution { answer: answer.to_owned() }
}

#[test]
fn xml_paths_look_like_this() {
    let path = |granularity| {
        task(Format::Xml, granularity).prompt_of("Q?").unwrap()
            + &task(Format::Xml, granularity).segments(&worked()).concat()
    };
    assert_eq!(
        path(Plan),
        "<question>Q?</question><plan><step>Plan 1: Add: A = 5 + 3</step><step>Plan 2: Take away: B = A - 2</step>\
         </plan><solution>A = 5 + 3 = 8. B = 8 - 2 = 6. The final answer is \\boxed{6}.</solution>"
    );
    assert_eq!(
        path(Step),
        "<question>Q?</question><solution><step>A = 5 + 3 = 8.</step><step>B = 8 - 2 = 6.</step>\
         The final answer is \\boxed{6}.</solution>"
    );
}

#[test]
fn instruct_paths_look_like_this() {
    let end = |granularity| {
        let prompt = task(Format::Instruct, granularity).prompt_of("Q?").unwrap();
        let last = prompt.rfind("\nProblem:").unwrap();
        prompt[last..].to_owned() + &task(Format::Instruct, granularity).segments(&worked()).concat()
    };
    assert_eq!(
        end(Plan),
        "\nProblem: Q?\nPlans:\nPlan 1: Add: A = 5 + 3<endstep>\nPlan 2: Take away: B = A - 2<endstep>\n\
         Detailed Implementation:\nA = 5 + 3 = 8. B = 8 - 2 = 6. The final answer is \\boxed{6}.<endsolution>"
    );
    assert_eq!(
        end(Step),
        "\nProblem: Q?\nSolution:\nStep 1: A = 5 + 3 = 8.<endstep>\nStep 2: B = 8 - 2 = 6.<endstep>\n\
         The final answer is \\boxed{6}.<endsolution>"
    );
}

/// The shots must be well-formed themselves: a base model copies what it sees.
#[test]
fn the_shots_are_read_as_solutions() {
    for (granularity, opening) in [(Plan, "\nPlans:"), (Step, "\nSolution:")] {
        let prompt = task(Format::Instruct, granularity).prompt_of("Q?").unwrap();
        let shots: Vec<&str> = prompt.split("\nProblem: ").collect();
        assert_eq!(shots.len(), 5, "task, three shots, question");
        let answers = shots[1..4].iter().map(|shot| {
            let (_, path) = shot.split_once(opening).unwrap();
            task(Format::Instruct, granularity).read_path(path)
        });
        assert_eq!(answers.collect::<Vec<_>>(), [solution("17"), solution("26"), solution(r"\frac{11}{2}")]);
        assert!(prompt.ends_with(opening));
    }
}

#[test]
fn stops_end_steps_and_paths() {
    assert_eq!(task(Format::Xml, Plan).step_stops(), ["</step>", "</solution>", "<question>"]);
    assert_eq!(task(Format::Xml, Plan).path_stops(), ["</solution>", "<question>"]);
    assert_eq!(task(Format::Instruct, Step).step_stops(), ["<endstep>", "<endsolution>", "\nProblem:"]);
    for format in [Format::Xml, Format::Instruct] {
        for granularity in [Plan, Step] {
            for segment in task(format, granularity).segments(&worked()) {
                let stops = task(format, granularity).step_stops().to_vec();
                let first = stops.iter().filter_map(|stop| Some(segment.find(stop)? + stop.len())).min();
                assert_eq!(first, Some(segment.len()), "a segment ends at its first stop string: {segment}");
            }
        }
    }
}

#[test]
fn what_is_well_formed_is_read() {
    let xml = |granularity, text: &str| task(Format::Xml, granularity).read_step(text);
    assert_eq!(xml(Plan, "<step>Plan 1: Add 5 and 3</step>"), StepText::Plan);
    assert_eq!(xml(Plan, "\n <step> Plan 12: use the result of plan 1 </step>\n"), StepText::Plan);
    assert_eq!(xml(Plan, "</plan><solution>So \\boxed{ 6 }</solution>"), solution("6"));
    assert_eq!(
        xml(Plan, "</plan>\n<solution>\\boxed{1} no, \\boxed{\\frac{1}{2}}.</solution>"),
        solution("\\frac{1}{2}")
    );
    assert_eq!(xml(Step, "<step>5 + 3 = 8</step>"), StepText::Step);
    assert_eq!(xml(Step, "<step>So it is \\boxed{8}.</step>"), solution("8"));
    assert_eq!(xml(Step, "So it is \\boxed{8}.</solution>"), solution("8"));

    let instruct = |granularity, text: &str| task(Format::Instruct, granularity).read_step(text);
    assert_eq!(instruct(Plan, "\nPlan 1: Add 5 and 3.<endstep>"), StepText::Plan);
    assert_eq!(instruct(Plan, "\nDetailed Implementation:\nSo \\boxed{6}.<endsolution>"), solution("6"));
    assert_eq!(instruct(Step, "\nStep 1: 5 + 3 = 8<endstep>"), StepText::Step);
    assert_eq!(instruct(Step, "\nStep 2: so \\boxed{8}<endstep>"), solution("8"));
    assert_eq!(instruct(Step, "\nThe final answer is \\boxed{8}.<endsolution>"), solution("8"));
}

#[test]
fn everything_else_is_malformed() {
    for (granularity, text) in [
        (Plan, ""),
        (Plan, "<step></step>"),
        (Plan, "<step> </step>"),
        (Plan, "<step>Plan 1:</step>"),
        (Plan, "<step>Plan 1: </step>"),
        (Plan, "<step>Plan : Add</step>"),
        (Plan, "<step>Plan one: Add</step>"),
        (Plan, "<step>Add 5 and 3</step>"),
        (Plan, "<step>Plan 1: Add Plan 2: Take away</step>"),
        (Plan, "<step>Plan 1: Add</step><step>Plan 2: Take away</step>"),
        (Plan, "<step>Plan 1: Add<step>Plan 2: Take away</step>"),
        (Plan, "<step>Plan 1: Add"),
        (Plan, "Plan 1: Add</step>"),
        (Plan, "<step>Plan 1: it is \\boxed{6}</step>"),
        (Plan, "<step>Plan 1: Add</step> and"),
        (Plan, "<step>Plan 1: Add</solution>"),
        (Plan, "Plan 1: Add<endstep>"),
        (Plan, "</plan><solution>It is 6.</solution>"),
        (Plan, "</plan><solution>\\boxed{}</solution>"),
        (Plan, "</plan><solution>\\boxed{ }</solution>"),
        (Plan, "</plan><solution>\\boxed{6</solution>"),
        (Plan, "</plan><solution>\\boxed{6}"),
        (Plan, "<solution>\\boxed{6}</solution>"),
        (Plan, "</plan>\\boxed{6}</solution>"),
        (Plan, "</plan><solution><step>\\boxed{6}</step></solution>"),
        (Plan, "</plan><solution>\\boxed{6}</solution><question>"),
        (Plan, "</plan><solution>\\boxed{6}<question>"),
        (Plan, "</plan></solution>"),
        (Step, "<step></step>"),
        (Step, "<step>5 + 3 = 8"),
        (Step, "<step>\\boxed{</step>"),
        (Step, "<step>\\boxed{}</step>"),
        (Step, "<step>5<step>3</step>"),
        (Step, "So it is 8.</solution>"),
        (Step, "<step>So \\boxed{8}</step></solution>"),
        (Step, "</solution>"),
    ] {
        assert_eq!(task(Format::Xml, granularity).read_step(text), StepText::Malformed, "{granularity} {text}");
    }
    for (granularity, text) in [
        (Plan, "Plan 1:<endstep>"),
        (Plan, "<endstep>"),
        (Plan, "Add<endstep>"),
        (Plan, "Plan 1: Add\nPlan 2: Take away<endstep>"),
        (Plan, "Plan 1: Add<endstep>\nPlan 2: Take away<endstep>"),
        (Plan, "Plan 1: Add\nDetailed Implementation: 8<endstep>"),
        (Plan, "Plan 1: Add<endsolution>"),
        (Plan, "Plan 1: Add</step>"),
        (Plan, "Plan 1: Add\nProblem:"),
        (Plan, "So \\boxed{6}.<endsolution>"),
        (Plan, "Detailed Implementation: It is 6.<endsolution>"),
        (Plan, "Detailed Implementation: Plan 1: Add<endstep> \\boxed{6}<endsolution>"),
        (Plan, "Detailed Implementation: \\boxed{6}\nProblem: Q <endsolution>"),
        (Step, "5 + 3 = 8<endstep>"),
        (Step, "Step 1: 5\nStep 2: 3<endstep>"),
        (Step, "It is 8.<endsolution>"),
    ] {
        assert_eq!(task(Format::Instruct, granularity).read_step(text), StepText::Malformed, "{granularity} {text}");
    }
}

#[test]
fn a_path_is_steps_and_one_solution_at_its_end() {
    let read = |text: &str| task(Format::Xml, Plan).read_path(text);
    let end = "</plan><solution>\\boxed{6}</solution>";
    assert_eq!(read(end), solution("6"));
    assert_eq!(read(&format!("<step>Plan 1: Add</step><step>Plan 2: Add</step>{end}\n")), solution("6"));
    for text in [
        String::new(),
        "<step>Plan 1: Add</step>".to_owned(),
        format!("<step></step>{end}"),
        format!("{end}{end}"),
        format!("{end} more"),
        format!("<question>{end}"),
    ] {
        assert_eq!(read(&text), StepText::Malformed, "{text}");
    }
}

#[test]
fn solutions_of_several_lines_are_split_at_lines() {
    let worked = Worked { plan: vec![], solution: "First, 1. 5 = 5.\n\n So 5.\nIt is \\boxed{5}.\nDone.".to_owned() };
    let segments = task(Format::Xml, Step).segments(&worked);
    assert_eq!(
        segments,
        ["<step>First, 1. 5 = 5.</step>", "<step>So 5.</step>", "It is \\boxed{5}.\nDone.</solution>"]
    );
    let bare = Worked { plan: vec![], solution: "\\boxed{5}".to_owned() };
    assert_eq!(task(Format::Xml, Step).segments(&bare), ["\\boxed{5}</solution>"]);
    let none = Worked { plan: vec![], solution: String::new() };
    assert_eq!(task(Format::Xml, Step).segments(&none), [""; 0]);
}

#[test]
fn names_are_those_of_flags_and_files() {
    for format in [Format::Instruct, Format::Xml] {
        assert_eq!(format.to_string().parse::<Format>().unwrap(), format);
        assert_eq!(serde_json::to_string(&format).unwrap(), format!("\"{format}\""));
    }
    for granularity in [Plan, Step] {
        assert_eq!(granularity.to_string().parse::<Granularity>().unwrap(), granularity);
        assert_eq!(serde_json::to_string(&granularity).unwrap(), format!("\"{granularity}\""));
    }
    assert_eq!(
        "yaml".parse::<Format>().unwrap_err().to_string(),
        "format is \"yaml\", but must be one of instruct, xml"
    );
    assert!("token".parse::<Granularity>().unwrap_err().to_string().contains("\"token\""));
}

proptest! {
    /// Any text, also one of tags in any order, is read as something, and a solution always has an answer.
    #[test]
    fn reading_never_fails(parts in prop::collection::vec(prop_oneof![
        Just("<step>"), Just("</step>"), Just("<plan>"), Just("</plan>"), Just("<solution>"), Just("</solution>"),
        Just("<endstep>"), Just("<endsolution>"), Just("\\boxed{"), Just("}"), Just("Plan 1: "), Just("Step 1: "), Just("é\n"),
        Just("Detailed Implementation:"), Just("<question>"), Just("\nProblem:"), Just(" "), Just("7"),
    ], 0..12)) {
        let text = parts.concat();
        for format in [Format::Xml, Format::Instruct] {
            for granularity in [Plan, Step] {
                for read in [task(format, granularity).read_step(&text), task(format, granularity).read_path(&text)] {
                    if let StepText::Solution { answer } = read {
                        prop_assert!(!answer.is_empty() && text.contains(&answer));
                    }
                }
            }
        }
    }
}
