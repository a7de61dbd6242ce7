//! Settings, each declared once.
//!
//! ```text
//!                       ┌─► the struct, its documentation, Default, serde (unknown keys refused)
//!  settings! { .. } ────┼─► check(): "search.simulations is 0, but must be at least 1"
//!   key, type, default, └─► Reference: every Entry ─┬─► flags: help, default, possible values, parser
//!   range, sentence                                 ├─► overlay(): defaults, then files, then flags
//!                                                   └─► the printed reference
//!  deviations(): what differs from the defaults, by key: the canonical form, of which identities are made
//! ```
//!
//! [`settings!`] declares a table, [`choices!`] an enum of named values, [`forms!`] lets a type with several written forms
//! be a setting. A crate declares the settings of its own subject; the configuration of a program is a table of those
//! tables. Nothing here knows flags, files or any subject.
//!
//! ```
//! use espalier_settings::range::at_least;
//! use espalier_settings::{deviations, overlay, settings};
//!
//! settings! {
//!     /// Tree search.
//!     pub struct Search {
//!         /// Simulations a tree.
//!         pub simulations: u32 = 200, at_least(1);
//!         /// Exploration constant.
//!         pub c_puct: f64 = 1.5, at_least(0);
//!     }
//! }
//!
//! let given = serde_json::json!({ "simulations": 16 });
//! let search = overlay(&Search::default(), given)?;
//! assert_eq!((search.simulations, search.c_puct), (16, 1.5));
//! assert_eq!(serde_json::to_string(&deviations(&search, &Search::default())?)?, r#"{"simulations":16}"#);
//!
//! let mistyped = overlay(&search, serde_json::json!({ "simulation": 16 })).unwrap_err();
//! assert_eq!(mistyped.to_string(), "simulation is no setting; the outermost table has simulations, c_puct");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod choice;
mod declare;
mod deviations;
mod entry;
mod error;
mod kind;
mod overlay;
pub mod range;
mod reference;
mod setting;
#[cfg(test)]
mod tests;

pub use choice::Choice;
pub use deviations::deviations;
pub use entry::{Entry, Place, Table};
pub use error::{OutOfRange, SettingError};
pub use kind::{Kind, Name};
pub use overlay::overlay;
pub use reference::Reference;
pub use setting::Setting;

#[doc(hidden)]
pub use declare::read_form;
#[doc(hidden)]
pub use error::join;
#[doc(hidden)]
pub use serde_json::Value;
