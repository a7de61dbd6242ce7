//! A task tried on a few problems before anything is spent: the first steps that a policy samples, and how they are read.

use crate::error::EvalError;
use crate::judge::{FormatJudge, stops};
use espalier_files::seed_from;
use espalier_search::{Candidate, Finish, Judge, Place, Policy, StepRequest, Unit, ask_all, last_stop};
use espalier_task::{Fault, Problem, StepText, Task};
use espalier_tree::{Ending, NodeId, Tree, TreeInfo};
use std::borrow::Cow;

/// What ended a sampled step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cut {
    /// This stop string.
    Stop(String),
    /// The model itself.
    EndOfText,
    /// The limit on tokens.
    Length,
}

/// One sampled step.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// Its text, with what its last token has beyond the stop string.
    pub text: String,
    /// Its tokens.
    pub token_ids: Vec<u32>,
    /// What ended it.
    pub cut: Cut,
    /// What it is read as, up to its stop string.
    pub read: Result<StepText, Fault>,
    /// How the path ends with it.
    pub ending: Ending,
}

/// One problem, asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// The prompt.
    pub prompt: String,
    /// Its tokens.
    pub prompt_ids: Vec<u32>,
    /// The steps, or why there are none.
    pub steps: Result<Vec<Tried>, String>,
}

/// Asks each problem for `k` first steps of at most `max_tokens` tokens.
///
/// # Errors
/// A policy that fails altogether. A problem that fails by itself has its reason in its trial.
pub fn try_task(
    task: &Task,
    problems: &[Problem],
    policy: &mut dyn Policy,
    (k, max_tokens): (usize, usize),
    temperature: f32,
    seed: u64,
) -> Result<Vec<Trial>, EvalError> {
    let stops = stops(task);
    let mut trials: Vec<Trial> = problems.iter().map(|problem| asked(task, problem, policy)).collect();
    let requests: Vec<StepRequest<'_>> = trials
        .iter()
        .enumerate()
        .filter(|(_, trial)| trial.steps.is_ok())
        .map(|(index, trial)| StepRequest {
            ticket: index as u64,
            tree: index as u64,
            step_ends: vec![trial.prompt_ids.len() as u32].into(),
            prefix_ids: trial.prompt_ids.clone().into(),
            k,
            max_tokens,
            unit: Unit::Step,
            stops: Cow::Borrowed(&stops),
            temperature,
            seed: seed_from(&[&seed, &"try", &problems[index].id]),
            want_value: false,
        })
        .collect();
    let judge = FormatJudge { task: task.clone() };
    ask_all(policy, requests, |index, answer| {
        let index = index as usize;
        let trial = &mut trials[index];
        trial.steps = match answer {
            Ok(answer) if answer.candidates.is_empty() => {
                Err("the prompt leaves no room in the model's context".into())
            }
            Ok(answer) => {
                let tree = Tree::new(info(&problems[index]), &trial.prompt, &trial.prompt_ids);
                let place = Place { tree: &tree, state: NodeId::ROOT };
                Ok(answer.candidates.into_iter().map(|candidate| tried(candidate, &judge, place)).collect())
            }
            Err(error) => Err(error.reason()),
        };
        Ok::<_, EvalError>(())
    })?;
    Ok(trials)
}

/// A problem with its prompt, and no step yet.
fn asked(task: &Task, problem: &Problem, policy: &dyn Policy) -> Trial {
    let unasked = |prompt, reason| Trial { prompt, prompt_ids: Vec::new(), steps: Err(reason) };
    match task.prompt(problem) {
        Err(error) => unasked(String::new(), error.to_string()),
        Ok(prompt) => match policy.tokenize(&prompt) {
            Err(error) => unasked(prompt, format!("the prompt cannot be used: {}", error.reason())),
            Ok(prompt_ids) => Trial { prompt, prompt_ids, steps: Ok(Vec::new()) },
        },
    }
}

