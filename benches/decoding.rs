//! How fast the policy samples: many requests at a time, siblings that share their prefix.
//!
//! `cargo bench --bench decoding -- --shape 135m --precision bfloat16` prints the median of five runs over fresh weights; shapes are
//! `tiny`, `135m`, `1b` and `7b` (SmolLM2-135M's, Llama-3.2-1B's and Llama-2-7B's). `--policy DIR` runs a model folder instead,
//! `--device cuda:0` on another device, `--numerics fast` by LibTorch's products. `--prompts 4 --siblings 20` are so many prompts and
//! samples of each; `--mix` is 64 prompts of 40 to 166 tokens with 1 to 8 siblings, as a search asks for them.
//! `scripts/decoding_speed.py` compares it.

#![allow(missing_docs, reason = "a program")]

use espalier_model::{ModelConfig, Transformer};
use espalier_policy::{ModelPolicy, PolicyConfig, kind};
use espalier_search::{Numerics, Policy, Precision, SamplingConfig, StepRequest, Stops, Unit};
use espalier_tokenizer::Tokenizer;
use std::borrow::Cow;
use std::error::Error;
use std::path::Path;
use std::time::Instant;
use tch::Device;

const REQUESTS: u64 = 16;
const SIBLINGS: usize = 4;
const PROMPT: usize = 134;
const NEW: usize = 48;

fn main() -> Result<(), Box<dyn Error>> {
    let threads = std::thread::available_parallelism()?.get();
    tch::set_num_threads(threads as i32);
    let given = Given::read()?;
    let (prompts, siblings) = (given.number("prompts", REQUESTS)?, given.number("siblings", SIBLINGS as u64)? as usize);
    let mix = given.has("mix");
    let prompts = if mix { 64 } else { prompts };
    let device = match given.text("device").unwrap_or("cpu") {
        "cpu" => Device::Cpu,
        name => Device::Cuda(name.trim_start_matches("cuda").trim_start_matches(':').parse().unwrap_or(0)),
    };
    let precision: Precision = given.text("precision").unwrap_or("float32").parse()?;
    let numerics: Numerics = given.text("numerics").unwrap_or("auto").parse()?;
    let (model, tokenizer) = if let Some(folder) = given.text("policy") {
        let folder = Path::new(folder);
        (Transformer::load(folder, device, kind(precision))?, Tokenizer::load(folder)?)
    } else {
        let tokenizer = Tokenizer::train_bpe(["one and one are two"; 3], 300, &[""; 0])?;
        let (vocabulary, hidden, inner, layers, heads, key_heads) = match given.text("shape").unwrap_or("tiny") {
            "tiny" => (tokenizer.vocab_size(), 128, 384, 4, 4, 2),
            "135m" => (49_152, 576, 1536, 30, 9, 3),
            "1b" => (128_256, 2048, 8192, 16, 32, 8),
            "7b" => (32_000, 4096, 11_008, 32, 32, 32),
            other => return Err(format!("--shape is {other}, but must be tiny, 135m, 1b or 7b").into()),
        };
        let shape = ModelConfig::llama(vocabulary, hidden, inner, layers, heads, key_heads, 512)?;
        (Transformer::init(&shape, 0, device)?, tokenizer)
    };
    let parameters: usize = model.parameters().map(|(_, tensor)| tensor.numel()).sum();
    let sampling = SamplingConfig { precision, numerics, ..SamplingConfig::default() };
    let mut policy = ModelPolicy::new(model, tokenizer, PolicyConfig { sampling, ..PolicyConfig::default() })?;
    let mut runs = Vec::new();
    let mut passes = 0;
    for run in 0..5 {
        let before = policy.stats();
        let (begun, processor) = (Instant::now(), processor_s());
        for ticket in 0..prompts {
            let tree = run * prompts + ticket;
            let place = ticket as usize;
            let (length, k) = if mix { (40 + 2 * place, 1 + place % 8) } else { (PROMPT, siblings) };
            policy.submit(StepRequest {
                ticket: tree,
                tree,
                prefix_ids: (0..length as u32)
                    .map(|place| 100 + (place * 7 + tree as u32) % 150)
                    .collect::<Vec<_>>()
                    .into(),
                step_ends: vec![length as u32].into(),
                k,
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
        "decoding: {:.0} sampled tokens/s ({:.2} million parameters, {precision:?}, {numerics:?}, {device:?}, {threads} threads, \
         {}; {sampled} tokens in {wall_s:.2} s, {processor_s:.2} s of processor time, {passes} passes a run)",
        sampled as f64 / wall_s,
        parameters as f64 / 1e6,
        if mix {
            "a search's mix".to_owned()
        } else {
            format!("{prompts} prompts of {PROMPT} tokens, {siblings} siblings of {NEW} tokens each")
        }
    );
    Ok(())
}

/// The command line: `--name value`, or `--name` alone.
struct Given(Vec<String>);

impl Given {
    fn read() -> Result<Given, Box<dyn Error>> {
        // Cargo passes --bench.
        let given: Vec<String> = std::env::args().skip(1).filter(|given| given != "--bench").collect();
        let known = ["shape", "policy", "device", "precision", "numerics", "prompts", "siblings", "mix"];
        match given.iter().find(|given| given.strip_prefix("--").is_some_and(|name| !known.contains(&name))) {
            Some(other) => Err(format!("{other} is none of --{}", known.join(", --")).into()),
            None => Ok(Given(given)),
        }
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|given| given.strip_prefix("--") == Some(name))
    }

    fn text(&self, name: &str) -> Option<&str> {
        let place = self.0.iter().position(|given| given.strip_prefix("--") == Some(name))?;
        self.0.get(place + 1).map(String::as_str)
    }

    fn number(&self, name: &str, default: u64) -> Result<u64, Box<dyn Error>> {
        Ok(self.text(name).map_or(Ok(default), str::parse)?)
    }
}

/// Seconds of processor time of this process so far, where Linux says so.
fn processor_s() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}
