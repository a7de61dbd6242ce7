//! `mcts-gen task try`: the prompt with its tokens, four steps of each problem, and what is wrong with them.

use super::config_args::{ConfigArgs, Keys};
use super::flag::{Group, flag, group};
use super::keys::{COMMON, RUNTIME, SAMPLING};
use super::policy_flags::PolicyFlags;
use super::problems::ProblemFlags;
use crate::exit::{Outcome, print_result};
use crate::shown::shown;
use anyhow::Result;
use clap::Args;
use espalier_eval::{Cut, Diagnosis, Trial, Tried, try_task};
use espalier_rounds::stage::search::settings;
use espalier_rounds::stage::tasks::asked;
use espalier_task::{StepText, Task};
use espalier_tokenizer::Tokenizer;
use std::fmt::Write;

/// Steps sampled of each problem.
const STEPS: usize = 4;
/// Problems where no limit is given.
const PROBLEMS: usize = 3;
/// What often follows a step's end, for a look at tokens that go beyond it.
const FOLLOWING: [&str; 3] = ["<", "\n", " "];

/// Flags of `mcts-gen task try`.
#[derive(Args)]
pub struct TryArgs {
    #[command(flatten)]
    problems: ProblemFlags,
    #[command(flatten)]
    policy: PolicyFlags,
    #[command(flatten)]
    config: ConfigArgs<TryArgs>,
}

impl Keys for TryArgs {
    const FLAGS: &'static [Group] =
        &[COMMON, RUNTIME, group("search", &[flag("temperature"), flag("max_step_tokens")]), SAMPLING];
}

/// Runs the command. Without one well-formed step the exit code is 1.
pub fn run(args: &TryArgs) -> Result<Outcome> {
    let config = args.config.resolve()?;
    let source = args.policy.source()?;
    let task = source.task(&config)?;
    let problems = ProblemFlags { limit: Some(args.problems.limit.unwrap_or(PROBLEMS)), ..args.problems.clone() };
    let problems = problems.load_for_search(config.seed, &task)?;
    let tokenizer = source.tokenizer()?;
    let mut opened = source.open(&config, crate::session::print_notice)?;
    let mut policy = asked(opened.policy()?, &source, &task)?;
    let max_tokens = settings(&config, &task, false).max_step_tokens;
    let (temperature, seed) = (config.search.temperature, config.seed);
    let trials = try_task(&task, &problems, policy.as_mut(), (STEPS, max_tokens), temperature, seed)?;
    let mut page = format!("task {}, steps of the kind {}: {}\n", task.name(), task.granularity(), shown(task.about()));
    for (at, (trial, problem)) in trials.iter().zip(&problems).enumerate() {
        let reference = if problem.answer.is_empty() { "no answer" } else { &problem.answer };
        // Writing to a String cannot fail.
        let _ = writeln!(page, "\nproblem {} ({})", shown(&problem.id), shown(reference));
        describe(&mut page, trial, &tokenizer, at == 0);
    }
    let remarks = remarks(&task, &trials, &tokenizer, max_tokens);
    for remark in &remarks {
        let _ = writeln!(page, "\n{}", shown(remark));
    }
    print_result(format_args!("{page}"));
    let is_read = steps(&trials).any(is_well_formed);
    let failed = trials.iter().filter(|trial| trial.steps.is_err()).count();
    Ok(Outcome::from_failed(failed + usize::from(!is_read)))
}

fn steps(trials: &[Trial]) -> impl Iterator<Item = &Tried> {
    trials.iter().flat_map(|trial| trial.steps.iter().flatten())
}

fn is_well_formed(step: &Tried) -> bool {
    step.cut != Cut::Length && step.read.is_ok()
}

