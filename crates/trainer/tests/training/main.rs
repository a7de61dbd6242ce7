//! Whole training stages on a tiny model.

#![allow(clippy::disallowed_methods, reason = "tests make and break files")]

mod held_out;
mod joint;
mod memory;
#[path = "../../examples/own_pairs.rs"]
mod own_pairs;
mod preference;
mod resume;
mod sft;
mod toy;
mod value;
mod verifier;

#[test]
fn the_example_of_own_pairs_runs() {
    own_pairs::main().expect("the example");
}
