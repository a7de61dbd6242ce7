//! The reference of all settings, as `step-train settings` prints it.
//!
#![doc = include_str!("reference.md")]

use super::RunConfig;
use espalier_settings::Reference;

const HEAD: &str = "\
# Settings

Every key of a configuration file, with the default of the paper's setting. `step-train init` without `--policy` and
`step-train experiment` lay `small.toml`, the embedded run, over them. A file is given by `--config FILE`; flags win over it;
`--print-config` prints what comes out. An unknown key is refused. What is not set may be left out.

";

/// The page that `step-train settings` prints: all settings, table by table, as Markdown.
pub fn page() -> String {
    HEAD.to_owned() + &Reference::of(&RunConfig::default()).markdown()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_stored_page_is_the_printed_one() {
        let stored = include_str!("reference.md");
        assert!(
            stored == super::page(),
            "settings have changed: cargo run --release --bin step-train settings > crates/rounds/src/config/reference.md"
        );
    }
}
