//! The training stages: a policy and examples in, a policy out.
//!
//! Metrics and, while it runs, the state to resume from lie in a work folder; the new policy appears by rename, and a
//! stage whose policy is there is done.

use crate::config::{RunConfig, SftConfig};
use crate::context::Context;
use crate::contract::{self, Begun, Identity, MANIFEST, Place, Work};
use crate::stage::policy_folder::{self, PolicyFolder};
use crate::stage::policy_model::{self, Published};
use crate::stage::shards::is_part;
use crate::stage::tasks::{described, filled, prompt_ids};
use anyhow::{Context as _, Result, bail};
use espalier_files::{Existing, fingerprint, hash_path};
use espalier_model::Transformer;
use espalier_task::{Problem, Prompting, Task};
use espalier_tokenizer::Tokenizer;
use espalier_trainer::{
    JointExample, Observer, SftExample, TrainConfig, TrainSummary, Trainer, TrainerError, ValueExample, state_folder,
};
use espalier_tree::{Tree, UnusedRow, read_trees, sft_paths, value_examples};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Raised when equal settings and examples give other weights than before.
const RULES: u32 = 2;

/// Skipped rows that are named to the observer.
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
    /// What the trainer reports, without what it skipped.
    pub summary: TrainSummary,
    /// Rows of the examples' file that were left out, by the reader or by the trainer; indices of the examples themselves
    /// if they are of trees.
    #[serde(default)]
    pub skipped: Vec<UnusedRow>,
    /// Examples given.
    pub examples: usize,
    /// Seconds of all processes that worked on it.
    pub wall_s: f64,
}

impl TrainManifest {
    /// The result in one line.
    fn result(&self) -> String {
        format!(
            "{} examples, {} steps, loss {:.4}, {} tokens in {:.1} s",
            self.examples, self.summary.steps, self.summary.final_loss, self.summary.tokens, self.wall_s
        )
    }
}

/// What a training stage is given.
pub(super) trait Given {
    /// Examples to train on.
    fn count(&self) -> usize;
}

impl<E> Given for Vec<E> {
    fn count(&self) -> usize {
        self.len()
    }
}

/// What a training did.
#[derive(Default)]
pub struct TrainResult {
    summary: TrainSummary,
    skipped: Vec<UnusedRow>,
}

impl TrainResult {
    /// A training whose examples are no rows of a file.
    pub(super) fn of(summary: TrainSummary) -> TrainResult {
        TrainResult::from_rows(summary, &[], |example| example)
    }

    /// A training on the rows of a file, of which the reader left out `unread`; `row` is that of an example.
    pub(super) fn from_rows(
        mut summary: TrainSummary,
        unread: &[UnusedRow],
        row: impl Fn(usize) -> usize,
    ) -> TrainResult {
        let skipped = std::mem::take(&mut summary.skipped).into_iter();
        let untrained = skipped.map(|skipped| UnusedRow { row: row(skipped.row), reason: skipped.reason.to_string() });
        let mut skipped: Vec<UnusedRow> = unread.iter().cloned().chain(untrained).collect();
        skipped.sort_by_key(|skipped| skipped.row);
        TrainResult { summary, skipped }
    }
}

