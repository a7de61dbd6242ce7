//! What an experiment compares, as a file says it.

use crate::config::RunConfig;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// An experiment's file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grid {
    /// Configuration of all runs, beside the file; the embedded run's if left out.
    pub config: Option<PathBuf>,
    /// Seeds of the runs.
    pub seeds: Vec<u64>,
    /// The method that the others are compared with.
    pub baseline: Option<String>,
    /// Settings of all runs, over the configuration's.
    #[serde(default)]
    pub base: Map<String, Value>,
    /// Settings of each method, over those.
    #[serde(default)]
    pub methods: BTreeMap<String, Map<String, Value>>,
    /// Values of single keys, of which every combination is run with every method.
    #[serde(default)]
    pub grid: BTreeMap<String, Vec<Value>>,
}

/// One setting of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// The method, and the point of the grid where there is one: `step_apo, prefer.train.learning_rate=1e-5`.
    pub name: String,
    /// The method alone.
    pub method: String,
    /// The point of the grid, as the name has it; empty without a grid.
    pub point: String,
    /// The configuration, but for name and seed.
    pub config: RunConfig,
}

impl Grid {
    /// Reads a grid and the configuration that it names.
    ///
    /// # Errors
    /// A file that is not there or no grid; a key that is no setting; a value out of its range.
    pub fn read(path: &Path) -> Result<(Grid, Vec<Cell>)> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
        let grid: Grid = toml::from_str(&text).with_context(|| format!("{shown} is no grid of an experiment"))?;
        let start = match &grid.config {
            None => RunConfig::small(),
            Some(config) => RunConfig::small().with_file(&path.parent().unwrap_or(Path::new("")).join(config))?,
        };
        let cells = grid.cells(&start).with_context(|| format!("in {shown}"))?;
        Ok((grid, cells))
    }

    /// The cells, methods in the order of their names, over a configuration.
    fn cells(&self, start: &RunConfig) -> Result<Vec<Cell>> {
        if self.methods.is_empty() || self.seeds.is_empty() {
            bail!("an experiment needs seeds and [methods.NAME], each with the settings that make it");
        }
        if let Some(baseline) = self.baseline.as_ref().filter(|name| !self.methods.contains_key(*name)) {
            bail!("baseline is {baseline:?}, but must be one of [methods]");
        }
        let base = start.with(self.base.clone()).context("[base]")?;
        let mut points = vec![BTreeMap::new()];
        for (key, values) in &self.grid {
            let of = |value: &Value| points.iter().map(|point| with(point, key, value)).collect::<Vec<_>>();
            points = values.iter().flat_map(of).collect();
        }
        let mut cells = Vec::new();
        for (method, settings) in &self.methods {
            if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)) {
                bail!("{method:?} is no name of a method: letters, digits, _ - . only, since it names a folder");
            }
            let own = base.with(settings.clone()).with_context(|| format!("[methods.{method}]"))?;
            for point in &points {
                let mut config = own.clone();
                for (key, value) in point {
                    config = config.with(nested(key, value.clone())).context("[grid]")?;
                }
                config.check().with_context(|| format!("[methods.{method}]"))?;
                let point = point.iter().map(|(key, value)| format!("{key}={}", plain(value)));
                let point = point.collect::<Vec<_>>().join(", ");
                let name = if point.is_empty() { method.clone() } else { format!("{method}, {point}") };
                cells.push(Cell { name, method: method.clone(), point, config });
            }
        }
        Ok(cells)
    }
}

fn with(point: &BTreeMap<String, Value>, key: &str, value: &Value) -> BTreeMap<String, Value> {
    let mut point = point.clone();
    point.insert(key.to_owned(), value.clone());
    point
}

/// A setting by its full key as tables within tables. What is behind a setting that is itself a table of names, such as
/// `prefer.parameters.beta`, is one of these names.
fn nested(key: &str, value: Value) -> Map<String, Value> {
    let wrapped = key.rsplit('.').fold(value, |inner, name| Value::Object(Map::from_iter([(name.to_owned(), inner)])));
    match wrapped {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A value without quotation marks.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join("+"),
        other => other.to_string(),
    }
}

