//! The one configuration of every command: the same tables in a TOML file, in a run's `config.toml` and beside every
//! output. The defaults are the paper's; `small.toml` is what the embedded run changes of them.
//!
//! ```text
//!   settings! { .. }  one file for one or two tables; a key's type, default, range and sentence stand there and nowhere else
//!        │
//!   RunConfig ◄── resolve: defaults, then a run's config.toml, then --config FILE, then flags
//!        │
//!        ├─► reference: every key, printed by `step-train settings`
//!        └─► canonical(): what differs from the defaults and decides a result
//! ```
//! A new key is one line in its table: see [`settings!`](espalier_settings::settings). As a flag it has one more, in the
//! list of the commands that take it (`command/keys.rs`).

mod init;
mod judging;
pub mod reference;
mod resolve;
mod round;
mod runtime;
mod serving;
mod starts;
mod training;
mod values;
mod verifier;

pub use espalier_eval::{Aggregation, EvalConfig, Method};
pub use init::{ModelShape, ProblemsConfig};
pub use judging::JudgingConfig;
pub use round::{RoundConfig, RoundStage};
pub use runtime::{Place, RuntimeConfig, StorageConfig};
pub use serving::ServingConfig;
pub use starts::{StartStates, StartsConfig};
pub use training::{Credit, PreferConfig, Preferred, SftConfig};
pub use values::{ValueInput, ValuesConfig};
pub use verifier::VerifierConfig;

use anyhow::{Context, Result};
use espalier_files::{Lock, publish_bytes, sweep};
use espalier_search::{SamplingConfig, SearchConfig};
use espalier_settings::range::not_empty;
use espalier_settings::{deviations, settings};
use espalier_task::{Format, Granularity};
use espalier_trainer::TrainConfig;
use espalier_tree::PairRules;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use training::paper;

/// The embedded default run, over the paper's defaults.
pub const SMALL: &str = include_str!("small.toml");

settings! {
    /// Everything that decides a result, and [`RuntimeConfig`], which decides only how fast it comes.
    pub struct RunConfig {
        /// Name of the run, in every row it writes; init takes the folder's.
        pub name: String = "run".into(), not_empty();
        /// Seed of everything random.
        pub seed: u64 = 0;
        /// CPL rounds after the warm start.
        pub rounds: u32 = 2;
        /// What a CPL round trains.
        pub round: RoundConfig = RoundConfig::default();
        /// A built-in task, the layout of prompts and steps; if left out, the policy folder's own, else instruct.
        pub format: Option<Format> = None;
        /// A task of your own: the file of its prompt, its steps and its answer; in the place of a format.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub task: Option<String> = None;
        /// What fills the task's slots.
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        pub slots: BTreeMap<String, String> = BTreeMap::new();
        /// Folder of the trees whose correct paths a task shows that asks for found ones.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub shots: Option<String> = None;
        /// What one step is; if left out, the policy folder's own, else plan.
        pub granularity: Option<Granularity> = None;
        /// Where and how wide a command runs; decides only how fast a result comes.
        pub runtime: RuntimeConfig = RuntimeConfig::default();
        /// Servers that sample a run's policies; that they do is part of the policies' hashes.
        pub serving: ServingConfig = ServingConfig::default();
        /// How outputs are cut into files.
        pub storage: StorageConfig = StorageConfig::default();
        /// The generated problems of a run.
        pub problems: ProblemsConfig = ProblemsConfig::default();
        /// The fresh policy that init makes (Llama architecture, tied embeddings).
        pub model: ModelShape = ModelShape::default();
        /// Tree search.
        pub search: SearchConfig = SearchConfig::default();
        /// Where searches start.
        #[serde(skip_serializing_if = "StartsConfig::is_default")]
        pub starts: StartsConfig = StartsConfig::default();
        /// Values from elsewhere than the policy's own head.
        #[serde(skip_serializing_if = "ValuesConfig::is_default")]
        pub values: ValuesConfig = ValuesConfig::default();
        /// Who judges steps and paths.
        #[serde(skip_serializing_if = "JudgingConfig::is_default")]
        pub judging: JudgingConfig = JudgingConfig::default();
        /// Sampling of tokens; the temperature is the search's.
        pub sampling: SamplingConfig = SamplingConfig::default();
        /// Which sibling pairs are taken from the trees.
        pub pairs: PairRules = PairRules::default();
        /// Round 0: supervised training on worked solutions.
        pub warm_start: TrainConfig = paper(1e-5, 5);
        /// Supervised training on found paths.
        pub sft: SftConfig = SftConfig::default();
        /// Preference training.
        pub prefer: PreferConfig = PreferConfig::default();
        /// Value-head regression.
        pub value: TrainConfig = paper(1e-5, 7);
        /// A verifier of states; no stage of a round makes one.
        pub verifier: VerifierConfig = VerifierConfig::default();
        /// Evaluation; the temperature of sampled answers and the size of trees are the search's.
        pub eval: EvalConfig = EvalConfig::default();
    }
}