impl Training<'_> {
    /// Runs one stage: load, train, publish; or returns what an earlier process published.
    pub(super) fn run<G: Given>(
        &self,
        identity: Identity,
        prompting: Option<Prompting>,
        config: &TrainConfig,
        context: &Context,
        examples: impl FnOnce(&Transformer, &Tokenizer) -> Result<G>,
        train: impl FnOnce(Trainer, G) -> Result<TrainResult>,
    ) -> Result<TrainManifest> {
        let source = PolicyFolder::open(self.policy)?;
        let state = state_folder(self.work);
        let place = Place::policy(self.out, self.work, std::slice::from_ref(&state));
        let work = match contract::begin(place, identity, context)? {
            Begun::Done(done) => return Ok(done),
            Begun::Work(work) => work,
        };
        let (mut model, tokenizer) = source.load(context.config)?;
        let examples = examples(&model, &tokenizer)?;
        let given = examples.count();
        context.observer.began(self.title, 0);
        let mut follower = Follower { work, observer: context.observer };
        let TrainResult { summary, skipped } = if given == 0 {
            // Nothing to learn from is an outcome of a round, not an error: the policy stays as it is.
            TrainResult::default()
        } else {
            train(Trainer { model: &mut model, config, folder: self.work, observer: &mut follower }, examples)?
        };
        let work = follower.work;
        let adapter = self.work.join("adapter");
        let published = Published {
            prompting: prompting.or_else(|| source.prompting().cloned()),
            // One that lies there without adapters in this training is an earlier one's.
            adapter: (config.lora.rank > 0 && adapter.exists()).then_some((adapter.as_path(), self.policy)),
            record: Some(work.record()),
        };
        policy_model::save(self.out, Existing::Replaced, &model, &tokenizer, &published)?;
        let manifest = TrainManifest { summary, skipped, examples: given, wall_s: work.wall_s() };
        work.finish(&manifest, &manifest.result())?;
        for UnusedRow { row, reason } in manifest.skipped.iter().take(SHOWN) {
            context.observer.noticed(&format!("skipped row {row}, counted from 0: {reason}"));
        }
        let skipped = manifest.skipped.len();
        if skipped > 0 {
            let names = self.work.join(MANIFEST);
            context.observer.noticed(&format!("{skipped} rows skipped; {} names each", names.display()));
        }
        context.observer.finished(&manifest.result());
        Ok(manifest)
    }

    /// What decides every training: its stage, the seed, the policy it starts from. The table and the examples are added.
    pub(super) fn identity(&self, stage: &str, config: &RunConfig) -> Result<Identity> {
        let identity = Identity::new(stage, RULES).with("seed", config.seed);
        Ok(identity.input("policy", policy_folder::fingerprint(self.policy)?))
    }

    /// Supervised training on worked solutions (the warm start of a run).
    pub fn sft_on_solutions(
        &self,
        problems: &[Problem],
        settings: &TrainConfig,
        task: &Task,
        context: &Context,
    ) -> Result<TrainManifest> {
        let own = task.prompting();
        let task = &self.filled(task, context.config)?;
        let identity = self.identity("sft", context.config)?.setting(
            "train",
            &deciding(settings)?,
            &deciding(&TrainConfig::default())?,
        )?;
        let identity = self.worked_inputs(identity, problems, task)?;
        let examples = |_: &Transformer, tokenizer: &Tokenizer| worked_examples(problems, task, tokenizer);
        self.run(identity, Some(own), settings, context, examples, |trainer, examples| {
            Ok(TrainResult::of(trainer.sft(&examples).context("supervised training stopped")?))
        })
    }

    /// Supervised training on the correct paths of stored trees, and on worked solutions where there are some; jointly
    /// with the value head if `sft.value_weight` says so.
    pub fn sft_on_trees(&self, trees: &[PathBuf], worked: &[Problem], context: &Context) -> Result<TrainManifest> {
        let config = context.config;
        let folder = PolicyFolder::open(self.policy)?;
        let task = match folder.prompting() {
            Some(own) if !worked.is_empty() => Some(self.filled(&RunConfig::default().task_of(Some(own))?, config)?),
            _ => None,
        };
        let SftConfig { max_paths_per_problem, value_weight, train, .. } = &config.sft;
        let mut identity = self.identity("sft", config)?.setting(
            "sft",
            &deciding(&config.sft)?,
            &deciding(&RunConfig::default().sft)?,
        )?;
        for (at, folder) in trees.iter().enumerate() {
            identity = identity.input(&format!("trees {}", at + 1), hash_path(folder, is_part)?);
        }
        if let Some(task) = &task {
            identity = self.worked_inputs(identity, worked, task)?;
        }
        let paths = |tree: &Tree| {
            let paths = sft_paths(tree, *max_paths_per_problem, config.seed).into_iter();
            paths.map(|path| SftExample { prompt_len: path.prompt_len(), ids: path.ids })
        };
        let worked = |tokenizer: &Tokenizer| match &task {
            Some(task) => worked_examples(worked, task, tokenizer),
            None => Ok(Vec::new()),
        };
        if *value_weight > 0.0 {
            let examples = |_: &Transformer, tokenizer: &Tokenizer| {
                let mut examples: Vec<_> = worked(tokenizer)?.into_iter().map(JointExample::Path).collect();
                for folder in trees {
                    examples.extend(of_trees(folder, |tree| {
                        let states = value_targets(tree).map(JointExample::States);
                        paths(tree).map(JointExample::Path).chain(states).collect::<Vec<_>>()
                    })?);
                }
                Ok(examples)
            };
            return self.run(identity, None, train, context, examples, |trainer, examples| {
                Ok(TrainResult::of(trainer.joint(&examples, *value_weight).context("joint training stopped")?))
            });
        }
        let examples = |_: &Transformer, tokenizer: &Tokenizer| {
            let mut examples = worked(tokenizer)?;
            for folder in trees {
                examples.extend(of_trees(folder, paths)?);
            }
            Ok(examples)
        };
        self.run(identity, None, train, context, examples, |trainer, examples| {
            Ok(TrainResult::of(trainer.sft(&examples).context("supervised training stopped")?))
        })
    }

    /// The task in the words of the policy that is trained.
    fn filled(&self, task: &Task, config: &RunConfig) -> Result<Task> {
        filled(task, config, || self.tokenizer())
    }

    fn tokenizer(&self) -> Result<Arc<Tokenizer>> {
        PolicyFolder::open(self.policy)?.tokenizer().map(Arc::new)
    }

    /// Adds worked solutions and the words that stand around them.
    fn worked_inputs(&self, identity: Identity, problems: &[Problem], task: &Task) -> Result<Identity> {
        Ok(described(identity, task, || self.tokenizer())?.input("problems", fingerprint(problems)?))
    }

    /// Regression of the value head on the Q of stored trees; the policy's own weights stay as they are.
    pub fn value(&self, trees: &Path, context: &Context) -> Result<TrainManifest> {
        let settings = &context.config.value;
        let identity = self
            .identity("value", context.config)?
            .setting("value", &deciding(settings)?, &deciding(&RunConfig::default().value)?)?
            .input("trees", hash_path(trees, is_part)?);
        let examples = |_: &Transformer, _: &Tokenizer| of_trees(trees, value_targets);
        self.run(identity, None, settings, context, examples, |trainer, examples| {
            Ok(TrainResult::of(trainer.value(&examples).context("value training stopped")?))
        })
    }
}

