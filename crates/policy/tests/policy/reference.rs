//! Cached, batched decoding gives what the model gives when every token is read again at every place.

use crate::tiny::{Step, answer_all, child, model, play, policy, policy_with, root, tokenizer, trees};
use espalier_model::Transformer;
use espalier_policy::PolicyConfig;
use espalier_search::{Expansion, Finish, Policy, PolicyError, StepRequest, Unit, ask_all};
use tch::{Kind, Tensor};

/// The natural log-probabilities `[T, V]` after each of T tokens, and the values `[T]`.
fn naive(model: &Transformer, ids: &[u32]) -> (Vec<Vec<f32>>, Vec<f32>) {
    let _guard = tch::no_grad_guard();
    let t = ids.len() as i64;
    let ids: Vec<i64> = ids.iter().map(|&id| i64::from(id)).collect();
    let mask = Tensor::full([1, 1, t, t], f64::NEG_INFINITY, (Kind::Float, tch::Device::Cpu)).triu(1);
    let positions = Tensor::arange(t, (Kind::Int64, tch::Device::Cpu)).unsqueeze(0);
    let hidden = model.hidden(&Tensor::from_slice(&ids).unsqueeze(0), &positions, &mask);
    let logprobs = model.logits(&hidden).log_softmax(-1, Kind::Float).squeeze_dim(0);
    let values = model.values(&hidden).squeeze_dim(0);
    (Vec::<Vec<f32>>::try_from(&logprobs).unwrap(), Vec::<f32>::try_from(&values).unwrap())
}

/// Compares an answer with the naive pass; the number of tokens compared.
fn compare(model: &Transformer, request: &StepRequest<'_>, answer: &Expansion) -> usize {
    let mut compared = 0;
    let prefix = request.prefix_ids.len();
    for candidate in &answer.candidates {
        let ids = [&*request.prefix_ids, &candidate.token_ids].concat();
        let (logprobs, values) = naive(model, &ids);
        let value = answer.value.expect("the tiny model has a value head");
        assert!((value - values[prefix - 1]).abs() < 1e-5, "value {value}, naive {}", values[prefix - 1]);
        assert_eq!(candidate.token_ids.len(), candidate.logprobs.len());
        for (place, (&token, &logprob)) in candidate.token_ids.iter().zip(&candidate.logprobs).enumerate() {
            let line = &logprobs[prefix + place - 1];
            assert!((logprob - line[token as usize]).abs() < 1e-4, "{logprob}, naive {}", line[token as usize]);
            if request.temperature == 0.0 {
                let best = line.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                assert!(line[token as usize] >= best - 1e-4, "token {token} is not the likeliest at {place}");
            }
            compared += 1;
        }
    }
    compared
}

/// Expands a root and, down to a depth, the first child that ended by a stop; all compared with the naive pass.
fn compare_path(config: PolicyConfig, step: Step, prompt: &str) -> usize {
    let reference = model(&tokenizer());
    let mut policy = policy_with(config);
    let mut request = root(&policy, 1, prompt, step);
    let mut compared = 0;
    for seed in 1..5 {
        let answer = answer_all(&mut policy, vec![request.clone()]).remove(0);
        compared += compare(&reference, &request, &answer);
        let Some(next) = answer.candidates.iter().find(|candidate| candidate.finish == Finish::Stop) else { break };
        request = child(&request, &next.token_ids, seed);
    }
    compared
}

const PROMPT: &str = "<question>Ben fills 5 boxes of 12 apples. How many apples?";

#[test]
fn sampled_paths_equal_the_naive_pass() {
    let mut compared = 0;
    for seed in 0..6 {
        compared += compare_path(crate::tiny::config(), Step { seed, ..Step::default() }, PROMPT);
    }
    assert!(compared > 150, "only {compared} tokens compared");
}

#[test]
fn paths_equal_the_naive_pass_with_nothing_cached() {
    let config = PolicyConfig { cache_bytes: 0, prefill_chunk_tokens: 5, ..crate::tiny::config() };
    assert!(compare_path(config, Step { seed: 3, ..Step::default() }, PROMPT) > 30);
}

#[test]
fn greedy_tokens_are_those_of_the_naive_pass() {
    let reference = model(&tokenizer());
    let mut policy = policy();
    let step = Step { k: 1, max_tokens: 30, temperature: 0.0, seed: 0 };
    let request = root(&policy, 1, PROMPT, step);
    let answer = answer_all(&mut policy, vec![request.clone()]).remove(0);
    let mut ids = request.prefix_ids.to_vec();
    for &token in &answer.candidates[0].token_ids {
        let (logprobs, _) = naive(&reference, &ids);
        let line = &logprobs[ids.len() - 1];
        let best = (0..line.len()).max_by(|&a, &b| line[a].total_cmp(&line[b])).unwrap();
        assert_eq!(token as usize, best);
        ids.push(token);
    }
    // Many prompts at once take the same tokens.
    let mut texts = Vec::new();
    let alike = (0..40).map(|tree| StepRequest { ticket: tree, tree, unit: Unit::Path, ..request.clone() });
    ask_all(&mut policy, alike, |_, answer| {
        texts.push(answer?.candidates.remove(0).text);
        Ok::<_, PolicyError>(())
    })
    .unwrap();
    assert_eq!(texts.len(), 40);
    texts.dedup();
    assert_eq!(texts.len(), 1);
    assert!(texts[0].starts_with(answer.candidates[0].text.as_str()));
    assert_eq!(policy.pending(), 0);
}

#[test]
fn whole_trees_at_once_are_as_likely_as_the_naive_pass_says() {
    // Company, jumps between branches and eviction together.
    let reference = model(&tokenizer());
    let config = PolicyConfig { cache_bytes: 100_000, ..crate::tiny::config() };
    let mut policy = policy_with(config);
    let scripts = trees(8);
    let histories = play(&mut policy, &scripts);
    assert!(policy.stats().evictions > 0);
    for (script, history) in scripts.iter().zip(&histories) {
        let request = root(&policy, script.tree, &script.prompt, script.step);
        assert!(compare(&reference, &request, &history[0]) > 0);
    }
}

#[test]
fn a_saved_folder_opens_as_the_same_policy() {
    let folder = tempfile::tempdir().unwrap();
    let first = policy();
    model(&tokenizer()).save(folder.path()).unwrap();
    first.tokenizer().save(folder.path()).unwrap();
    let mut opened = espalier_policy::open_policy(folder.path(), tch::Device::Cpu, crate::tiny::config()).unwrap();
    assert_eq!(opened.about(), first.about());
    let script = &trees(3)[2..];
    let mut first = first;
    assert_eq!(play(&mut first, script), play(&mut opened, script));
    let missing = folder.path().join("nothing");
    let error = espalier_policy::open_policy(&missing, tch::Device::Cpu, crate::tiny::config());
    assert!(error.err().unwrap().to_string().contains("nothing"));
}