impl Cell {
    /// The folder of its runs: its name, in letters that every file system takes.
    pub fn folder(&self) -> String {
        let taken = |c: char| if c.is_ascii_alphanumeric() || "_-.=+,".contains(c) { c } else { '_' };
        self.name.replace(", ", ",").chars().map(taken).collect()
    }
}

/// What two runs have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alike {
    /// Problems, first policy and warm start.
    Start,
    /// The first round's trees, too.
    Trees,
}

impl Alike {
    /// Whether a setting decides it.
    pub(super) fn is_decided_by(self, key: &str) -> bool {
        let table = key.split('.').next().unwrap_or(key);
        match self {
            Alike::Start => matches!(
                table,
                "seed"
                    | "rounds"
                    | "format"
                    | "task"
                    | "slots"
                    | "shots"
                    | "granularity"
                    | "problems"
                    | "model"
                    | "warm_start"
            ),
            Alike::Trees => !matches!(table, "round" | "sft" | "prefer" | "value" | "pairs" | "verifier"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(text: &str) -> Result<Vec<Cell>> {
        toml::from_str::<Grid>(text)?.cells(&RunConfig::small())
    }

    #[test]
    fn every_method_meets_every_point() {
        let found = cells(
            "seeds = [1]\n[base]\nrounds = 3\n[methods.apo.prefer]\nloss = \"step_apo\"\n[methods.dpo]\n\
             prefer.loss = \"step_dpo\"\nround.stages = [\"prefer\"]\n[grid]\n\
             \"prefer.train.learning_rate\" = [1e-5, 1e-4]\n\"prefer.parameters.beta\" = [0.1, 0.3, 1.0]\n",
        )
        .unwrap();
        assert_eq!(found.len(), 12);
        assert!(found.iter().all(|cell| cell.config.rounds == 3));
        let last = &found[11];
        assert_eq!(last.name, "dpo, prefer.parameters.beta=1.0, prefer.train.learning_rate=0.0001");
        assert_eq!(last.folder(), "dpo,prefer.parameters.beta=1.0,prefer.train.learning_rate=0.0001");
        let prefer = &last.config.prefer;
        assert_eq!(
            (prefer.loss.as_str(), prefer.train.learning_rate, prefer.parameters["beta"]),
            ("step_dpo", 1e-4, 1.0)
        );
        assert_eq!(found[0].config.prefer.loss, "step_apo");
    }

    #[test]
    fn what_is_no_grid_is_said() {
        let refused = |text: &str| format!("{:#}", cells(text).unwrap_err());
        assert!(refused("seeds = [1]").contains("[methods.NAME]"));
        assert!(refused("seeds = [1]\nbaseline = \"sft\"\n[methods.apo]").contains("baseline is \"sft\""));
        let unknown = refused("seeds = [1]\n[methods.apo.prefer]\nlos = \"dpo\"");
        assert!(unknown.contains("[methods.apo]") && unknown.contains("prefer.los is no setting"), "{unknown}");
        assert!(refused("seeds = [1]\n[methods.\"../x\"]").contains("names a folder"));
        assert!(refused("seeds = [1]\n[methods.a]\n[grid]\n\"search.simulations\" = [0]").contains("simulations is 0"));
        assert!(refused("seed = 1").contains("unknown field"));
    }

    #[test]
    fn trees_are_alike_where_only_the_learning_differs() {
        let of = |key: &str| [Alike::Start, Alike::Trees].map(|alike| alike.is_decided_by(key));
        for key in ["round.stages", "prefer.train.learning_rate", "pairs.rule"] {
            assert_eq!(of(key), [false, false], "{key}");
        }
        for key in ["search.k", "eval.max_tokens", "judging.judges", "values.device"] {
            assert_eq!(of(key), [false, true], "{key}");
        }
        for key in ["problems.per_round", "warm_start.epochs", "seed", "rounds", "model.layers"] {
            assert_eq!(of(key), [true, true], "{key}");
        }
    }
}
