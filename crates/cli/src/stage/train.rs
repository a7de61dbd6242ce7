//! The training stages: a policy and examples in, a policy out.
//!
//! Metrics and, while it runs, the state to resume from lie in a work folder; the new policy appears by rename, and a
//! stage whose policy is there is done.

use crate::exit::Outcome;
use crate::progress::Progress;
use crate::run::config::{RunConfig, SftConfig};
use crate::stage::contract::{MANIFEST, manifest};
use crate::stage::policy_folder::{self, PolicyFolder, Prompting};
use anyhow::{Context, Result, bail};
use espalier_files::{Existing, ensure_writable, publish_json};
use espalier_model::{Tokenizer, Transformer};
use espalier_task::Problem;
use espalier_trainer::{
    JointExample, Observer, SftExample, SkippedRow, TrainConfig, TrainSummary, ValueExample, remove_state, train_joint,
    train_sft, train_value,
};
use espalier_tree::{Tree, read_trees, sft_paths, value_examples};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Skipped rows that are named on the terminal.
const SHOWN: usize = 5;

/// Where a training stage reads and writes.
pub struct Training<'a> {
    /// What the progress bar says.
    pub title: &'a str,
    /// The policy to start from.
    pub policy: &'a Path,
    /// The policy to publish.
    pub out: &'a Path,
    /// Metrics and resume state.
    pub work: &'a Path,
}

/// `manifest.json` in a training stage's work folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrainManifest {
    /// What the trainer reports.
    pub summary: TrainSummary,
    /// Examples given.
    pub examples: usize,
    /// Seconds of the process that finished the stage.
    pub wall_s: f64,
}

impl TrainManifest {
    /// Whether examples were left out.
    pub fn outcome(&self) -> Outcome {
        Outcome::from_failed(self.summary.skipped.len())
    }
}

impl Training<'_> {
    /// Runs one stage: load, train, publish; or returns what an earlier process published.
    pub(super) fn run<E>(
        &self,
        config: &RunConfig,
        prompting: Option<Prompting>,
        examples: impl FnOnce(&Tokenizer) -> Result<Vec<E>>,
        train: impl FnOnce(&mut Transformer, Vec<E>, &Path, &mut dyn Observer) -> Result<TrainSummary>,
    ) -> Result<TrainManifest> {
        let began = Instant::now();
        if let Some(done) = manifest(self.work)?
            && self.out.exists()
        {
            return Ok(done);
        }
        let source = PolicyFolder::open(self.policy)?;
        let (mut model, tokenizer) = source.load(config)?;
        let examples = examples(&tokenizer)?;
        let given = examples.len();
        ensure_writable(self.work)?;
        let mut bar = TrainBar { progress: Progress::new(self.title, 0) };
        let summary = if given == 0 {
            // Nothing to learn from is an outcome of a round, not an error: the policy stays as it is.
            TrainSummary::default()
        } else {
            train(&mut model, examples, self.work, &mut bar)?
        };
        let adapter = self.work.join("adapter");
        let adapter = adapter.exists().then_some((adapter.as_path(), self.policy));
        policy_folder::save(
            self.out,
            Existing::Replaced,
            &model,
            &tokenizer,
            prompting.or(source.prompting()),
            adapter,
        )?;
        let manifest = TrainManifest { summary, examples: given, wall_s: began.elapsed().as_secs_f64() };
        publish_json(&self.work.join(MANIFEST), &manifest)?;
        remove_state(self.work).context("cannot remove the state of a finished training")?;
        for SkippedRow { row, reason } in manifest.summary.skipped.iter().take(SHOWN) {
            eprintln!("skipped row {row}, counted from 0: {reason}");
        }
        let skipped = manifest.summary.skipped.len();
        if skipped > 0 {
            eprintln!("{skipped} rows skipped; {} names each", self.work.join(MANIFEST).display());
        }
        bar.progress.finish(&format!(
            "{} examples, {} steps, loss {:.4}, {} tokens in {:.1} s",
            manifest.examples,
            manifest.summary.steps,
            manifest.summary.final_loss,
            manifest.summary.tokens,
            manifest.wall_s
        ));
        Ok(manifest)
    }

    /// Supervised training on worked solutions (the warm start of a run).
    pub fn sft_on_solutions(
        &self,
        problems: &[Problem],
        settings: &TrainConfig,
        prompting: Prompting,
        config: &RunConfig,
    ) -> Result<TrainManifest> {
        let examples = |tokenizer: &Tokenizer| worked_examples(problems, prompting, tokenizer);
        self.run(config, Some(prompting), examples, |model, examples, work, bar| {
            train_sft(model, &examples, settings, work, bar).context("supervised training stopped")
        })
    }

    /// Supervised training on the correct paths of stored trees, and on worked solutions where there are some; jointly
    /// with the value head if `sft.value_weight` says so.
    pub fn sft_on_trees(&self, trees: &[PathBuf], worked: &[Problem], config: &RunConfig) -> Result<TrainManifest> {
        let prompting = PolicyFolder::open(self.policy)?.prompting();
        let SftConfig { max_paths_per_problem, value_weight, train, .. } = &config.sft;
        let paths = |tree: &Tree| {
            let paths = sft_paths(tree, *max_paths_per_problem, config.seed).into_iter();
            paths.map(|path| SftExample { prompt_len: path.prompt_len(), ids: path.ids })
        };
        let worked = |tokenizer: &Tokenizer| match prompting {
            Some(prompting) => worked_examples(worked, prompting, tokenizer),
            None => Ok(Vec::new()),
        };
        if *value_weight > 0.0 {
            let examples = |tokenizer: &Tokenizer| {
                let mut examples: Vec<_> = worked(tokenizer)?.into_iter().map(JointExample::Path).collect();
                for folder in trees {
                    examples.extend(of_trees(folder, |tree| {
                        let states = value_targets(tree).map(JointExample::States);
                        paths(tree).map(JointExample::Path).chain(states).collect::<Vec<_>>()
                    })?);
                }
                Ok(examples)
            };
            return self.run(config, None, examples, |model, examples, work, bar| {
                train_joint(model, &examples, *value_weight, train, work, bar).context("joint training stopped")
            });
        }
        let examples = |tokenizer: &Tokenizer| {
            let mut examples = worked(tokenizer)?;
            for folder in trees {
                examples.extend(of_trees(folder, paths)?);
            }
            Ok(examples)
        };
        self.run(config, None, examples, |model, examples, work, bar| {
            train_sft(model, &examples, train, work, bar).context("supervised training stopped")
        })
    }

    /// Regression of the value head on the Q of stored trees; the policy's own weights stay as they are.
    pub fn value(&self, trees: &Path, config: &RunConfig) -> Result<TrainManifest> {
        let examples = |_: &Tokenizer| of_trees(trees, value_targets);
        self.run(config, None, examples, |model, examples, work, bar| {
            train_value(model, &examples, &config.value, work, bar).context("value training stopped")
        })
    }
}

