//! `mcts-gen solve`: one question, one tree, and the steps of the answer that its solutions vote for.

use super::config_args::{ConfigArgs, Keys};
use super::flag::Group;
use super::keys::{COMMON, RUNTIME_OF_SEARCH, SAMPLING, SEARCH};
use super::policy_flags::PolicyFlags;
use crate::exit::{Outcome, print_result};
use crate::shown::{say, shown};
use anyhow::{Result, anyhow, bail};
use clap::Args;
use espalier_eval::{Diagnosis, Solving, best_solution};
use espalier_files::seed_from;
use espalier_rounds::stage::search::settings;
use espalier_rounds::stage::tasks::asked;
use espalier_rounds::stage::values::{Searched, Values};
use espalier_tree::{Ending, NodeId, Tree};

/// Flags of `mcts-gen solve`.
#[derive(Args)]
pub struct SolveArgs {
    /// The question
    #[arg(value_name = "QUESTION")]
    question: String,
    #[command(flatten)]
    policy: PolicyFlags,
    #[command(flatten)]
    config: ConfigArgs<SolveArgs>,
}

impl Keys for SolveArgs {
    const FLAGS: &'static [Group] = &[COMMON, RUNTIME_OF_SEARCH, SEARCH, SAMPLING];
}

/// Runs the command. Without a solution the exit code is 1.
pub fn run(args: &SolveArgs) -> Result<Outcome> {
    let config = args.config.resolve()?;
    let question = args.question.trim();
    if question.is_empty() {
        bail!("the question is empty; give it as one word of the command line, in quotation marks");
    }
    let source = args.policy.source()?;
    source.check_evaluation(args.config.flag("search.evaluation").and_then(|value| value.as_str()))?;
    let values = Values::look(&config, &source)?;
    let task = source.task(&config)?;
    let mut opened = source.open(&config, crate::session::print_notice)?;
    let settings = settings(&config, &task, opened.about().has_value_head);
    let mut policy = asked(opened.policy()?, &source, &task)?;
    let seed = seed_from(&[&config.seed, &"solve", &question]);
    let solving = Solving { task: &task, search: settings.clone(), tree: 0, seed };
    let tree_info = |_| solving.tree_info(question);
    let searched = Searched { info: &tree_info, start: &|_| String::new(), judge: None };
    let notice = crate::session::print_notice;
    let sources = values.open(searched, &source, &config, notice)?;
    let (tree, _) = sources.with(policy.as_mut(), |policy| {
        solving.tree(question, policy).map_err(|reason| anyhow!("the question cannot be solved: {reason}"))
    })?;
    let Some(end) = best_solution(&tree) else {
        let mut diagnosis = Diagnosis::default();
        diagnosis.add_tree(&tree, &task);
        say(format_args!("no solution in a tree of {} nodes", tree.len()));
        if diagnosis.found_nothing() {
            diagnosis.lines(&task, settings.max_step_tokens).iter().for_each(|line| say(format_args!("{line}")));
        }
        return Ok(Outcome::SomeFailed);
    };
    print_result(format_args!("{}", page(&tree, end)));
    Ok(Outcome::Clean)
}

/// The steps to a solution with their values, and the answer.
fn page(tree: &Tree, end: NodeId) -> String {
    let mut page = String::new();
    for id in tree.path(end).into_iter().filter(|&id| tree.parent(id).is_some()) {
        let node = tree.node(id);
        let value = node.value_estimate().map_or_else(String::new, |value| format!(" V {value:+.3}"));
        page += &format!("Q {:+.3} N {}{value}  {}\n", node.q(), node.visits, shown(tree.text(id).trim()));
    }
    let same = |id: &NodeId| tree.node(*id).ending == Ending::Correct;
    let solutions = tree.ids().filter(same).count();
    page += &format!("answer {} (one of {solutions} solutions)\n", shown(tree.answer(end).unwrap_or_default()));
    page
}