/// The prompt, whole for the first problem, and the steps.
fn describe(page: &mut String, trial: &Trial, tokenizer: &Tokenizer, is_whole: bool) {
    let _ = writeln!(page, "  prompt, {} tokens", trial.prompt_ids.len());
    if is_whole {
        for line in trial.prompt.split_inclusive('\n') {
            let _ = writeln!(page, "  | {}", shown(line));
        }
        let _ = writeln!(page, "  tokens {}", pieces(&trial.prompt_ids, tokenizer));
    }
    let steps = match &trial.steps {
        Ok(steps) => steps,
        Err(reason) => {
            let _ = writeln!(page, "  no step: {}", shown(reason));
            return;
        }
    };
    for (number, step) in steps.iter().enumerate() {
        let cut = match &step.cut {
            Cut::Stop(stop) => format!("ended by {stop:?}"),
            Cut::EndOfText => "ended by the model itself".to_owned(),
            Cut::Length => "cut by the limit on tokens".to_owned(),
        };
        let read = match (&step.cut, &step.read) {
            (Cut::Length, _) => "its end is missing".to_owned(),
            (_, Ok(StepText::Plan)) => "read as a step of a plan".to_owned(),
            (_, Ok(StepText::Step)) => "read as a step".to_owned(),
            (_, Ok(StepText::Solution { answer })) => format!("read as a solution with the answer {answer:?}"),
            (_, Ok(StepText::Malformed)) => "malformed".to_owned(),
            (_, Err(fault)) => format!("malformed: {fault}"),
        };
        let judged = if step.ending.has_reward() || matches!(step.read, Ok(StepText::Solution { .. })) {
            format!("; judged {}", step.ending)
        } else {
            String::new()
        };
        let tokens = step.token_ids.len();
        let _ = writeln!(page, "  step {}: {tokens} tokens, {cut}; {}{judged}", number + 1, shown(&read));
        let _ = writeln!(page, "  | {}", shown(&step.text));
    }
}

/// Ids with what each says.
fn pieces(ids: &[u32], tokenizer: &Tokenizer) -> String {
    let piece = |&id: &u32| format!("{id} {:?}", tokenizer.decode(&[id]));
    shown(&ids.iter().map(piece).collect::<Vec<_>>().join(", ")).into_owned()
}

/// What a person should know of the task with this policy.
fn remarks(task: &Task, trials: &[Trial], tokenizer: &Tokenizer, max_tokens: usize) -> Vec<String> {
    let mut remarks = Vec::new();
    let ends_blank = |trial: &Trial| trial.prompt.ends_with(char::is_whitespace);
    if !task.is_chat() && trials.iter().any(ends_blank) {
        remarks.push(
            "the prompt ends in white space, which most tokenizers put into the next word's token: the model sees what it was \
             not trained on; let step.begin have it instead"
                .to_owned(),
        );
    }
    remarks.extend(task.step_stops().iter().filter_map(|stop| split(stop, tokenizer)));
    let mut diagnosis = Diagnosis::default();
    let (mut read, mut all, mut solutions) = (0, 0, 0);
    for step in steps(trials) {
        all += 1;
        read += usize::from(is_well_formed(step));
        solutions += usize::from(is_well_formed(step) && matches!(step.read, Ok(StepText::Solution { .. })));
        if !is_well_formed(step) {
            diagnosis.add(step.ending, &step.text, task);
        }
    }
    remarks.push(format!("{read} of {all} steps are well-formed"));
    if 2 * read < all {
        remarks.extend(diagnosis.advice(task, max_tokens));
    } else if solutions == read {
        remarks.push(
            "every first step is a whole solution: there is nothing to search between; let the prompt ask for steps that \
             step.end ends"
                .to_owned(),
        );
    }
    remarks
}

/// What is strange about a stop string's tokens.
fn split(stop: &str, tokenizer: &Tokenizer) -> Option<String> {
    let ids = match tokenizer.encode(stop) {
        Ok(ids) => ids,
        Err(error) => return Some(format!("the stop string {stop:?} has no tokens: {error}")),
    };
    let spelled = tokenizer.decode(&ids);
    if !spelled.trim_start().ends_with(stop.trim_start()) {
        return Some(format!(
            "the tokenizer reads the stop string {stop:?} as {spelled:?}, so no text may ever end in it"
        ));
    }
    let beyond = |next: &str| tokenizer.encode(&format!("{stop}{next}")).is_ok_and(|more| !more.starts_with(&ids));
    let next = FOLLOWING.into_iter().find(|next| beyond(next))?;
    let joined = tokenizer.encode(&format!("{stop}{next}")).unwrap_or_default();
    Some(format!(
        "the stop string {stop:?} is {} and with {next:?} behind it {}: a step may end inside of a token, whose rest the next \
         step begins with",
        pieces(&ids, tokenizer),
        pieces(&joined, tokenizer)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_strings_that_are_one_token_are_no_matter_and_others_are_said() {
        let tokenizer = Tokenizer::train_bpe(["a</step>b"; 3], 300, &["</step>", "></", "</x", "><"]).unwrap();
        assert_eq!(split("</step>", &tokenizer), None);
        let said = split("</x>", &tokenizer).unwrap();
        assert!(said.contains("a step may end inside of a token") && said.contains("\"><\""), "{said}");
    }
}