/// The examples of every stored tree in a folder, in order.
pub(super) fn of_trees<E, I: IntoIterator<Item = E>>(folder: &Path, examples: impl Fn(&Tree) -> I) -> Result<Vec<E>> {
    let mut all = Vec::new();
    for tree in read_trees(folder).with_context(|| format!("cannot read trees in {}", folder.display()))? {
        all.extend(examples(&tree?));
    }
    Ok(all)
}

/// Every complete path of a tree with the Q of its states.
fn value_targets(tree: &Tree) -> impl Iterator<Item = ValueExample> + use<> {
    let found = value_examples(tree).into_iter();
    found.map(|example| ValueExample { ids: example.ids, ends: example.ends, targets: example.targets })
}

/// Worked solutions as they would have been sampled: each step is encoded alone, so that no token spans two steps.
fn worked_examples(problems: &[Problem], prompting: Prompting, tokenizer: &Tokenizer) -> Result<Vec<SftExample>> {
    let Prompting { format, granularity } = prompting;
    let example = |problem: &Problem| {
        let Some(worked) = &problem.solution else {
            bail!("problem {} has no worked solution to train on", problem.id);
        };
        let mut ids = tokenizer.encode_prompt(&format.prompt(granularity, &problem.question))?;
        let prompt_len = ids.len();
        for step in format.segments(granularity, worked) {
            ids.extend(tokenizer.encode(&step)?);
        }
        Ok(SftExample { ids, prompt_len })
    };
    problems.iter().map(example).collect()
}

/// Shows the trainer's steps.
struct TrainBar {
    progress: Progress,
}

impl Observer for TrainBar {
    fn step(&mut self, step: u64, total: u64, loss: f64) -> Result<(), espalier_trainer::TrainerError> {
        self.progress.set_total(total);
        self.progress.at(step, format!("loss {loss:.4}"));
        Ok(())
    }

    fn warn(&mut self, warning: &str) {
        eprintln!("warning: {warning}");
    }
}

/// Where a training command that is given by hand keeps its work: beside the policy it makes.
pub fn work_folder(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push("-train");
    out.with_file_name(name)
}
