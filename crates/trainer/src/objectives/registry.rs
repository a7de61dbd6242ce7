//! All objectives by name.

use super::{
    About, ApoDown, ApoZero, BadParameter, Cdpo, Cpo, Dpo, Exo, FDpoAlpha, FDpoForwardKl, FDpoJs, Gspo, Hinge, Ipo,
    LipoLambda, ListInputs, ListObjective, ListOutput, LnDpo, MctsDpo, Nca, Orpo, PairInputs, PairObjective,
    PairOutput, PlackettLuce, Robust, Simpo, Slic, SppoHard, SppoSoft, StepApo, StepDpo, Tpo,
};
use crate::TrainerError;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Every objective.
pub const REGISTRY: &[Entry] = &[
    pair::<StepApo>(),
    pair::<StepDpo>(),
    pair::<Dpo>(),
    pair::<Cdpo>(),
    pair::<MctsDpo>(),
    pair::<Robust>(),
    pair::<Hinge>(),
    pair::<Ipo>(),
    pair::<Simpo>(),
    pair::<LnDpo>(),
    pair::<Slic>(),
    pair::<Orpo>(),
    pair::<Cpo>(),
    pair::<FDpoForwardKl>(),
    pair::<FDpoJs>(),
    pair::<FDpoAlpha>(),
    pair::<SppoHard>(),
    pair::<SppoSoft>(),
    pair::<Nca>(),
    pair::<Exo>(),
    pair::<ApoZero>(),
    pair::<ApoDown>(),
    list::<PlackettLuce>(),
    list::<LipoLambda>(),
    list::<Tpo>(),
    list::<Gspo>(),
];

/// Every objective with its parameters' defaults, its formula and its source, as a Markdown table.
pub fn table() -> String {
    let mut table = String::from("| `--loss` | value | parameters | source |\n|---|---|---|---|\n");
    for entry in REGISTRY {
        let About { name, formula, source, .. } = entry.about;
        let parameters: Vec<String> =
            entry.parameters().iter().map(|(name, value)| format!("{name} {value}")).collect();
        table += &format!("| `{name}` | `{formula}` | {} | {source} |\n", parameters.join(", "));
    }
    table
}

/// One objective of the [`REGISTRY`].
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Name, formula, source.
    pub about: About,
    /// Whether it takes all siblings of a state rather than pairs.
    pub over_lists: bool,
    defaults: fn() -> Value,
    build: fn(Value) -> Result<Loss, TrainerError>,
}

impl Entry {
    /// The parameters with their defaults.
    pub fn parameters(&self) -> BTreeMap<String, f64> {
        match (self.defaults)() {
            Value::Object(map) => map.into_iter().filter_map(|(k, v)| Some((k, v.as_f64()?))).collect(),
            _ => BTreeMap::new(),
        }
    }

    /// The objective with these parameters; those that are not named keep their defaults.
    pub fn build(&self, parameters: &BTreeMap<String, f64>) -> Result<Objective, TrainerError> {
        let mut all = self.parameters();
        for (name, &value) in parameters {
            let objective = self.about.name;
            match all.get_mut(name) {
                Some(_) if !value.is_finite() => {
                    return Err(TrainerError::ParameterNotFinite { objective, parameter: name.clone(), value });
                }
                Some(known) => *known = value,
                None => {
                    let known = all.into_keys().collect::<Vec<_>>().join(", ");
                    return Err(TrainerError::UnknownParameter { objective, parameter: name.clone(), known });
                }
            }
        }
        let values: Map<String, Value> = all.iter().map(|(k, &v)| (k.clone(), Value::from(v))).collect();
        Ok(Objective { loss: (self.build)(Value::Object(values))?, parameters: all, sft_weight: 0.0 })
    }
}

/// The entry called `name`.
pub fn entry(name: &str) -> Result<&'static Entry, TrainerError> {
    REGISTRY.iter().find(|e| e.about.name == name).ok_or_else(|| TrainerError::UnknownObjective {
        name: name.to_owned(),
        known: REGISTRY.iter().map(|e| e.about.name).collect::<Vec<_>>().join(", "),
    })
}

/// An objective with its parameters set, and what is composed with it.
#[derive(Debug)]
pub struct Objective {
    loss: Loss,
    parameters: BTreeMap<String, f64>,
    sft_weight: f64,
}