impl RunConfig {
    /// The embedded run's configuration.
    ///
    /// # Panics
    /// Never: a test reads the embedded text.
    pub fn small() -> RunConfig {
        RunConfig::default().with_toml(SMALL).expect("a test reads the embedded text")
    }

    /// Stores all settings as `config.toml` in a folder, which `--config` takes again.
    ///
    /// # Errors
    /// A folder that cannot be written.
    pub fn store(&self, folder: &Path) -> Result<()> {
        let path = folder.join("config.toml");
        let _lock = Lock::acquire(&path)?;
        sweep(&path)?;
        Ok(publish_bytes(&path, toml::to_string_pretty(self)?.as_bytes())?)
    }

    /// Every setting that decides a result, as TOML.
    ///
    /// # Errors
    /// Settings that TOML cannot hold.
    pub fn deciding(&self) -> Result<toml::Table> {
        let mut table = toml::Table::try_from(self).context("cannot encode the configuration")?;
        table.retain(|name, _| RunConfig::decides(name));
        Ok(table)
    }

    /// The settings that decide a result and differ from their defaults, by full key: the canonical form, of which
    /// identities are made. A new key with its default value does not change it.
    ///
    /// # Errors
    /// Settings that JSON cannot hold.
    pub fn canonical(&self) -> Result<BTreeMap<String, Value>> {
        let mut found = deviations(self, &RunConfig::default()).context("cannot encode the configuration")?;
        found.retain(|key, _| RunConfig::decides(key));
        Ok(found)
    }

    /// The first setting that decides a result and is another in `other`, by its full key.
    ///
    /// # Errors
    /// Settings that JSON cannot hold.
    pub fn decided_otherwise(&self, other: &RunConfig) -> Result<Option<String>> {
        Ok(deviations(self, other)?.into_keys().find(|key| RunConfig::decides(key)))
    }

    /// Whether the setting of this key, or a table's settings, decide a result: all but where and how wide a command runs.
    pub fn decides(key: &str) -> bool {
        !matches!(key.split('.').next(), Some("runtime" | "serving"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_run_is_in_range_and_differs_from_the_paper() {
        let small = RunConfig::small();
        small.check().unwrap();
        RunConfig::default().check().unwrap();
        // A key of a table that the embedded run changes in other keys keeps that table's own default.
        assert_eq!((small.prefer.train.learning_rate, small.prefer.train.warmup_fraction), (3e-5, 0.1));
        assert_eq!((RunConfig::default().prefer.train.epochs, RunConfig::default().value.epochs), (3, 7));
        let canonical = small.canonical().unwrap();
        assert_eq!(canonical["search.simulations"], 16);
        assert!(!canonical.keys().any(|key| key.starts_with("runtime")), "{canonical:?}");
    }

    #[test]
    fn what_decides_a_result_is_all_but_the_runtime() {
        let runtime = RuntimeConfig { device: "cuda".into(), threads: 8, max_rows: 1, cache_mib: 1, in_flight: 1 };
        let fast = RunConfig { runtime, ..RunConfig::default() };
        assert_eq!(fast.canonical().unwrap(), BTreeMap::new());
        assert_eq!(fast.deciding().unwrap(), RunConfig::default().deciding().unwrap());
        assert!(!fast.deciding().unwrap().contains_key("runtime"));
    }

    #[test]
    fn a_setting_out_of_range_is_named_with_its_tables() {
        let mut config = RunConfig::default();
        config.search.simulations = 0;
        assert_eq!(config.check().unwrap_err().to_string(), "search.simulations is 0, but must be at least 1");
        let mut config = RunConfig::default();
        config.sft.train.lora.alpha = f64::NAN;
        assert_eq!(config.check().unwrap_err().to_string(), "sft.train.lora.alpha is NaN, but must be above 0");
    }
}