/// A training table without what decides only when states are saved.
pub fn deciding(table: &impl Serialize) -> Result<Value> {
    let mut value = serde_json::to_value(table).context("cannot encode a training's settings")?;
    let train = match value.get_mut("train") {
        Some(train) => train,
        None => &mut value,
    };
    if let Some(fields) = train.as_object_mut() {
        fields.remove("save_every_s");
    }
    Ok(value)
}

/// The examples of every stored tree in a folder, in order.
pub(super) fn of_trees<E, I: IntoIterator<Item = E>>(folder: &Path, examples: impl Fn(&Tree) -> I) -> Result<Vec<E>> {
    let mut all = Vec::new();
    for tree in read_trees(folder).with_context(|| format!("cannot read trees in {}", folder.display()))? {
        all.extend(examples(&tree?));
    }
    Ok(all)
}

/// How many paths of stored trees supervised training takes.
pub fn count_paths(trees: &Path, config: &RunConfig) -> Result<usize> {
    let taken = |tree: &Tree| [sft_paths(tree, config.sft.max_paths_per_problem, config.seed).len()];
    Ok(of_trees(trees, taken)?.into_iter().sum())
}

/// Every complete path of a tree with the Q of its states.
fn value_targets(tree: &Tree) -> impl Iterator<Item = ValueExample> + use<> {
    let found = value_examples(tree).into_iter();
    found.map(|example| ValueExample { ids: example.ids, step_ends: example.step_ends, targets: example.targets })
}

/// Worked solutions as they would have been sampled: each step is encoded behind what precedes it, and no token spans two
/// steps.
fn worked_examples(problems: &[Problem], task: &Task, tokenizer: &Tokenizer) -> Result<Vec<SftExample>> {
    let example = |problem: &Problem| {
        let Some(worked) = &problem.solution else {
            bail!("problem {} has no worked solution to train on", problem.id);
        };
        let mut text = task.prompt(problem)?;
        let mut ids = prompt_ids(task, tokenizer, &text)?;
        let prompt_len = ids.len();
        for step in task.segments(worked) {
            ids.extend(tokenizer.encode_after(&text, &ids, &step)?);
            text.push_str(&step);
        }
        Ok(SftExample { ids, prompt_len })
    };
    problems.iter().map(example).collect()
}

/// Passes the trainer's steps on.
struct Follower<'a> {
    work: Work,
    observer: &'a dyn crate::context::Observer,
}

impl Observer for Follower<'_> {
    fn step(&mut self, step: u64, total: u64, loss: f64) -> Result<(), TrainerError> {
        self.observer.advanced(step, total, &format!("loss {loss:.4}"));
        Ok(self.work.note()?)
    }

    fn warn(&mut self, warning: &str) {
        self.observer.noticed(&format!("warning: {warning}"));
    }

    fn notice(&mut self, notice: &str) {
        self.observer.noticed(notice);
    }
}

/// Where a training command that is given by hand keeps its work: beside the policy it makes.
pub fn work_folder(out: &Path) -> PathBuf {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push("-train");
    out.with_file_name(name)
}