fn tried(candidate: Candidate, judge: &FormatJudge, place: Place<'_>) -> Tried {
    let Candidate { text, token_ids, finish, .. } = candidate;
    let stops = judge.task.step_stops();
    let end = last_stop(&text, stops);
    let step = &text[..end.unwrap_or(text.len())];
    let cut = match (finish, end) {
        (Finish::Length, _) => Cut::Length,
        (Finish::Stop, Some(_)) => {
            Cut::Stop(stops.iter().find(|stop| step.ends_with(*stop)).cloned().unwrap_or_default())
        }
        (Finish::Stop, None) => Cut::EndOfText,
    };
    let ending = if cut == Cut::Length { Ending::Length } else { judge.judge(place, step).ending };
    Tried { read: judge.task.try_read(step), text, token_ids, cut, ending }
}

fn info(problem: &Problem) -> TreeInfo {
    TreeInfo {
        run_id: String::new(),
        round: 0,
        problem_id: problem.id.clone(),
        question: problem.question.clone(),
        reference_answer: problem.answer.clone(),
        tree_seed: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use espalier_search::Expansion;
    use espalier_search::fake::{FakePolicy, FakeSource};
    use std::path::Path;

    /// Says the same four things to everybody.
    #[derive(Clone, Debug)]
    struct Four;

    impl FakeSource for Four {
        fn answer(&self, request: &StepRequest<'_>) -> Expansion {
            let of = |(text, finish): (&str, Finish)| Candidate {
                text: text.to_owned(),
                token_ids: text.bytes().map(u32::from).collect(),
                logprobs: vec![-1.0; text.len()],
                finish,
            };
            let said = [
                ("3 + 4 = 7;\n", Finish::Stop),
                ("Answer: 7", Finish::Stop),
                ("and so on", Finish::Length),
                ("Answer: 8;", Finish::Stop),
            ];
            assert_eq!((request.k, request.max_tokens, request.unit), (4, 30, Unit::Step));
            Expansion { ticket: request.ticket, value: None, candidates: said.map(of).into() }
        }
    }

    #[test]
    fn each_step_says_what_ended_it_how_it_was_read_and_how_it_is_judged() {
        let text = "prompt = 'Q: {{ question }}'\nanswer = { regex = 'Answer: (.*)' }\n[step]\nend = ';'";
        let task = Task::parse("t.toml", text, None, Path::new("")).unwrap();
        let problem = |question: &str, answer: &str| Problem {
            id: question.into(),
            question: question.into(),
            answer: answer.into(),
            ..Problem::default()
        };
        let problems = [problem("3 + 4?", "7"), problem("unreadable", "7"), problem("nobody knows", "")];
        let mut policy = FakePolicy::new(Four).refusing("unreadable");
        let trials = try_task(&task, &problems, &mut policy, (4, 30), 0.7, 1).unwrap();
        assert_eq!((trials[0].prompt.as_str(), trials[0].prompt_ids.len()), ("Q: 3 + 4?", 9));
        let solution = |answer: &str| Ok(StepText::Solution { answer: answer.to_owned() });
        let of = |trial: &Trial| -> Vec<_> {
            let steps = trial.steps.as_ref().unwrap().iter();
            steps.map(|step| (step.cut.clone(), step.read.clone(), step.ending)).collect()
        };
        let stop = || Cut::Stop(";".into());
        let wrong_or = |ending| if ending == Ending::Unverified { ending } else { Ending::Wrong };
        for (trial, right) in [(&trials[0], Ending::Correct), (&trials[2], Ending::Unverified)] {
            assert_eq!(
                of(trial),
                [
                    (stop(), Ok(StepText::Step), Ending::None),
                    (Cut::EndOfText, solution("7"), right),
                    (Cut::Length, Err(Fault::NoAnswer("match of Answer: (.*)".into())), Ending::Length),
                    (stop(), solution("8"), wrong_or(right)),
                ]
            );
        }
        assert!(trials[1].steps.as_ref().unwrap_err().starts_with("the prompt cannot be used"), "{:?}", trials[1]);
    }
}
