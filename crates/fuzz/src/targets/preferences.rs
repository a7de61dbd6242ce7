//! Readers of users' preferences: tables and lines of texts.

use super::parquet_seed::plain;
use super::{Begun, Target};
use crate::scratch::Scratch;
use arrow::array::{ArrayRef, Float32Array, RecordBatch, StringArray};
use espalier_files::publish_bytes;
use espalier_model::{ModelConfig, Transformer};
use espalier_rounds::config::Credit;
use espalier_rounds::stage::pair_data::{Reading, load};
use espalier_tokenizer::Tokenizer;
use parquet::arrow::ArrowWriter;
use std::sync::Arc;
use tch::Device;

const FIELDS: &[&str] = &[
    "\"prompt\":",
    "\"chosen\":",
    "\"rejected\":",
    "\"weight\":",
    "\"q_chosen\":",
    "\"visits_rejected\":",
    "\"response_ids\":",
    "[{\"role\": \"user\", \"content\": \"a\"}]",
];

pub(super) const TARGETS: [Target; 2] = [
    Target { name: "preferences-jsonl", share: 100, words: FIELDS, begin: lines },
    Target { name: "preferences-parquet", share: 20, words: &["PAR1", "prompt", "chosen", "rejected"], begin: table },
];

/// Reads a file of this name as a training does.
fn reader(scratch: Scratch, name: &'static str) -> impl FnMut(&[u8]) -> bool {
    let tokenizer = Tokenizer::train_bpe(["Q: 6 + 7? A: 13"; 3], 300, &["</s>"]).expect("a tokenizer can be trained");
    let config = ModelConfig::llama(tokenizer.vocab_size(), 4, 4, 1, 2, 1, 16).expect("a shape that makes sense");
    let model = Transformer::init(&config, 1, Device::Cpu).expect("a model of that shape");
    let reading = Reading { solution_q_scale: 1.0, append_eos: true, credit: Credit::Decision };
    move |input| {
        let Ok(mut found) = load(&scratch.put(name, input), &model, &tokenizer, reading) else { return false };
        let all = found.count();
        drop(found.hold_out(0.5, 1));
        assert!(found.count() <= all);
        drop(found.into_pairs());
        all > 0
    }
}

fn lines(scratch: Scratch) -> Begun {
    let seeds = [
        "{\"prompt\": \"Q: 6 + 7? \", \"chosen\": \"A: 13\", \"rejected\": \"A: 12\"}\n\n{\"prompt\": \"Q \", \"chosen\": \"13</s>\", \"rejected\": \"67\", \"weight\": 0.5, \"q_chosen\": 1, \"visits_rejected\": 3}\n{\"prompt\": \"Z \", \"chosen\": \"1\", \"rejected\": \"2\"}",
        "{\"problem_id\": \"p\", \"prompt\": \"Q\", \"prompt_ids\": [1, 2], \"responses\": [\"a\", \"b\"], \"response_ids\": [[3], [4]], \"q\": [1.0, 0.5], \"visits\": [2, 2], \"kind\": \"plan\", \"depth\": 1, \"state_node\": 0}\n",
    ];
    Begun::new(seeds, reader(scratch, "pairs.jsonl"))
}

fn table(scratch: Scratch) -> Begun {
    let columns: [(&str, ArrayRef); 4] = [
        ("prompt", Arc::new(StringArray::from(vec!["Q: 6 ", "Q: 7 ", "P "]))),
        ("chosen", Arc::new(StringArray::from(vec!["A: 13", "b", "d"]))),
        ("rejected", Arc::new(StringArray::from(vec!["A: 12", "c", "e"]))),
        ("weight", Arc::new(Float32Array::from(vec![0.5, 1.0, 2.0]))),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a plain schema");
    writer.write(&batch).and_then(|()| writer.close().map(drop)).expect("a plain table");
    let path = scratch.file("pairs.parquet");
    publish_bytes(&path, &bytes).expect("a file can be written");
    Begun::new(plain(&path), reader(scratch, "pairs.parquet"))
}
