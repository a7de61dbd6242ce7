//! Settings of judges that are programs.

use crate::scorer::Scope;
use espalier_settings::range::{above, at_least};
use espalier_settings::settings;

settings! {
    /// A judge that is a program.
    pub struct CommandConfig {
        /// What it looks at.
        pub scope: Scope = Scope::Path;
        /// Processes of it at a time.
        pub processes: usize = 2, at_least(1);
        /// Seconds for one question, after which its process is ended.
        pub timeout_s: f64 = 30.0, above(0);
        /// Seconds more for the first question of a process, which may have much to load.
        pub start_timeout_s: f64 = 120.0, at_least(0);
        /// Failures in a row after which it is asked no more.
        pub failures: u32 = 20, at_least(1);
    }
}
