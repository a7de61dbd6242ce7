//! Trees as rows, column by column, and back.

use crate::arena::{Ending, Kind, NodeId, StoredStep, Tree, TreeInfo};
use crate::columns::{Columns, Lists};
use crate::error::TreeError;
use crate::names::Named;
use crate::schema::{JUDGE_COLUMN, element, trees_schema};
use arrow::array::{
    Array, ArrayRef, Float32Array, Float32Builder, Float64Builder, ListBuilder, RecordBatch, StringArray,
    StringBuilder, StringDictionaryBuilder, UInt16Builder, UInt32Array, UInt32Builder, UInt64Builder,
};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Int32Type, SchemaRef, UInt32Type, UInt64Type};
use arrow::error::ArrowError;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

/// Collects the rows of trees in column builders; nothing is allocated per node.
pub(crate) struct TreeRows {
    schema: SchemaRef,
    rows: usize,
    run_id: StringBuilder,
    round: UInt32Builder,
    problem_id: StringBuilder,
    question: StringDictionaryBuilder<Int32Type>,
    reference_answer: StringBuilder,
    tree_seed: UInt64Builder,
    node_id: UInt32Builder,
    parent_id: UInt32Builder,
    depth: UInt16Builder,
    kind: Vec<i8>,
    text: StringBuilder,
    token_ids: ListBuilder<UInt32Builder>,
    logprobs: ListBuilder<Float32Builder>,
    prior: Float32Builder,
    visits: UInt32Builder,
    value_sum: Float64Builder,
    q: Float32Builder,
    v: Float32Builder,
    advantage: Float32Builder,
    value_estimate: Float32Builder,
    reward: Float32Builder,
    ending: Vec<i8>,
    answer: StringBuilder,
    judges: Vec<(String, Float32Builder)>,
    /// V of each node of the tree at hand; children look their parent's up.
    state_values: Vec<Option<f64>>,
}

impl TreeRows {
    /// No rows yet; they will have columns for these judges.
    pub(crate) fn new(judges: &[String]) -> TreeRows {
        TreeRows {
            schema: trees_schema(judges),
            rows: 0,
            run_id: StringBuilder::new(),
            round: UInt32Builder::new(),
            problem_id: StringBuilder::new(),
            question: StringDictionaryBuilder::new(),
            reference_answer: StringBuilder::new(),
            tree_seed: UInt64Builder::new(),
            node_id: UInt32Builder::new(),
            parent_id: UInt32Builder::new(),
            depth: UInt16Builder::new(),
            kind: Vec::new(),
            text: StringBuilder::new(),
            token_ids: ListBuilder::new(UInt32Builder::new()).with_field(element(DataType::UInt32)),
            logprobs: ListBuilder::new(Float32Builder::new()).with_field(element(DataType::Float32)),
            prior: Float32Builder::new(),
            visits: UInt32Builder::new(),
            value_sum: Float64Builder::new(),
            q: Float32Builder::new(),
            v: Float32Builder::new(),
            advantage: Float32Builder::new(),
            value_estimate: Float32Builder::new(),
            reward: Float32Builder::new(),
            ending: Vec::new(),
            answer: StringBuilder::new(),
            judges: judges.iter().map(|name| (name.clone(), Float32Builder::new())).collect(),
            state_values: Vec::new(),
        }
    }

    /// Number of rows collected since the last [`take`](Self::take).
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Appends one row for each node of a tree.
    ///
    /// # Errors
    /// When the collected rows hold more different questions than a 32-bit key can name.
    pub(crate) fn append(&mut self, tree: &Tree) -> Result<(), ArrowError> {
        let n = tree.len();
        self.rows += n;
        let info = &tree.info;
        for _ in 0..n {
            self.run_id.append_value(&info.run_id);
            self.problem_id.append_value(&info.problem_id);
            self.reference_answer.append_value(&info.reference_answer);
        }
        self.question.append_n(&info.question, n)?;
        self.round.append_value_n(info.round, n);
        self.tree_seed.append_value_n(info.tree_seed, n);

        self.state_values.clear();
        self.state_values.extend(tree.ids().map(|id| tree.state_value(id)));
        for id in tree.ids() {
            let node = tree.node(id);
            let parent = tree.parent(id);
            let q = node.q();
            let advantage = parent.and_then(|parent| self.state_values[parent.0 as usize]).map(|v| q - v);
            self.node_id.append_value(id.0);
            self.parent_id.append_option(parent.map(|parent| parent.0));
            self.depth.append_value(node.depth);
            self.kind.push(node.kind.code());
            self.text.append_value(tree.text(id));
            self.token_ids.values().append_slice(tree.token_ids(id));
            self.token_ids.append(true);
            self.logprobs.values().append_slice(tree.logprobs(id));
            self.logprobs.append(true);
            self.prior.append_value(node.prior);
            self.visits.append_value(node.visits);
            self.value_sum.append_value(node.value_sum);
            self.q.append_value(q as f32);
            self.v.append_option(self.state_values[id.0 as usize].map(|v| v as f32));
            self.advantage.append_option(advantage.map(|a| a as f32));
            self.value_estimate.append_option(node.value_estimate());
            self.reward.append_option(node.reward());
            self.ending.push(node.ending.code());
            self.answer.append_option(tree.answer(id));
        }
        for (name, column) in &mut self.judges {
            // A judge that this tree does not know said nothing.
            let judge = tree.judges().iter().position(|known| known == name);
            let score = |id| judge.map(|judge| tree.scores(id)[judge]).filter(|score| !score.is_nan());
            tree.ids().for_each(|id| column.append_option(score(id)));
        }
        Ok(())
    }

