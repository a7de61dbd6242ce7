//! `mcts-gen pairs`: stored trees in, step pairs out, by any rule, without searching again.

use super::config_args::{ConfigArgs, Keys};
use super::flag::Group;
use super::keys::PAIRS;
use crate::exit::{Outcome, print_result};
use crate::session::{OutputFlags, Session};
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use espalier_files::ensure_creatable;
use espalier_rounds::stage::pairs;
use espalier_tree::{read_pairs, read_trees, write_llama_factory, write_ranked_lists, write_step_dpo};
use std::path::PathBuf;

/// Flags of `mcts-gen pairs`.
#[derive(Args)]
pub struct PairsArgs {
    /// Folder with the shards of a search
    #[arg(long, value_name = "DIR")]
    trees: PathBuf,
    /// Output folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Also write the pairs as JSONL in another program's field names
    #[arg(long, value_name = "NAME")]
    export: Option<Export>,
    #[command(flatten)]
    output: OutputFlags,
    #[command(flatten)]
    config: ConfigArgs<PairsArgs>,
}

impl Keys for PairsArgs {
    const FLAGS: &'static [Group] = &[PAIRS];
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Export {
    /// LLaMA-Factory's preference data
    LlamaFactory,
    /// Step-DPO's training data
    StepDpo,
    /// All siblings of a state, best first, for listwise objectives
    RankedLists,
}

/// Runs the command.
pub fn run(args: &PairsArgs) -> Result<Outcome> {
    let config = args.config.resolve()?;
    ensure_creatable(&args.out)?;
    let manifest = pairs::run(&args.trees, &args.out, &Session::new(args.output).context(&config))?;
    config.store(&args.out)?;
    if let Some(export) = args.export {
        let pairs = read_pairs(&args.out)?;
        match export {
            Export::LlamaFactory => write_llama_factory(&args.out.join("llama_factory.jsonl"), &pairs),
            Export::RankedLists => {
                let lists = args.out.join("ranked_lists.jsonl");
                write_ranked_lists(&lists, read_trees(&args.trees)?, &config.pairs).map(drop)
            }
            Export::StepDpo => write_step_dpo(&args.out.join("step_dpo.jsonl"), &pairs, read_trees(&args.trees)?),
        }
        .with_context(|| format!("cannot export to {}", args.out.display()))?;
    }
    print_result(format_args!("{}", summary(&manifest)));
    if let Some(reason) = &manifest.why_none {
        print_result(format_args!("no pairs: {reason}\n"));
    }
    Ok(Outcome::from_failed(usize::from(manifest.pairs() == 0)))
}

/// Counts, and the two histograms as bars.
fn summary(manifest: &pairs::PairsManifest) -> String {
    use std::fmt::Write;
    let mut text = format!(
        "{} pairs ({} plan, {} step, {} solution) from {} of {} trees\n",
        manifest.pairs(),
        manifest.plan,
        manifest.step,
        manifest.solution,
        manifest.trees_with_pairs,
        manifest.trees
    );
    let widest = manifest.margins.iter().chain(&manifest.depths).copied().max().unwrap_or(0).max(1);
    let mut bar = |label: String, count: u64| {
        let length = (40 * count).div_ceil(widest) as usize;
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{label:<16} {count:>8} {}", "#".repeat(length));
    };
    for (bin, &count) in manifest.margins.iter().enumerate() {
        bar(format!("margin <= {:.1}", 0.2 * (bin + 1) as f64), count);
    }
    for (depth, &count) in manifest.depths.iter().enumerate().skip(1) {
        bar(format!("depth {depth}"), count);
    }
    text
}
