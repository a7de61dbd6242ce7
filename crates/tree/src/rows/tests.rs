//! Tests of rows: what is written where, and that everything comes back.

use super::*;
use crate::grown::{any_tree, grown, info, solution, step};
use arrow::array::AsArray;
use arrow::compute::concat_batches;
use proptest::prelude::*;

fn rows_of(trees: &[Tree]) -> RecordBatch {
    let mut rows = TreeRows::new(&[]);
    for tree in trees {
        rows.append(tree).unwrap();
    }
    assert_eq!(rows.rows(), trees.iter().map(Tree::len).sum::<usize>());
    rows.take().unwrap()
}

fn trees_of(batches: &[RecordBatch]) -> Result<Vec<Tree>, TreeError> {
    let (mut assembler, mut trees) = (Assembler::default(), VecDeque::new());
    for batch in batches {
        assembler.add(batch, Path::new("rows"), &mut trees)?;
    }
    trees.extend(assembler.finish());
    Ok(trees.into())
}

/// A batch with one column put in place of another.
fn with_column(batch: &RecordBatch, name: &str, column: ArrayRef) -> RecordBatch {
    let schema = batch.schema();
    let mut columns = batch.columns().to_vec();
    columns[schema.index_of(name).unwrap()] = column;
    let named = schema.fields().iter().zip(columns).map(|(field, column)| (field.name().clone(), column, true));
    RecordBatch::try_from_iter_with_nullable(named).unwrap()
}

fn error_of(batch: &RecordBatch) -> String {
    trees_of(std::slice::from_ref(batch)).unwrap_err().to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn trees_come_back_from_rows(trees in prop::collection::vec(any_tree(), 0..4), cut in any::<prop::sample::Index>()) {
        let batch = rows_of(&trees);
        prop_assert_eq!(&trees_of(std::slice::from_ref(&batch)).unwrap(), &trees);
        // Also if a batch ends in the middle of a tree.
        let cut = cut.index(batch.num_rows() + 1);
        let halves = [batch.slice(0, cut), batch.slice(cut, batch.num_rows() - cut)];
        prop_assert_eq!(&trees_of(&halves).unwrap(), &trees);
    }
}

#[test]
fn builders_start_anew_after_each_batch() {
    let trees = [grown(1, 20), grown(2, 20)];
    let mut rows = TreeRows::new(&[]);
    let batches = trees.each_ref().map(|tree| {
        rows.append(tree).unwrap();
        rows.take().unwrap()
    });
    assert_eq!(rows.rows(), 0);
    assert_eq!(concat_batches(&trees_schema(&[]), &batches).unwrap().num_rows(), trees[0].len() + trees[1].len());
    assert_eq!(trees_of(&batches).unwrap(), trees);
}

#[test]
fn derived_columns_hold_the_numbers_of_the_algorithm() {
    let mut tree = Tree::new(info("p"), "Q:", &[1]);
    tree.expand(NodeId::ROOT, &[step(Kind::Plan, "a", 2), step(Kind::Plan, "b", 3), step(Kind::Plan, "c", 4)]);
    tree.expand(NodeId(1), &[solution("x", 5, 1.0)]);
    for (node, value) in [(0, 0.25), (1, 0.5), (2, -0.25), (4, 1.0)] {
        tree.back_up(NodeId(node), value);
    }
    tree.set_value_estimate(NodeId(1), 0.5);
    let batch = rows_of(&[tree]);
    let column = |name| batch.column_by_name(name).unwrap().clone();
    let floats = |name| column(name).as_primitive::<Float32Type>().iter().collect::<Vec<Option<f32>>>();
    // N: root 4, a 2, b 1, c 0, x 1. W: 1.5, 1.5, -0.25, 0, 1. V(root) = (1.5 - 0.25 + 0) / 3.
    let v = (1.25_f64 / 3.0) as f32;
    let a = |q: f64| Some((q - 1.25 / 3.0) as f32);
    assert_eq!(column("visits").as_primitive::<UInt32Type>().values(), &[4, 2, 1, 0, 1]);
    assert_eq!(floats("q"), [0.375, 0.75, -0.25, 0.0, 1.0].map(Some));
    assert_eq!(floats("v"), [Some(v), Some(1.0), None, None, None]);
    assert_eq!(floats("advantage"), [None, a(0.75), a(-0.25), a(0.0), Some(0.0)]);
    assert_eq!(floats("value_estimate"), [None, Some(0.5), None, None, None]);
    assert_eq!(floats("reward"), [None, None, None, None, Some(1.0)]);
    assert_eq!(floats("prior"), [1.0, 0.6, 0.6, 0.6, 0.6].map(Some));
    let parents = column("parent_id").as_primitive::<UInt32Type>().iter().collect::<Vec<_>>();
    assert_eq!(parents, [None, Some(0), Some(0), Some(0), Some(1)]);
    let answers = column("answer");
    assert_eq!(answers.as_string::<i32>().iter().collect::<Vec<_>>(), [None, None, None, None, Some("7")]);
}