    /// The rows collected so far; the builders are empty afterwards.
    pub(crate) fn take(&mut self) -> Result<RecordBatch, ArrowError> {
        self.rows = 0;
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.run_id.finish()),
            Arc::new(self.round.finish()),
            Arc::new(self.problem_id.finish()),
            Arc::new(self.question.finish()),
            Arc::new(self.reference_answer.finish()),
            Arc::new(self.tree_seed.finish()),
            Arc::new(self.node_id.finish()),
            Arc::new(self.parent_id.finish()),
            Arc::new(self.depth.finish()),
            Kind::column(std::mem::take(&mut self.kind))?,
            Arc::new(self.text.finish()),
            Arc::new(self.token_ids.finish()),
            Arc::new(self.logprobs.finish()),
            Arc::new(self.prior.finish()),
            Arc::new(self.visits.finish()),
            Arc::new(self.value_sum.finish()),
            Arc::new(self.q.finish()),
            Arc::new(self.v.finish()),
            Arc::new(self.advantage.finish()),
            Arc::new(self.value_estimate.finish()),
            Arc::new(self.reward.finish()),
            Ending::column(std::mem::take(&mut self.ending))?,
            Arc::new(self.answer.finish()),
        ];
        columns.extend(self.judges.iter_mut().map(|(_, column)| Arc::new(column.finish()) as ArrayRef));
        RecordBatch::try_new(self.schema.clone(), columns)
    }
}

/// The measured columns of a batch; the derived ones (`q`, `v`, `advantage`, `depth`) follow from them and are not read.
struct NodeColumns {
    run_id: StringArray,
    round: ScalarBuffer<u32>,
    problem_id: StringArray,
    question: StringArray,
    reference_answer: StringArray,
    tree_seed: ScalarBuffer<u64>,
    node_id: ScalarBuffer<u32>,
    parent_id: UInt32Array,
    kind: StringArray,
    text: StringArray,
    token_ids: Lists<UInt32Type>,
    logprobs: Lists<Float32Type>,
    prior: ScalarBuffer<f32>,
    visits: ScalarBuffer<u32>,
    value_sum: ScalarBuffer<f64>,
    value_estimate: Float32Array,
    reward: Float32Array,
    ending: StringArray,
    answer: StringArray,
    judges: Arc<[String]>,
    /// One column a judge.
    scores: Vec<Float32Array>,
}

impl NodeColumns {
    fn of(batch: &RecordBatch, path: &Path) -> Result<NodeColumns, TreeError> {
        let columns = Columns { batch, path };
        let schema = batch.schema();
        let named =
            |field: &Arc<Field>| Some((field.name().strip_prefix(JUDGE_COLUMN)?.to_owned(), field.name().clone()));
        let (judges, names): (Vec<_>, Vec<_>) = schema.fields().iter().filter_map(named).unzip();
        Ok(NodeColumns {
            run_id: columns.strings("run_id")?,
            round: columns.numbers::<UInt32Type>("round")?,
            problem_id: columns.strings("problem_id")?,
            question: columns.strings("question")?,
            reference_answer: columns.strings("reference_answer")?,
            tree_seed: columns.numbers::<UInt64Type>("tree_seed")?,
            node_id: columns.numbers::<UInt32Type>("node_id")?,
            parent_id: columns.optional_numbers::<UInt32Type>("parent_id")?,
            kind: columns.strings("kind")?,
            text: columns.strings("text")?,
            token_ids: columns.lists::<UInt32Type>("token_ids")?,
            logprobs: columns.lists::<Float32Type>("logprobs")?,
            prior: columns.numbers::<Float32Type>("prior")?,
            visits: columns.numbers::<UInt32Type>("visits")?,
            value_sum: columns.numbers::<Float64Type>("value_sum")?,
            value_estimate: columns.optional_numbers::<Float32Type>("value_estimate")?,
            reward: columns.optional_numbers::<Float32Type>("reward")?,
            ending: columns.strings("ending")?,
            answer: columns.optional_strings("answer")?,
            judges: judges.into(),
            scores: names.iter().map(|name| columns.optional_numbers::<Float32Type>(name)).collect::<Result<_, _>>()?,
        })
    }

