//! `mcts-gen show`: stored trees, readable in a terminal, or checked.

use super::choice;
use crate::exit::Outcome;
use crate::shown::shown;
use anyhow::{Context, Result, bail};
use clap::Args;
use espalier_tree::{Ending, NodeId, Tree, check, read_trees};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;

/// Flags of `mcts-gen show`.
#[derive(Args, Clone, Debug)]
pub struct ShowArgs {
    /// Folder with the shards of a search
    #[arg(long, value_name = "DIR")]
    trees: PathBuf,
    /// Only the tree of this problem
    #[arg(long, value_name = "ID")]
    problem: Option<String>,
    /// Only steps with at least this Q
    #[arg(long, value_name = "Q", allow_negative_numbers = true)]
    min_q: Option<f64>,
    /// Only steps with at most this Q
    #[arg(long, value_name = "Q", allow_negative_numbers = true)]
    max_q: Option<f64>,
    /// Only steps from this depth on
    #[arg(long, value_name = "N")]
    min_depth: Option<u16>,
    /// Only steps down to this depth
    #[arg(long, value_name = "N")]
    max_depth: Option<u16>,
    /// Only steps at which a path ended in this way
    #[arg(long, value_name = "NAME", value_parser = choice::<Ending>())]
    ending: Option<Ending>,
    /// Stop after this many trees
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Print nothing but violations of the trees' invariants; exit code 1 when there are any
    #[arg(long)]
    check: bool,
}

/// Runs the command.
pub fn run(args: &ShowArgs) -> Result<Outcome> {
    let trees = read_trees(&args.trees).with_context(|| format!("cannot read trees in {}", args.trees.display()))?;
    let (mut trees_shown, mut violations) = (0, 0);
    let result = (|| {
        let mut out = BufWriter::new(io::stdout().lock());
        for tree in trees {
            let tree = tree?;
            if args.problem.as_ref().is_some_and(|id| *id != tree.info.problem_id) {
                continue;
            }
            if args.limit.is_some_and(|limit| trees_shown >= limit) {
                break;
            }
            trees_shown += 1;
            if args.check {
                for violation in check(&tree) {
                    violations += 1;
                    writeln!(out, "{}", shown(&format!("{}: {violation}", tree.info.problem_id)))?;
                }
            } else {
                print(&mut out, &tree, args)?;
            }
        }
        if args.check {
            writeln!(out, "{trees_shown} trees checked, {violations} violations")?;
        }
        out.flush()?;
        anyhow::Ok(())
    })();
    match result {
        // A reader that has seen enough, such as `head`, is no failure.
        Err(error) if is_broken_pipe(&error) => return Ok(Outcome::Clean),
        other => other?,
    }
    if trees_shown == 0 {
        match &args.problem {
            Some(id) => bail!("no tree of problem {id:?} in {}", args.trees.display()),
            None => bail!("no trees in {}", args.trees.display()),
        }
    }
    Ok(Outcome::from_failed(violations))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// Prints one tree, a line a step, deeper steps further in.
fn print(out: &mut impl Write, tree: &Tree, args: &ShowArgs) -> io::Result<()> {
    let paint = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let root = tree.node(NodeId::ROOT);
    writeln!(
        out,
        "{} (answer {}): {}",
        bold(&shown(&tree.info.problem_id), paint),
        shown(&tree.info.reference_answer),
        shown(&tree.info.question.trim().replace('\n', " "))
    )?;
    writeln!(out, "  root N {} Q {:+.3}, {} nodes", root.visits, root.q(), tree.len())?;
    // A step is shown when it passes the filters itself or lies above one that does.
    let mut wanted = vec![false; tree.len()];
    for id in tree.ids().skip(1) {
        let node = tree.node(id);
        let passes = args.min_q.is_none_or(|q| node.q() >= q)
            && args.max_q.is_none_or(|q| node.q() <= q)
            && args.min_depth.is_none_or(|depth| node.depth >= depth)
            && args.max_depth.is_none_or(|depth| node.depth <= depth)
            && args.ending.is_none_or(|ending| node.ending == ending);
        if passes {
            tree.path(id).iter().for_each(|at| wanted[at.0 as usize] = true);
        }
    }
    let mut stack: Vec<NodeId> = root.children().rev().collect();
    while let Some(id) = stack.pop() {
        if wanted[id.0 as usize] {
            print_step(out, tree, id, paint)?;
            stack.extend(tree.node(id).children().rev());
        }
    }
    writeln!(out)
}

fn print_step(out: &mut impl Write, tree: &Tree, id: NodeId, paint: bool) -> io::Result<()> {
    let node = tree.node(id);
    let mut line = format!(
        "{:indent$}#{} N {} Q {:+.3} P {:.2}",
        "",
        id.0,
        node.visits,
        node.q(),
        node.prior,
        indent = 2 * usize::from(node.depth)
    );
    if let Some(advantage) = tree.advantage(id) {
        line += &format!(" A {advantage:+.3}");
    }
    if let Some(value) = node.value_estimate() {
        line += &format!(" V {value:+.3}");
    }
    if node.ending != Ending::None {
        line += &format!(" [{}]", node.ending.name());
    }
    // Green for steps that tend to lead to the answer, red for those that do not.
    let colour = if node.q() > 0.0 { "32" } else { "31" };
    let text = tree.text(id).trim().replace('\n', " ");
    let text = shown(&text);
    if paint && node.visits > 0 {
        writeln!(out, "\x1b[{colour}m{line}\x1b[0m {text}")
    } else {
        writeln!(out, "{line} {text}")
    }
}

fn bold(text: &str, paint: bool) -> String {
    if paint { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
}
