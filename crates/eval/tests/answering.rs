//! Problems answered by a policy without a model, from prompts to scores.

use espalier_eval::{Answered, Answering, EvalConfig, GroupScore, Method, Sample, grade};
use espalier_search::SearchConfig;
use espalier_search::fake::{FakePolicy, FakeTexts};
use espalier_task::{Format, Grader, Granularity, Problem, Task};

fn problem(id: usize, question: &str, answer: &str) -> Problem {
    Problem { id: id.to_string(), question: question.to_owned(), answer: answer.to_owned(), ..Problem::default() }
}

/// The answers of an invented policy, whose solutions say 7 or something else.
fn answered(problems: &[Problem], todo: &[usize], method: Method, seed: u64) -> Vec<Option<Answered>> {
    let eval = EvalConfig { method, samples: 8, ..EvalConfig::default() };
    let problems: Vec<&Problem> = problems.iter().collect();
    let answering = Answering {
        problems: &problems,
        todo,
        task: &Task::built_in(Format::Xml, Granularity::Plan),
        eval: &eval,
        search: SearchConfig { simulations: 12, ..SearchConfig::default() },
        in_flight: 2,
        run_id: "test",
        seed,
    };
    let mut found = vec![None; problems.len()];
    let mut policy = FakePolicy::new(FakeTexts::new(3)).shuffled(5, 3).refusing("unreadable");
    answering
        .run(&mut policy, &mut |index, answered| {
            assert!(found[index].replace(answered).is_none(), "problem {index} was answered twice");
            Ok(())
        })
        .unwrap();
    found
}

#[test]
fn each_problem_that_is_to_be_answered_is_answered_once() {
    let problems =
        [problem(0, "a?", "7"), problem(1, "unreadable?", "7"), problem(2, "c?", "7"), problem(3, "d?", "7")];
    for (method, most) in [(Method::Greedy, 1), (Method::Sample, 8), (Method::Beam, 1000), (Method::Mcts, 1000)] {
        let found = answered(&problems, &[0, 1, 3], method, 0);
        assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [true, true, false, true], "{method:?}");
        for (index, answered) in found.into_iter().enumerate().filter_map(|(index, found)| Some((index, found?))) {
            assert!(answered.texts.len() <= most);
            let reason = answered.skipped.unwrap_or_default();
            assert_eq!(reason.contains("the prompt cannot be used"), index == 1, "{method:?}: {reason}");
        }
    }
}

#[test]
fn answers_depend_on_the_seed_and_never_on_the_reference() {
    let of = |answer: &str, seed| -> Vec<Option<Answered>> {
        let problems: Vec<Problem> = (0..6).map(|id| problem(id, &format!("{id}?"), answer)).collect();
        [Method::Sample, Method::Beam, Method::Mcts]
            .into_iter()
            .flat_map(|method| answered(&problems, &[0, 1, 2, 3, 4, 5], method, seed))
            .collect()
    };
    assert_eq!(of("7", 0), of("something else", 0));
    assert_ne!(of("7", 0), of("7", 1));
}

#[test]
fn the_answer_with_the_most_votes_is_the_policy_s() {
    let problem = problem(0, "What is 3 + 4?", "7");
    let grader = Grader::new([&problem], true).unwrap();
    let text = |answer: &str| espalier_eval::Text {
        text: format!("so \\boxed{{{answer}}}"),
        tokens: 2,
        logprob_nats: -1.0,
        token_ids: vec![1, 2],
        weight: 1.0,
    };
    let texts = ["8", "7", "9", "7.0"].map(text).to_vec();
    let samples = grade(&grader, &problem, &Answered { texts, skipped: None }).unwrap();
    let seen: Vec<(bool, bool)> = samples.iter().map(|sample: &Sample| (sample.correct, sample.chosen)).collect();
    assert_eq!(seen, [(false, false), (true, true), (false, false), (true, false)]);
    let score = GroupScore::new("all", &[problem], &[samples], Method::Sample, 0);
    // Two of four are right: pass@1 is a half; of the first one, two and four samples the vote is wrong, wrong, right.
    assert!((score.pass_at[&1].mean - 0.5).abs() < 1e-12);
    assert_eq!([1, 2, 4].map(|k| score.majority_at[&k].correct), [0, 0, 1]);
}