    fn info(&self, row: usize) -> TreeInfo {
        TreeInfo {
            run_id: self.run_id.value(row).to_owned(),
            round: self.round[row],
            problem_id: self.problem_id.value(row).to_owned(),
            question: self.question.value(row).to_owned(),
            reference_answer: self.reference_answer.value(row).to_owned(),
            tree_seed: self.tree_seed[row],
        }
    }

    fn root(&self, row: usize) -> Result<Tree, String> {
        if self.kind.value(row) != Kind::Root.name() {
            return Err(format!("a root has the kind {}", self.kind.value(row)));
        }
        let mut tree = Tree::new(self.info(row), self.text.value(row), self.token_ids.get(row));
        tree.set_statistics(NodeId::ROOT, self.visits[row], self.value_sum[row]);
        tree.set_ending(NodeId::ROOT, named(&self.ending, row)?);
        if let Some(value) = optional(&self.value_estimate, row) {
            tree.set_value_estimate(NodeId::ROOT, value);
        }
        tree.set_judges(Arc::clone(&self.judges));
        self.judge(&mut tree, NodeId::ROOT, row);
        Ok(tree)
    }

    /// Records what the judges said of the node in this row, if it is of the same file as the tree's root.
    fn judge(&self, tree: &mut Tree, id: NodeId, row: usize) {
        if !self.scores.is_empty() && tree.judges() == &*self.judges {
            let scores = self.scores.iter().map(|column| optional(column, row).unwrap_or(f32::NAN));
            tree.set_scores(id, &scores.collect::<Vec<f32>>());
        }
    }

    fn step(&self, row: usize) -> Result<StoredStep<'_>, String> {
        Ok(StoredStep {
            parent: self.parent_id.value(row),
            kind: named(&self.kind, row)?,
            ending: named(&self.ending, row)?,
            text: self.text.value(row),
            token_ids: self.token_ids.get(row),
            logprobs: self.logprobs.get(row),
            prior: self.prior[row],
            visits: self.visits[row],
            value_sum: self.value_sum[row],
            value_estimate: optional(&self.value_estimate, row),
            reward: optional(&self.reward, row),
            answer: self.answer.is_valid(row).then(|| self.answer.value(row)),
        })
    }
}

fn optional(column: &Float32Array, row: usize) -> Option<f32> {
    column.is_valid(row).then(|| column.value(row))
}

fn named<T: Named>(column: &StringArray, row: usize) -> Result<T, String> {
    let name = column.value(row);
    T::from_name(name).ok_or_else(|| format!("{name:?} is no kind or ending of a node"))
}

/// Puts trees together from batches, whose borders may fall inside a tree.
#[derive(Default)]
pub(crate) struct Assembler {
    unfinished: Option<Tree>,
    row: u64,
}

impl Assembler {
    /// Reads a batch and appends the trees that it completes to `trees`.
    pub(crate) fn add(
        &mut self,
        batch: &RecordBatch,
        path: &Path,
        trees: &mut VecDeque<Tree>,
    ) -> Result<(), TreeError> {
        let columns = NodeColumns::of(batch, path)?;
        for row in 0..batch.num_rows() {
            self.add_row(&columns, row, trees).map_err(|reason| TreeError::Row {
                path: path.to_owned(),
                row: self.row,
                reason,
            })?;
            self.row += 1;
        }
        Ok(())
    }

    fn add_row(&mut self, columns: &NodeColumns, row: usize, trees: &mut VecDeque<Tree>) -> Result<(), String> {
        let node_id = columns.node_id[row];
        if columns.parent_id.is_null(row) {
            if node_id != 0 {
                return Err(format!("node {node_id} has no parent, but is not 0, the root"));
            }
            trees.extend(self.unfinished.replace(columns.root(row)?));
            return Ok(());
        }
        let Some(tree) = &mut self.unfinished else {
            return Err(format!("the file begins with node {node_id}, not with a root"));
        };
        if node_id as usize != tree.len() {
            return Err(format!("node {} is expected, but node {node_id} is there", tree.len()));
        }
        let id = tree.restore_step(&columns.step(row)?)?;
        columns.judge(tree, id, row);
        Ok(())
    }

    /// The last tree, after the last batch.
    pub(crate) fn finish(&mut self) -> Option<Tree> {
        self.unfinished.take()
    }
}

#[cfg(test)]
mod tests;