#[test]
fn derived_columns_are_not_read() {
    let tree = grown(3, 30);
    let mut batch = rows_of(std::slice::from_ref(&tree));
    for name in ["q", "v", "advantage", "depth"] {
        batch = with_column(&batch, name, Arc::new(StringArray::from_iter_values((0..tree.len()).map(|_| "?"))));
    }
    assert_eq!(trees_of(&[batch]).unwrap(), [tree]);
}

#[test]
fn wrong_columns_are_named() {
    let tree = grown(4, 10);
    let batch = rows_of(std::slice::from_ref(&tree));
    let n = tree.len();

    let mut without = batch.clone();
    without.remove_column(batch.schema().index_of("visits").unwrap());
    assert_eq!(error_of(&without), "column visits of rows is missing; it must be UInt32");

    let words: ArrayRef = Arc::new(StringArray::from_iter_values((0..n).map(|_| "many")));
    let message = error_of(&with_column(&batch, "visits", words));
    assert!(message.starts_with("column visits of rows is Utf8 ("), "{message}");

    let negative: ArrayRef = Arc::new(arrow::array::Int64Array::from(vec![-1; n]));
    let message = error_of(&with_column(&batch, "visits", negative));
    assert!(message.starts_with("column visits of rows is Int64 ("), "{message}");

    let nulls: ArrayRef = Arc::new(UInt32Array::from(vec![None; n]));
    assert_eq!(
        error_of(&with_column(&batch, "visits", nulls)),
        format!("column visits of rows has {n} nulls; it must be UInt32")
    );

    let other = |tree: &Tree| -> ArrayRef {
        Arc::new(StringArray::from_iter_values((0..tree.len()).map(|row| if row == 2 { "thought" } else { "root" })))
    };
    let message = error_of(&with_column(&batch, "ending", other(&tree)));
    assert_eq!(message, "row 0 of rows: \"root\" is no kind or ending of a node");
}

#[test]
fn types_that_other_programs_write_are_taken() {
    let tree = grown(5, 10);
    let mut batch = rows_of(std::slice::from_ref(&tree));
    for (name, other) in [
        ("text", DataType::LargeUtf8),
        ("question", DataType::Utf8View),
        ("kind", DataType::Utf8),
        ("visits", DataType::Int64),
        ("token_ids", DataType::LargeList(Arc::new(arrow::datatypes::Field::new("item", DataType::Int64, true)))),
    ] {
        let column = arrow::compute::cast(batch.column_by_name(name).unwrap(), &other).unwrap();
        batch = with_column(&batch, name, column);
    }
    assert_eq!(trees_of(&[batch]).unwrap(), [tree]);
}

#[test]
fn rows_that_are_no_tree_are_refused_by_number() {
    let tree = grown(6, 10);
    let batch = rows_of(std::slice::from_ref(&tree));
    assert_eq!(error_of(&batch.slice(1, 3)), "row 0 of rows: the file begins with node 1, not with a root");

    let holes = concat_batches(&batch.schema(), [&batch.slice(0, 2), &batch.slice(3, 1)]).unwrap();
    assert_eq!(error_of(&holes), "row 2 of rows: node 2 is expected, but node 3 is there");

    let mut ids: Vec<u32> = (0..tree.len() as u32).collect();
    ids[0] = 3;
    let message = error_of(&with_column(&batch, "node_id", Arc::new(UInt32Array::from(ids))));
    assert_eq!(message, "row 0 of rows: node 3 has no parent, but is not 0, the root");

    let mut parents: Vec<Option<u32>> = tree.ids().map(|id| tree.parent(id).map(|parent| parent.0)).collect();
    parents[1] = Some(1);
    let message = error_of(&with_column(&batch, "parent_id", Arc::new(UInt32Array::from(parents))));
    assert_eq!(message, "row 1 of rows: the parent does not come before the node");
}

#[test]
fn what_judges_say_has_columns_of_its_own() {
    let names: Vec<String> = vec!["answer".into(), "equations".into()];
    let mut judged = grown(1, 5);
    judged.set_judges(names.clone().into());
    judged.set_scores(NodeId(1), &[f32::NAN, 0.25]);
    judged.set_scores(NodeId(2), &[1.0, f32::NAN]);
    // One that was judged by nobody, in the same file.
    let other = grown(2, 5);
    let mut rows = TreeRows::new(&names);
    rows.append(&judged).unwrap();
    rows.append(&other).unwrap();
    let batch = rows.take().unwrap();
    let column = batch.column_by_name("judge_equations").unwrap().as_primitive::<Float32Type>().clone();
    assert!(column.value(1) == 0.25 && column.is_null(2) && column.is_null(0));
    assert!(batch.column_by_name("judge_answer").unwrap().as_primitive::<Float32Type>().value(2) == 1.0);
    let back = trees_of(&[batch.slice(0, 2), batch.slice(2, batch.num_rows() - 2)]).unwrap();
    assert_eq!(back[0], judged);
    assert!(back[1].judges() == names && back[1].ids().all(|id| back[1].scores(id).iter().all(|x| x.is_nan())));
    assert!(crate::check(&back[0]).is_empty());
    judged.set_scores(NodeId(1), &[1.5, 0.0]);
    assert_eq!(crate::check(&judged)[0].to_string(), "node 1: judge is 1.5");
}
