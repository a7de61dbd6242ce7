//! The flags of a command that are settings: made from the settings' declarations, laid over a file, or only printed.

use super::flag::Group;
use anyhow::{Context, Result};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use espalier_rounds::config::RunConfig;
use espalier_settings::{Kind, Reference};
use serde_json::{Map, Value};
use std::marker::PhantomData;
use std::path::PathBuf;

const FILE: &str = "config";
const PRINT: &str = "print-config";

/// The settings that a command takes as flags.
pub trait Keys: 'static {
    /// The flags.
    const FLAGS: &'static [Group];

    /// What the help shows as defaults; nothing where they are not known before the command runs.
    fn defaults() -> Option<RunConfig> {
        Some(RunConfig::default())
    }

    /// What file and flags are laid over, by the command's other arguments.
    ///
    /// # Errors
    /// Arguments that name no configuration.
    fn base(_given: &ArgMatches) -> Result<RunConfig> {
        Ok(Self::defaults().unwrap_or_default())
    }
}

/// The configuration of a command: `--config`, the flags of `K`, and `--print-config`, for which see [`print_config`].
pub struct ConfigArgs<K> {
    file: Option<PathBuf>,
    flags: Map<String, Value>,
    keys: PhantomData<fn() -> K>,
}

impl<K: Keys> ConfigArgs<K> {
    /// The configuration over the defaults that the help shows.
    ///
    /// # Errors
    /// As [`over`](ConfigArgs::over).
    pub fn resolve(&self) -> Result<RunConfig> {
        self.over(&K::defaults().unwrap_or_default())
    }

    /// The configuration over `base`.
    ///
    /// # Errors
    /// A file that cannot be read, a key that is none, a value out of its range, a device that is not there.
    pub fn over(&self, base: &RunConfig) -> Result<RunConfig> {
        let config = self.unchecked(base)?;
        config.check()?;
        #[cfg(feature = "local")]
        espalier_rounds::stage::policy_model::device(&config.runtime)?;
        Ok(config)
    }

    /// What a flag says, if it was given.
    pub fn flag(&self, key: &str) -> Option<&Value> {
        let (tables, name) = key.rsplit_once('.').unwrap_or(("", key));
        let tables = tables.split('.').filter(|table| !table.is_empty());
        let table = tables.into_iter().try_fold(&self.flags, |at, table| at.get(table)?.as_object());
        table?.get(name)
    }

    fn unchecked(&self, base: &RunConfig) -> Result<RunConfig> {
        let config = match &self.file {
            Some(path) => base.with_file(path)?,
            None => base.clone(),
        };
        config.with(self.flags.clone())
    }
}

/// The configuration that a command resolves to, as TOML that can be given back; nothing if it was not asked for.
///
/// # Errors
/// As [`ConfigArgs::over`], but for the device, which may be another machine's.
pub fn print_config<K: Keys>(given: &ArgMatches) -> Result<Option<String>> {
    if !given.get_flag(PRINT) {
        return Ok(None);
    }
    let config = ConfigArgs::<K>::from_arg_matches(given)?.unchecked(&K::base(given)?)?;
    config.check()?;
    toml::to_string_pretty(&config).context("cannot encode the configuration").map(Some)
}

impl<K: Keys> Args for ConfigArgs<K> {
    fn augment_args(command: Command) -> Command {
        let defaults = K::defaults();
        let reference = Reference::of(&defaults.clone().unwrap_or_default());
        let file = Arg::new(FILE).long(FILE).value_name("FILE").value_parser(clap::value_parser!(PathBuf));
        let file = file.help("TOML file with the keys that step-train settings lists; flags win over it");
        let print = Arg::new(PRINT).long(PRINT).action(ArgAction::SetTrue);
        let print = print.help("Print the configuration that comes out, as TOML, and do nothing else");
        let flags = K::FLAGS.iter().flat_map(|group| {
            let (reference, shows) = (&reference, defaults.is_some());
            group.flags.iter().map(move |flag| flag.argument(reference, group.table, shows))
        });
        command.arg(file).arg(print).args(flags)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<K: Keys> FromArgMatches for ConfigArgs<K> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let reference = Reference::of(&RunConfig::default());
        let mut flags = Map::new();
        for (table, flag) in K::FLAGS.iter().flat_map(|group| group.flags.iter().map(|flag| (group.table, flag))) {
            let entry = flag.entry(&reference, table);
            if matches.value_source(&entry.key) == Some(ValueSource::CommandLine) {
                let values = matches.get_many::<Value>(&entry.key).into_iter().flatten().cloned();
                insert(&mut flags, &entry.key, value_of(&entry.kind, values));
            }
        }
        Ok(ConfigArgs { file: matches.get_one(FILE).cloned(), flags, keys: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Several values of one flag as the setting has them.
fn value_of(kind: &Kind, values: impl Iterator<Item = Value>) -> Value {
    match kind {
        Kind::List(_) => Value::Array(values.collect()),
        Kind::Numbers | Kind::Texts => {
            Value::Object(values.filter_map(|one| one.as_object().cloned()).flatten().collect::<Map<_, _>>())
        }
        _ => values.last().unwrap_or_default(),
    }
}

/// Puts a value into the tables of its key.
fn insert(at: &mut Map<String, Value>, key: &str, value: Value) {
    let Some((table, rest)) = key.split_once('.') else {
        at.insert(key.to_owned(), value);
        return;
    };
    if let Value::Object(table) = at.entry(table).or_insert_with(|| Map::new().into()) {
        insert(table, rest, value);
    }
}
