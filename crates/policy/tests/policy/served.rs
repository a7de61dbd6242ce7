//! A server gives what this policy gives: the same model behind both.

use crate::tiny;
use espalier_policy::{ModelPolicy, PolicyConfig};
use espalier_search::{Candidate, Finish, Policy, PolicyError, StepRequest, Stops, Unit, ask_all};
use espalier_server::testing::{Asked, Brain, Drawn, FakeServer, Manners};
use espalier_server::{ServerConfig, ServerPolicy, Servers};
use espalier_tokenizer::Tokenizer;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A real model, tiny, and its tokenizer.
struct Tiny(Tokenizer, Mutex<ModelPolicy>);

impl Brain for Tiny {
    fn encode(&self, text: &str) -> Vec<u32> {
        self.0.encode(text).unwrap()
    }

    fn decode(&self, ids: &[u32]) -> String {
        self.0.decode(ids)
    }

    fn draw(&self, asked: &Asked) -> Drawn {
        asked.draw_from(&mut *self.1.lock().unwrap(), |ids| self.0.decode(ids))
    }
}

fn requests(policy: &impl Policy, stops: &Stops, temperature: f32) -> Vec<StepRequest<'static>> {
    let prompts = ["Größe über alles: 5 €", "first second third", "<plan><step>Plan 1: add"];
    prompts
        .iter()
        .enumerate()
        .map(|(index, prompt)| {
            let prefix_ids = policy.tokenize(prompt).unwrap();
            StepRequest {
                ticket: index as u64,
                tree: index as u64,
                step_ends: vec![prefix_ids.len() as u32].into(),
                prefix_ids: prefix_ids.into(),
                k: 3,
                max_tokens: 40,
                unit: Unit::Step,
                stops: Cow::Owned(stops.clone()),
                temperature,
                seed: 100 + index as u64,
                want_value: false,
            }
        })
        .collect()
}

fn candidates(policy: &mut impl Policy, stops: &Stops, temperature: f32) -> Vec<Vec<Candidate>> {
    let requests = requests(policy, stops, temperature);
    let mut answers = BTreeMap::new();
    ask_all(policy, requests, |tree, answer| {
        answers.insert(tree, answer?.candidates);
        Ok::<_, PolicyError>(())
    })
    .unwrap();
    answers.into_values().collect()
}

/// The same texts, tokens and endings; log-probabilities to the last bits of another batch.
fn assert_alike(found: &[Vec<Candidate>], expected: &[Vec<Candidate>]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().flatten().zip(expected.iter().flatten()) {
        assert_eq!(
            (&found.text, &found.token_ids, found.finish),
            (&expected.text, &expected.token_ids, expected.finish)
        );
        assert_eq!(found.logprobs.len(), found.token_ids.len());
        let pairs = || found.logprobs.iter().zip(&expected.logprobs);
        assert!(pairs().all(|(a, b)| (a - b).abs() < 1e-4), "{:?}", pairs().collect::<Vec<_>>());
    }
}

#[test]
fn a_server_gives_what_the_local_policy_gives() {
    // Stop strings from within what a greedy policy says without any.
    let greedy = |stops: &Stops| candidates(&mut tiny::policy_with(PolicyConfig::default()), stops, 0.0);
    let step = greedy(&Stops::default())
        .iter()
        .filter_map(|three| {
            let text: Vec<char> = three[0].text.chars().skip(12).collect();
            text.chunks(3).find(|part| !part.contains(&char::REPLACEMENT_CHARACTER)).map(|part| part.iter().collect())
        })
        .collect();
    let stops = Stops { step, ..Stops::default() };
    let expected = greedy(&stops);
    assert!(expected.iter().flatten().any(|one| one.finish == Finish::Stop), "{stops:?}");
    for manners in [Manners::Vllm, Manners::LlamaCpp] {
        let server = FakeServer::new(
            Arc::new(Tiny(tiny::tokenizer(), Mutex::new(tiny::policy_with(PolicyConfig::default())))),
            manners,
        );
        let servers = Servers::parse([server.url().as_str()]).unwrap();
        let config = ServerConfig { max_requests: 8, ..ServerConfig::default() };
        let mut policy = ServerPolicy::open(&servers, tiny::tokenizer(), config, |line| eprintln!("{line}")).unwrap();
        let found = candidates(&mut policy, &stops, 0.0);
        assert_alike(&found, &expected);
        assert!(found.iter().all(|candidates| candidates.len() == 3));
        // At a temperature the three differ, and come again.
        let drawn = candidates(&mut policy, &stops, 1.0);
        assert!(drawn.iter().any(|three| three[0].token_ids != three[1].token_ids));
        assert_eq!(candidates(&mut policy, &stops, 1.0), drawn);
    }
}
