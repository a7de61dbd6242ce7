//! The one configuration of every command: the same tables in a TOML file, in a run's `config.toml` and beside every
//! output. The defaults are the paper's; `small.toml` is what the embedded run changes of them.

mod round;

pub use round::{RoundConfig, RoundStage};

use crate::stage::eval::Method;
use crate::stage::policy_folder::Prompting;
use anyhow::{Context, Result, bail};
use espalier_search::SamplingConfig;
use espalier_search::SearchConfig;
use espalier_task::{Format, Granularity};
use espalier_trainer::{Schedule, TrainConfig};
use espalier_tree::PairRules;
use serde::{Deserialize, Serialize};

/// The embedded default run, over the paper's defaults.
pub const SMALL: &str = include_str!("small.toml");

/// Everything that decides a result, and [`RuntimeConfig`], which decides only how fast it comes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Name of the run, in every row it writes.
    pub name: String,
    /// Seed of everything random.
    pub seed: u64,
    /// CPL rounds after the warm start.
    pub rounds: u32,
    /// What a CPL round trains.
    #[serde(default)]
    pub round: RoundConfig,
    /// Prompt format; without one, the policy folder's own, else `instruct`.
    pub format: Option<Format>,
    /// What one step is; without one, the policy folder's own, else `plan`.
    pub granularity: Option<Granularity>,
    /// Device, threads, rows.
    pub runtime: RuntimeConfig,
    /// How outputs are cut into files.
    pub storage: StorageConfig,
    /// The generated problems of a run.
    pub problems: ProblemsConfig,
    /// The policy that `init` makes.
    pub model: ModelShape,
    /// Tree search.
    pub search: SearchConfig,
    /// Sampling of tokens; the temperature is the search's.
    pub sampling: SamplingConfig,
    /// Which sibling pairs are taken from the trees.
    pub pairs: PairRules,
    /// Round 0: supervised training on worked solutions.
    pub warm_start: TrainConfig,
    /// Supervised training on found paths.
    pub sft: SftConfig,
    /// Preference training.
    pub prefer: PreferConfig,
    /// Value-head regression.
    pub value: TrainConfig,
    /// Evaluation.
    pub eval: EvalConfig,
}

/// Where and how wide a command runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeConfig {
    /// `cpu`, `cuda` or `cuda:N`.
    pub device: String,
    /// Threads of LibTorch; 0 takes every core.
    pub threads: usize,
    /// Sequences decoded at the same time.
    pub max_rows: usize,
}

/// How outputs are cut into files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StorageConfig {
    /// Trees in one shard.
    pub shard_trees: usize,
}

/// The generated problems of a run: how many, of which difficulty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProblemsConfig {
    /// Worked problems of round 0, by their number of plan steps from `min_steps` on; a number that is left out is 0.
    pub warm_start: Vec<usize>,
    /// Share of the longer worked problems of round 0 whose solution overlooks a step, see
    /// [`GenerateConfig`](espalier_task::families::GenerateConfig).
    #[serde(default)]
    pub mistakes: f64,
    /// Problems searched in each round; no two rounds share one.
    pub per_round: usize,
    /// Held-out problems of the trained families.
    pub held_out: usize,
    /// Problems of the families that are never trained on.
    pub out_of_domain: usize,
    /// Fewest plan steps.
    pub min_steps: u32,
    /// Most plan steps.
    pub max_steps: u32,
}

/// Shape of a fresh policy (Llama architecture, tied embeddings).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelShape {
    /// Size of the byte-pair vocabulary.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Number of layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Longest context in tokens.
    pub context: usize,
}

/// Supervised training on found paths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftConfig {
    /// At most this many correct paths of a problem, chosen at random (algorithm, section 4).
    pub max_paths_per_problem: usize,
    /// Whether a round trains on the worked solutions of round 0 (but for those with a wrong answer) and the found paths
    /// of earlier rounds too, as rejection-sampling fine-tuning does (arXiv:2308.01825), instead of on its own found paths
    /// only.
    pub rehearse: bool,
    /// Weight of the value head's squared error in training on trees, head and policy being trained at once
    /// (arXiv:2405.03553); 0 leaves the value to a stage of its own.
    #[serde(default)]
    pub value_weight: f64,
    /// Optimisation.
    pub train: TrainConfig,
}

/// Preference training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreferConfig {
    /// Name of the objective.
    pub loss: String,
    /// The objective's own parameters, where they differ from its defaults.
    pub parameters: std::collections::BTreeMap<String, f64>,
    /// Weight of the added term -log pi(chosen) / |chosen|.
    pub sft_weight: f64,
    /// Factor on the Q of solution pairs (algorithm, section 4).
    pub solution_q_scale: f32,
    /// Share of the pairs that is only looked at; a tree's pairs, or a prompt's, stay together.
    pub held_out_fraction: f64,
    /// Whether steps that are given as text get the tokenizer's end-of-text token.
    pub append_eos: bool,
    /// Optimisation.
    pub train: TrainConfig,
}

/// Evaluation; the temperature of sampled answers and the size of trees are the search's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvalConfig {
    /// How the policy answers.
    pub method: Method,
    /// Answers sampled to a problem, where the method samples several.
    pub samples: usize,
    /// States that go on at each level of a beam search.
    pub beam_width: usize,
    /// Most tokens of one answer, or of one step of a tree.
    pub max_tokens: usize,
    /// Whether an answer counts only in a box, as the prompts ask for it.
    pub boxed_only: bool,
}

impl Default for EvalConfig {
    fn default() -> Self {
        EvalConfig { method: Method::Greedy, samples: 16, beam_width: 4, max_tokens: 512, boxed_only: true }
    }
}

