//! The model's policy passes what every policy has to pass, also where the weights are broken for some prompts.

use crate::tiny::{self, CONTEXT};
use espalier_model::{ModelConfig, Transformer};
use espalier_policy::ModelPolicy;
use espalier_search::testing::Subject;

/// Token 0: a token that ends texts is never fed to the model but as part of a prompt.
const BROKEN: &str = "<|endoftext|>";

/// The tiny model with an embedding that is not a number. Its output table is another one, so that no other row sees it.
pub fn partly_broken() -> ModelPolicy {
    let tokenizer = tiny::tokenizer();
    let config = ModelConfig::llama(tokenizer.vocab_size(), 32, 64, 2, 4, 2, CONTEXT).unwrap();
    let config = ModelConfig { tie_word_embeddings: false, ..config };
    let mut model = Transformer::init(&config, 11, tch::Device::Cpu).unwrap();
    let head: Vec<f32> = (0..32).map(|i| (i as f32 * 0.7).sin() * 0.2).collect();
    model.set_value_head(Some(tch::Tensor::from_slice(&head))).unwrap();
    let broken = tokenizer.encode(BROKEN).unwrap();
    tch::no_grad(|| {
        let (_, table) = model.parameters().find(|(name, _)| name.contains("embed_tokens")).unwrap();
        let _ = table.narrow(0, i64::from(broken[0]), 1).fill_(f64::NAN);
    });
    ModelPolicy::new(model, tokenizer, tiny::config()).unwrap()
}

pub fn subject() -> Subject {
    Subject {
        open: Box::new(|| Box::new(partly_broken())),
        prompts: ["Anna has 3 apples", "<question>Ben fills 5 boxes", "first second third", "3 + 4 = ", "and so on"]
            .map(String::from)
            .to_vec(),
        failing_prompt: format!("5 {BROKEN} and more"),
        stops: tiny::stops(),
        decode: |ids| tiny::tokenizer().decode(ids),
    }
}

espalier_search::policy_suite!(subject());
