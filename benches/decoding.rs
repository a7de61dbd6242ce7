//! How fast the policy samples: many requests at a time, siblings that share their prefix.
//!
//! `cargo bench --bench decoding` prints the median of five runs over a fresh model; `-- DIR` runs a model folder
//! instead, and `-- DIR PROMPTS SIBLINGS` so many prompts and samples of each; `PRECISION=bfloat16` in the environment
//! samples in that. `scripts/decoding_speed.py` compares it.

#![allow(missing_docs, reason = "a program")]

use espalier_model::{ModelConfig, Transformer};
use espalier_policy::{ModelPolicy, PolicyConfig};
use espalier_search::{Policy, Precision, SamplingConfig, StepRequest, Stops, Unit};
use espalier_tokenizer::Tokenizer;
use std::borrow::Cow;
use std::error::Error;
use std::path::Path;
use std::time::Instant;
use tch::{Device, Kind};

const REQUESTS: u64 = 16;
const SIBLINGS: usize = 4;
const PROMPT: usize = 134;
const NEW: usize = 48;

fn main() -> Result<(), Box<dyn Error>> {
    let threads = std::thread::available_parallelism()?.get();
    tch::set_num_threads(threads as i32);
    // Cargo passes --bench.
    let given: Vec<String> = std::env::args().skip(1).filter(|given| !given.starts_with("--")).collect();
    let folder = given.first();
    let prompts = given.get(1).map_or(Ok(REQUESTS), |given| given.parse())?;
    let siblings = given.get(2).map_or(Ok(SIBLINGS), |given| given.parse())?;
    let (model, tokenizer) = match folder {
        Some(folder) => {
            let folder = Path::new(folder);
            (Transformer::load(folder, Device::Cpu, Kind::Float)?, Tokenizer::load(folder)?)
        }
        None => {
            // No end-of-text token is ever drawn: every row runs to its last token.
            let tokenizer = Tokenizer::train_bpe(["one and one are two"; 3], 300, &[""; 0])?;
            let shape = ModelConfig::llama(tokenizer.vocab_size(), 128, 384, 4, 4, 2, 512)?;
            (Transformer::init(&shape, 0, Device::Cpu)?, tokenizer)
        }
    };
    let parameters: usize = model.parameters().map(|(_, tensor)| tensor.numel()).sum();
    let precision = match std::env::var("PRECISION").as_deref() {
        Ok("bfloat16") => Precision::Bfloat16,
        _ => Precision::Float32,
    };
    let sampling = SamplingConfig { precision, ..SamplingConfig::default() };
    let mut policy = ModelPolicy::new(model, tokenizer, PolicyConfig { sampling, ..PolicyConfig::default() })?;
    let mut runs = Vec::new();
    let mut passes = 0;
    for run in 0..5 {
        let before = policy.stats();
        let (begun, processor) = (Instant::now(), processor_s());
        for ticket in 0..prompts {
            let tree = run * prompts + ticket;
            policy.submit(StepRequest {
                ticket: tree,
                tree,
                prefix_ids: (0..PROMPT as u32)
                    .map(|place| 100 + (place * 7 + tree as u32) % 150)
                    .collect::<Vec<_>>()
                    .into(),
                step_ends: vec![PROMPT as u32].into(),
                k: siblings,
                max_tokens: NEW,
                unit: Unit::Step,
                stops: Cow::Owned(Stops::default()),
                temperature: 1.0,
                seed: tree,
                want_value: false,
            })?;
        }
        while policy.pending() > 0 {
            for answer in policy.poll()? {
                policy.forget(answer.ticket);
            }
        }
        let after = policy.stats();
        passes = after.passes - before.passes;
        let sampled = after.tokens_sampled - before.tokens_sampled;
        runs.push((sampled, begun.elapsed().as_secs_f64(), processor_s() - processor));
    }
    runs.sort_by(|a, b| (a.1 / a.0 as f64).total_cmp(&(b.1 / b.0 as f64)));
    let (sampled, wall_s, processor_s) = runs[2];
    println!(
        "decoding: {:.0} sampled tokens/s ({:.2} million parameters, {precision:?}, {threads} threads, {prompts} prompts of \
         {PROMPT} tokens, {siblings} siblings of {NEW} tokens each; {sampled} tokens in {wall_s:.2} s, \
         {processor_s:.2} s of processor time, {passes} passes a run)",
        sampled as f64 / wall_s,
        parameters as f64 / 1e6
    );
    Ok(())
}

/// Seconds of processor time of this process so far, where Linux says so.
fn processor_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