/// The loss of an [`Objective`].
#[derive(Debug)]
pub enum Loss {
    /// Takes pairs.
    Pair(Box<dyn ErasedPair>),
    /// Takes all siblings of a state.
    List(Box<dyn ErasedList>),
}

impl Objective {
    /// The objective called `name`, with `parameters` in place of its defaults.
    pub fn new(name: &str, parameters: &BTreeMap<String, f64>) -> Result<Objective, TrainerError> {
        entry(name)?.build(parameters)
    }

    /// Adds `-sft_weight * lp_w / len_w` to the loss of each pair (of the best sibling, for a list).
    #[must_use]
    pub fn with_sft_weight(self, sft_weight: f64) -> Objective {
        Objective { sft_weight, ..self }
    }

    /// Name, formula, source.
    pub fn about(&self) -> About {
        match &self.loss {
            Loss::Pair(o) => o.about(),
            Loss::List(o) => o.about(),
        }
    }

    /// The loss itself.
    pub fn loss(&self) -> &Loss {
        &self.loss
    }

    /// Weight of the composed likelihood term.
    pub fn sft_weight(&self) -> f64 {
        self.sft_weight
    }

    /// Fails if the composed term has no sensible weight.
    pub(crate) fn check_composition(&self) -> Result<(), TrainerError> {
        BadParameter::unless_not_negative("sft_weight", self.sft_weight)
            .map_err(|bad| bad_parameter(self.about(), &bad))
    }

    /// All that decides the loss, for records.
    pub(crate) fn describe(&self) -> Value {
        serde_json::json!({
            "name": self.about().name, "parameters": self.parameters, "sft_weight": self.sft_weight,
        })
    }
}

/// A [`PairObjective`] behind a pointer.
pub trait ErasedPair: std::fmt::Debug + Send + Sync {
    /// Name, formula, source.
    fn about(&self) -> About;
    /// See [`PairObjective::evaluate`].
    fn evaluate(&self, x: &PairInputs) -> PairOutput;
}

impl<T: PairObjective> ErasedPair for T {
    fn about(&self) -> About {
        T::ABOUT
    }
    fn evaluate(&self, x: &PairInputs) -> PairOutput {
        PairObjective::evaluate(self, x)
    }
}

/// A [`ListObjective`] behind a pointer.
pub trait ErasedList: std::fmt::Debug + Send + Sync {
    /// Name, formula, source.
    fn about(&self) -> About;
    /// See [`ListObjective::evaluate`].
    fn evaluate(&self, x: &ListInputs) -> ListOutput;
}

impl<T: ListObjective> ErasedList for T {
    fn about(&self) -> About {
        T::ABOUT
    }
    fn evaluate(&self, x: &ListInputs) -> ListOutput {
        ListObjective::evaluate(self, x)
    }
}

const fn pair<T: PairObjective>() -> Entry {
    Entry { about: T::ABOUT, over_lists: false, defaults: defaults::<T>, build: build_pair::<T> }
}

const fn list<T: ListObjective>() -> Entry {
    Entry { about: T::ABOUT, over_lists: true, defaults: defaults::<T>, build: build_list::<T> }
}

fn defaults<T: Default + serde::Serialize>() -> Value {
    serde_json::to_value(T::default()).unwrap_or(Value::Null)
}

fn build_pair<T: PairObjective>(values: Value) -> Result<Loss, TrainerError> {
    let objective: T = read(T::ABOUT, values)?;
    objective.check().map_err(|bad| bad_parameter(T::ABOUT, &bad))?;
    Ok(Loss::Pair(Box::new(objective)))
}

fn build_list<T: ListObjective>(values: Value) -> Result<Loss, TrainerError> {
    let objective: T = read(T::ABOUT, values)?;
    objective.check().map_err(|bad| bad_parameter(T::ABOUT, &bad))?;
    Ok(Loss::List(Box::new(objective)))
}

fn read<T: serde::de::DeserializeOwned>(about: About, values: Value) -> Result<T, TrainerError> {
    serde_json::from_value(values)
        .map_err(|e| TrainerError::BadParameters { objective: about.name, reason: e.to_string() })
}

fn bad_parameter(about: About, bad: &BadParameter) -> TrainerError {
    TrainerError::BadParameter { objective: about.name, parameter: bad.name, value: bad.value, must: bad.must }
}
