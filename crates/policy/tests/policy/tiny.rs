//! A tiny random model, a tokenizer trained on a few sentences, and a driver that plays many trees at once.

use espalier_model::{ModelConfig, Transformer};
use espalier_policy::{ModelPolicy, PolicyConfig};
use espalier_search::{Expansion, Finish, Policy, StepRequest, Stops, Unit};
use espalier_tokenizer::Tokenizer;
use std::borrow::Cow;
use std::sync::Arc;
use tch::Device;

/// Longest context of the tiny model.
pub const CONTEXT: usize = 160;

const SENTENCES: [&str; 6] = [
    "<question>Anna has 3 apples and buys 4 more. How many apples has she?</question>",
    "<plan><step>Plan 1: add 3 and 4</step></plan><solution>3 + 4 = 7, so \\boxed{7}</solution>",
    "<question>A box holds 12 eggs. Ben fills 5 boxes. How many eggs are that?</question>",
    "<plan><step>Plan 1: multiply 12 by 5</step></plan><solution>12 * 5 = 60, so \\boxed{60}</solution>",
    "Größe über alles: 5 € für 2 Äpfel, naïve café",
    "first second third fourth fifth and so on until the end of the sentence",
];

pub fn tokenizer() -> Tokenizer {
    let special = ["<step>", "</step>", "<solution>", "</solution>"];
    Tokenizer::train_bpe(SENTENCES, 320, &special).unwrap()
}

pub fn model(tokenizer: &Tokenizer) -> Transformer {
    let config = ModelConfig::llama(tokenizer.vocab_size(), 32, 64, 2, 4, 2, CONTEXT).unwrap();
    let mut model = Transformer::init(&config, 11, Device::Cpu).unwrap();
    let head: Vec<f32> = (0..32).map(|i| (i as f32 * 0.7).sin() * 0.2).collect();
    model.set_value_head(Some(tch::Tensor::from_slice(&head))).unwrap();
    model
}

pub fn config() -> PolicyConfig {
    PolicyConfig { prefill_chunk_tokens: 16, ..PolicyConfig::default() }
}

/// Common letters as stops, so that steps of a random model end after about ten tokens.
pub fn stops() -> Stops {
    Stops { step: strings(&["</step>", "e", "s ", "1", "9", "th"]), path: strings(&["</solution>"]) }
}

/// The same request with these stop strings.
pub fn with_stops(request: StepRequest<'static>, step: &[&str], path: &[&str]) -> StepRequest<'static> {
    let stops = Stops { step: strings(step), path: strings(path) };
    StepRequest { stops: Cow::Owned(stops), ..request }
}

fn strings(texts: &[&str]) -> Arc<[String]> {
    texts.iter().map(ToString::to_string).collect()
}

pub fn policy() -> ModelPolicy {
    policy_with(config())
}

pub fn policy_with(config: PolicyConfig) -> ModelPolicy {
    let tokenizer = tokenizer();
    ModelPolicy::new(model(&tokenizer), tokenizer, config).unwrap()
}

/// The free choices of a request.
#[derive(Clone, Copy)]
pub struct Step {
    pub k: usize,
    pub max_tokens: usize,
    pub temperature: f32,
    pub seed: u64,
}

impl Default for Step {
    fn default() -> Self {
        Step { k: 3, max_tokens: 40, temperature: 1.0, seed: 0 }
    }
}

/// A request at a tree's root.
pub fn root(policy: &ModelPolicy, tree: u64, prompt: &str, step: Step) -> StepRequest<'static> {
    let prefix_ids: Cow<[u32]> = Cow::Owned(policy.tokenize(prompt).unwrap());
    let Step { k, max_tokens, temperature, seed } = step;
    let step_ends = Cow::Owned(vec![prefix_ids.len() as u32]);
    StepRequest {
        ticket: tree,
        tree,
        prefix_ids,
        step_ends,
        k,
        max_tokens,
        unit: Unit::Step,
        stops: Cow::Owned(stops()),
        temperature,
        seed,
        want_value: true,
    }
}

/// The request at a candidate of a request.
pub fn child(parent: &StepRequest<'static>, token_ids: &[u32], seed: u64) -> StepRequest<'static> {
    let mut request = parent.clone();
    request.prefix_ids.to_mut().extend(token_ids);
    request.step_ends.to_mut().push(request.prefix_ids.len() as u32);
    request.seed = seed;
    request
}

/// Submits all requests and waits for all answers, in the order of the requests. Tickets are renumbered.
pub fn answer_all(policy: &mut ModelPolicy, requests: Vec<StepRequest<'static>>) -> Vec<Expansion> {
    let count = requests.len();
    for (ticket, request) in (0..).zip(requests) {
        policy.submit(StepRequest { ticket, ..request }).unwrap();
    }
    let mut answers = Vec::new();
    while answers.len() < count {
        let more = policy.poll().unwrap();
        assert!(!more.is_empty(), "{} of {count} requests were never answered", count - answers.len());
        answers.extend(more);
    }
    assert!(policy.poll().unwrap().is_empty());
    answers.sort_by_key(|answer| answer.ticket);
    answers
}

/// A tree to be played.
#[derive(Clone)]
pub struct Script {
    pub tree: u64,
    pub prompt: String,
    pub step: Step,
    /// States to expand.
    pub expansions: usize,
}

/// Trees of different prompts, widths, temperatures and lengths.
pub fn trees(count: usize) -> Vec<Script> {
    (0..count)
        .map(|index| Script {
            tree: 100 + index as u64,
            prompt: SENTENCES[index % 6].chars().cycle().take(20 + 11 * (index % 9)).collect(),
            step: Step {
                k: 1 + index % 4,
                max_tokens: 8 + 3 * (index % 7),
                temperature: [1.0, 0.7, 0.0, 1.3][index / 4 % 4],
                seed: 77 * index as u64,
            },
            expansions: 3 + index % 4,
        })
        .collect()
}

/// Plays all trees at once: each expands its root, then one of its open states after the other, jumping about as a
/// search does. Every answer of each tree, in order.
pub fn play(policy: &mut ModelPolicy, scripts: &[Script]) -> Vec<Vec<Expansion>> {
    let mut histories: Vec<Vec<Expansion>> = vec![Vec::new(); scripts.len()];
    let mut asked: Vec<StepRequest<'static>> =
        scripts.iter().map(|script| root(policy, script.tree, &script.prompt, script.step)).collect();
    let mut open: Vec<Vec<StepRequest<'static>>> = vec![Vec::new(); scripts.len()];
    for request in &asked {
        policy.submit(request.clone()).unwrap();
    }
    loop {
        let answers = policy.poll().unwrap();
        if answers.is_empty() {
            return histories;
        }
        for answer in answers {
            let index = scripts.iter().position(|script| script.tree == answer.ticket).unwrap();
            let (script, open, history) = (&scripts[index], &mut open[index], &mut histories[index]);
            history.push(answer);
            let seed = script.step.seed + history.len() as u64;
            let stopped = history[history.len() - 1].candidates.iter().filter(|c| c.finish == Finish::Stop);
            open.extend(stopped.map(|candidate| child(&asked[index], &candidate.token_ids, seed)));
            if history.len() < script.expansions && !open.is_empty() {
                asked[index] = open.swap_remove(7 * history.len() % open.len());
                policy.submit(asked[index].clone()).unwrap();
            } else {
                policy.forget(script.tree);
            }
        }
    }
}
