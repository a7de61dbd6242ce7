//! The executables as a user runs them: real processes, real files.

#![allow(clippy::disallowed_methods, reason = "tests make and break files")]
#![allow(missing_docs, reason = "a test binary has no readers of its documentation")]

mod bad_input;
mod complete;
mod contract;
mod devices;
mod evaluation;
mod every_kill;
mod experiment;
mod files;
mod kill;
mod objectives;
mod preferences;
mod readme;
mod serve;
mod servers;
mod settings;
mod shards;
mod stages;
mod starts;
mod tiny;
mod untrusted;
mod values;
mod verifier;
mod whole_run;
