//! The columns of the two tables, exactly as files hold them.
//!
//! A column that is said to be a *dictionary* is one for readers that know Arrow's types, such as pyarrow and pandas; in
//! Parquet's own types, which all others see, it is a dictionary-encoded string.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// Version of the `trees` columns; a reader refuses any other.
pub const TREES_FORMAT_VERSION: u32 = 1;

/// Version of the `pairs` columns; a reader refuses any other.
pub const PAIRS_FORMAT_VERSION: u32 = 1;

/// Key of the format version in a file's metadata.
pub const FORMAT_VERSION_KEY: &str = "espalier.format_version";

/// Before a judge's name in the name of its column.
pub(crate) const JUDGE_COLUMN: &str = "judge_";

/// A string of few different values, for which one byte a row is enough.
pub(crate) fn names() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8))
}

/// A long string that many rows share.
pub(crate) fn shared_text() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// The one field of a list type.
pub(crate) fn element(of: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", of, false))
}

fn list(of: DataType) -> DataType {
    DataType::List(element(of))
}

fn required(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, false)
}

fn optional(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

/// The columns of `trees`: one row per node, the rows of a tree contiguous, parents before children.
///
/// | column | meaning |
/// |---|---|
/// | `run_id` .. `tree_seed` | the tree's [`TreeInfo`](crate::TreeInfo), the same in all its rows |
/// | `node_id`, `parent_id` | place in the tree; `parent_id` is null at the root |
/// | `depth` | steps from the root |
/// | `kind`, `ending` | [`Kind`](crate::Kind) and [`Ending`](crate::Ending) by name |
/// | `text`, `token_ids` | the step as sampled; the rendered prompt at the root |
/// | `logprobs` | natural log, temperature 1, one a token; zeros at the root, which was not sampled |
/// | `prior` | P(step given state); 1 at the root |
/// | `visits`, `value_sum` | N and W |
/// | `q`, `v`, `advantage` | derived: W / N (0 if N = 0), the state's value from its children (null at a leaf), Q - V(parent) (null at the root) |
/// | `value_estimate` | the value head's own estimate, null if none was made |
/// | `reward` | verified outcome in [-1, 1], null unless the path ends here |
/// | `answer` | what was found in the box of a solution, else null |
/// | `judge_NAME` | for each of `judges`, if there are any: what it said of the step, in [0, 1]; null where it was not asked or could not speak |
pub fn trees_schema(judges: &[String]) -> SchemaRef {
    let mut columns = vec![
        required("run_id", DataType::Utf8),
        required("round", DataType::UInt32),
        required("problem_id", DataType::Utf8),
        required("question", shared_text()),
        required("reference_answer", DataType::Utf8),
        required("tree_seed", DataType::UInt64),
        required("node_id", DataType::UInt32),
        optional("parent_id", DataType::UInt32),
        required("depth", DataType::UInt16),
        required("kind", names()),
        required("text", DataType::Utf8),
        required("token_ids", list(DataType::UInt32)),
        required("logprobs", list(DataType::Float32)),
        required("prior", DataType::Float32),
        required("visits", DataType::UInt32),
        required("value_sum", DataType::Float64),
        required("q", DataType::Float32),
        optional("v", DataType::Float32),
        optional("advantage", DataType::Float32),
        optional("value_estimate", DataType::Float32),
        optional("reward", DataType::Float32),
        required("ending", names()),
        optional("answer", DataType::Utf8),
    ];
    columns.extend(judges.iter().map(|name| optional(&format!("{JUDGE_COLUMN}{name}"), DataType::Float32)));
    Arc::new(Schema::new(columns))
}

/// The columns of `pairs`: one row per [`StepPair`](crate::StepPair), the columns named as its fields.
pub fn pairs_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        required("prompt", DataType::Utf8),
        required("chosen", DataType::Utf8),
        required("rejected", DataType::Utf8),
        required("prompt_ids", list(DataType::UInt32)),
        required("chosen_ids", list(DataType::UInt32)),
        required("rejected_ids", list(DataType::UInt32)),
        required("chosen_logprobs", list(DataType::Float32)),
        required("rejected_logprobs", list(DataType::Float32)),
        required("q_chosen", DataType::Float32),
        required("q_rejected", DataType::Float32),
        required("advantage_chosen", DataType::Float32),
        required("advantage_rejected", DataType::Float32),
        required("visits_chosen", DataType::UInt32),
        required("visits_rejected", DataType::UInt32),
        required("weight", DataType::Float32),
        required("kind", names()),
        required("depth", DataType::UInt16),
        required("problem_id", DataType::Utf8),
        required("round", DataType::UInt32),
        required("state_node", DataType::UInt32),
        required("chosen_node", DataType::UInt32),
        required("rejected_node", DataType::UInt32),
    ]))
}
