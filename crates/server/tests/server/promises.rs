//! The policy on servers passes what every policy has to pass, with servers that
//! give ids and with servers that give texts. (What is asked for piece by piece needs a model that goes on where it left
//! off: the tests of the local policy have one.)

use crate::inventor::{Inventor, Picky, bytes, tagged};
use crate::policy::{config, open};
use espalier_search::testing::Subject;
use espalier_server::testing::{FakeServer, Manners};
use std::sync::Arc;

fn subject(manners: Manners) -> Subject {
    let prompt = |number: usize| format!("<question>What is {number} + 7?</question><plan>");
    let refusal = Some((400, "bad words in the prompt"));
    let brain = Picky { inventor: Inventor::new(), problem: "What is never?", refusal };
    let server = FakeServer::new(Arc::new(brain), manners);
    Subject {
        open: Box::new(move || Box::new(open(&[&server], bytes(), config()).unwrap())),
        prompts: (0..5).map(prompt).collect(),
        failing_prompt: "<question>What is never?</question><plan>".into(),
        stops: tagged(),
        decode: |ids| bytes().decode(ids),
    }
}

mod ids {
    espalier_search::policy_suite!(super::subject(super::Manners::Vllm));
}

mod texts {
    espalier_search::policy_suite!(super::subject(super::Manners::LlamaCppPython));
}
