//! The fake policy passes what every policy has to pass.

use espalier_search::Stops;
use espalier_search::fake::{FakePolicy, FakeTexts};
use espalier_search::testing::Subject;

fn subject() -> Subject {
    let prompt = |number: usize| format!("<question>What is {number} + 4?</question><plan>");
    Subject {
        open: Box::new(|| Box::new(FakePolicy::new(FakeTexts::new(3)).shuffled(5, 4).batched(2).losing("lost"))),
        prompts: (0..6).map(prompt).collect(),
        failing_prompt: "<question>What is lost?</question><plan>".into(),
        stops: Stops { step: ["</step>", "</solution>"].map(String::from).into(), path: ["</solution>".into()].into() },
        decode: |ids| String::from_utf8_lossy(&ids.iter().map(|&id| id as u8).collect::<Vec<_>>()).into(),
    }
}

espalier_search::policy_suite!(subject());
