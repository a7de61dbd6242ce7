//! How fast the policy samples: many requests at a time, siblings that share their prefix.
//!
//! `cargo bench --bench decoding` prints the median of five runs over a fresh model; `-- DIR` runs a model folder
//! instead.

#![allow(missing_docs, reason = "a program")]

use espalier_model::{ModelConfig, Tokenizer, Transformer};
use espalier_policy::{ModelPolicy, PolicyConfig};
use espalier_search::{Policy, StepRequest, Unit};
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
    let folder = std::env::args().skip(1).find(|given| !given.starts_with("--"));
    let (model, tokenizer) = match &folder {
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
    let mut policy = ModelPolicy::new(model, tokenizer, PolicyConfig::default())?;
    let mut rates = Vec::new();
    let (mut sampled, mut passes) = (0, 0);
    for run in 0..5 {
        let before = policy.stats();
        let begun = Instant::now();
        for ticket in 0..REQUESTS {
            let tree = run * REQUESTS + ticket;
            policy.submit(StepRequest {
                ticket: tree,
                tree,
                prefix_ids: (0..PROMPT as u32)
                    .map(|place| 100 + (place * 7 + tree as u32) % 150)
                    .collect::<Vec<_>>()
                    .into(),
                step_ends: vec![PROMPT as u32].into(),
                k: SIBLINGS,
                max_tokens: NEW,
                unit: Unit::Step,
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
        (sampled, passes) = (after.tokens_sampled - before.tokens_sampled, after.passes - before.passes);
        rates.push(sampled as f64 / begun.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    println!(
        "decoding: {:.0} sampled tokens/s ({:.2} million parameters, float32, {threads} threads, {REQUESTS} prompts of \
         {PROMPT} tokens, {SIBLINGS} siblings of {NEW} tokens each; {sampled} tokens in {passes} passes a run)",
        rates[2],
        parameters as f64 / 1e6
    );
    Ok(())
}