impl Default for RunConfig {
    fn default() -> Self {
        let train = |learning_rate, epochs| TrainConfig {
            learning_rate,
            epochs,
            schedule: Schedule::Cosine,
            warmup_fraction: 0.1,
            ..TrainConfig::default()
        };
        RunConfig {
            name: "run".into(),
            seed: 0,
            rounds: 2,
            round: RoundConfig::default(),
            format: None,
            granularity: None,
            runtime: RuntimeConfig { device: "cpu".into(), threads: 0, max_rows: 96 },
            storage: StorageConfig { shard_trees: 64 },
            problems: ProblemsConfig {
                warm_start: vec![700, 700, 600],
                mistakes: 0.0,
                per_round: 500,
                held_out: 500,
                out_of_domain: 200,
                min_steps: 2,
                max_steps: 4,
            },
            model: ModelShape {
                vocab_size: 512,
                hidden_size: 128,
                intermediate_size: 384,
                layers: 4,
                heads: 4,
                kv_heads: 2,
                context: 512,
            },
            search: SearchConfig::default(),
            sampling: SamplingConfig::default(),
            pairs: PairRules::default(),
            warm_start: train(1e-5, 5),
            sft: SftConfig { max_paths_per_problem: 4, rehearse: false, value_weight: 0.0, train: train(1e-5, 5) },
            prefer: PreferConfig {
                loss: "step_apo".into(),
                parameters: std::collections::BTreeMap::new(),
                sft_weight: 0.0,
                solution_q_scale: 0.3,
                held_out_fraction: 0.0,
                append_eos: true,
                train: train(1e-6, 3),
            },
            value: train(1e-5, 7),
            eval: EvalConfig::default(),
        }
    }
}

impl RunConfig {
    /// The embedded run's configuration.
    pub fn small() -> Result<RunConfig> {
        let changes: toml::Table = toml::from_str(SMALL).context("the embedded configuration is broken")?;
        crate::resolve::resolve(&RunConfig::default(), None, &changes)
    }

    /// Checks what no single table can check alone.
    ///
    /// # Errors
    /// The first value out of range, with the range.
    pub fn validate(&self) -> Result<()> {
        let at_least_one = [
            ("runtime.max_rows", self.runtime.max_rows),
            ("storage.shard_trees", self.storage.shard_trees),
            ("eval.max_tokens", self.eval.max_tokens),
            ("eval.samples", self.eval.samples),
            ("eval.beam_width", self.eval.beam_width),
            ("sft.max_paths_per_problem", self.sft.max_paths_per_problem),
        ];
        for (name, value) in at_least_one {
            if value == 0 {
                bail!("{name} is 0, but must be at least 1");
            }
        }
        let weight = self.sft.value_weight;
        if !(weight.is_finite() && weight >= 0.0) {
            bail!("sft.value_weight is {weight}, but must be a number of at least 0");
        }
        let fraction = self.prefer.held_out_fraction;
        if !(0.0..1.0).contains(&fraction) {
            bail!("prefer.held_out_fraction is {fraction}, but must be at least 0 and below 1");
        }
        let steps = &self.problems;
        let (min, max) = (steps.min_steps, steps.max_steps);
        if min < 2 || min > max || max > 5 {
            bail!("problems.min_steps {min} and max_steps {max} must satisfy 2 <= min <= max <= 5");
        }
        let difficulties = (max - min + 1) as usize;
        if steps.warm_start.len() > difficulties {
            bail!(
                "problems.warm_start has {} numbers, but there are {difficulties} difficulties, {min} to {max} steps",
                steps.warm_start.len()
            );
        }
        if self.name.is_empty() {
            bail!("name is empty");
        }
        self.round.validate()?;
        self.search.validate().context("search")?;
        self.sampling.validate().context("sampling")?;
        self.pairs.validate().context("pairs")?;
        for (name, train) in [
            ("warm_start", &self.warm_start),
            ("sft.train", &self.sft.train),
            ("prefer.train", &self.prefer.train),
            ("value", &self.value),
        ] {
            train.check().context(name)?;
        }
        self.device().map(drop)
    }

    /// The device by its name.
    pub fn device(&self) -> Result<tch::Device> {
        let name = self.runtime.device.as_str();
        let device = match name {
            "cpu" => tch::Device::Cpu,
            "cuda" => tch::Device::Cuda(0),
            _ => match name.strip_prefix("cuda:").and_then(|index| index.parse().ok()) {
                Some(index) => tch::Device::Cuda(index),
                None => bail!("runtime.device is {name:?}, but must be cpu, cuda or cuda:N"),
            },
        };
        if let tch::Device::Cuda(index) = device {
            let found = tch::Cuda::device_count();
            if index as i64 >= found {
                bail!("runtime.device is {name:?}, but LibTorch sees {found} CUDA devices");
            }
        }
        Ok(device)
    }

    /// Format and granularity: what the configuration says, else what the policy was trained on (`own`), else `instruct`,
    /// `plan`.
    pub fn format_of(&self, own: Option<Prompting>) -> (Format, Granularity) {
        (
            self.format.or(own.map(|own| own.format)).unwrap_or(Format::Instruct),
            self.granularity.or(own.map(|own| own.granularity)).unwrap_or(Granularity::Plan),
        )
    }

    /// The configuration without what decides only the speed: of it depend identities and the shards' metadata.
    #[must_use]
    pub fn without_runtime(&self) -> RunConfig {
        let defaults = RunConfig::default();
        let search = SearchConfig { in_flight: defaults.search.in_flight, ..self.search };
        RunConfig { runtime: defaults.runtime, search, ..self.clone() }
    }
}
