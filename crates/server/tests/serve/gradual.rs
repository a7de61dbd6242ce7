//! Fake policies for servers: one that draws what the fake server's model would, and one that takes its time and tells of it.

use crate::inventor::{Inventor, chance};
use espalier_search::fake::{FakePolicy, FakeSource};
use espalier_search::{
    About, Candidate, Expansion, Finish, Policy, PolicyError, Report, SamplingConfig, StepRequest, Told, Wish, Wishes,
};
use espalier_server::testing::{Asked, Brain, Drawn};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Invents steps from the text of the prefix, the stop strings and the seed alone, as a server sees them.
#[derive(Clone)]
pub struct Words(pub Arc<Inventor>);

impl Words {
    pub fn new() -> Words {
        Words(Inventor::new())
    }

    /// The candidate that this seed draws.
    pub fn candidate(&self, request: &StepRequest<'_>, seed: u64) -> Candidate {
        let asked = Asked {
            prefix_ids: request.prefix_ids.to_vec(),
            max_tokens: request.max_tokens,
            temperature: request.temperature,
            seed: if request.temperature > 0.0 { seed } else { 0 },
            stops: request.stop_strings().to_vec(),
        };
        let Drawn { ids, logprobs, text, is_stopped } = self.0.draw(&asked);
        let finish = if is_stopped { Finish::Stop } else { Finish::Length };
        Candidate { text, token_ids: ids, logprobs, finish }
    }

    /// A number in [-1, 1] that depends on the prefix alone.
    pub fn value(ids: &[u32]) -> f32 {
        chance(9, ids.iter().fold(7, |hash: u64, &id| hash.wrapping_mul(31).wrapping_add(id.into()))) as f32 / 50.0
            - 1.0
    }
}

impl FakeSource for Words {
    fn answer(&self, request: &StepRequest<'_>) -> Expansion {
        let candidates =
            (0..request.k as u64).map(|place| self.candidate(request, request.seed.wrapping_add(1000 * place)));
        let value = request.want_value.then(|| Words::value(&request.prefix_ids));
        Expansion { ticket: request.ticket, value, candidates: candidates.collect() }
    }
}

/// All answers at once.
pub fn at_once() -> FakePolicy<Words> {
    FakePolicy::new(Words::new())
}

/// What a gradual policy has seen.
#[derive(Debug, Default)]
pub struct Seen {
    pub submitted: usize,
    pub cut_short: usize,
    pub forgotten: usize,
    pub sampling: Vec<Option<SamplingConfig>>,
}

/// Draws so many tokens of each candidate in a pass, tells of them, and can do what a model can.
pub struct Gradual {
    words: Words,
    tokens: usize,
    pause: Duration,
    running: Vec<Running>,
    told: Vec<Report>,
    pub seen: Arc<Mutex<Seen>>,
}

struct Running {
    watched: bool,
    alternatives: usize,
    answer: Expansion,
    shown: usize,
    is_cut: bool,
}

impl Gradual {
    pub fn new(tokens: usize, pause: Duration) -> Gradual {
        Gradual { words: Words::new(), tokens, pause, running: Vec::new(), told: Vec::new(), seen: Arc::default() }
    }

    /// What is told of a token.
    pub fn told(id: u32, logprob: f32, alternatives: usize) -> Told {
        let listed = (0..alternatives as u32).map(|place| (id.saturating_sub(place), logprob - place as f32));
        Told { id, logprob, alternatives: listed.collect() }
    }

    /// The log-probability of a token of a prefix.
    pub fn read(id: u32) -> f32 {
        -(id as f32) / 8.0
    }
}

impl Policy for Gradual {
    fn about(&self) -> About {
        About { policy_hash: "gradual".into(), max_context_tokens: Some(4000), has_value_head: true }
    }

    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        Ok(prompt.bytes().map(u32::from).collect())
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        self.submit_with(request, &Wishes::default())
    }

    fn can(&self, _wish: Wish) -> bool {
        true
    }

    fn submit_with(&mut self, request: StepRequest<'_>, wishes: &Wishes) -> Result<(), PolicyError> {
        let mut seen = self.seen.lock().unwrap();
        seen.submitted += 1;
        seen.sampling.push(wishes.sampling.clone());
        if let Some(first) = wishes.prefix {
            let tokens =
                request.prefix_ids[first..].iter().map(|&id| Gradual::told(id, Gradual::read(id), wishes.alternatives));
            self.told.push(Report { ticket: request.ticket, candidate: None, first, tokens: tokens.collect() });
        }
        let answer = self.words.answer(&request);
        let (watched, alternatives) = (wishes.is_watched(), wishes.alternatives);
        self.running.push(Running { watched, alternatives, answer, shown: 0, is_cut: false });
        Ok(())
    }

    fn pending(&self) -> usize {
        self.running.len()
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        loop {
            let answers = self.poll_for(Duration::ZERO)?;
            if !answers.is_empty() || self.running.is_empty() {
                return Ok(answers);
            }
        }
    }

    fn poll_for(&mut self, _at_most: Duration) -> Result<Vec<Expansion>, PolicyError> {
        std::thread::sleep(self.pause);
        let mut answers = Vec::new();
        for mut running in std::mem::take(&mut self.running) {
            let Running { watched, alternatives, ref mut answer, shown, is_cut } = running;
            let upto = if is_cut { shown } else { shown + self.tokens };
            let mut is_over = true;
            for (place, candidate) in answer.candidates.iter_mut().enumerate() {
                let end = upto.min(candidate.token_ids.len());
                if watched && shown < end {
                    let tokens = (shown..end)
                        .map(|at| Gradual::told(candidate.token_ids[at], candidate.logprobs[at], alternatives))
                        .collect();
                    self.told.push(Report { ticket: answer.ticket, candidate: Some(place), first: shown, tokens });
                }
                is_over &= is_cut || end == candidate.token_ids.len();
            }
            running.shown = upto;
            if is_over { answers.push(running.answer) } else { self.running.push(running) }
        }
        Ok(answers)
    }

    fn reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.told)
    }

    fn cut_short(&mut self, ticket: u64) {
        self.seen.lock().unwrap().cut_short += 1;
        self.running.iter_mut().filter(|one| one.answer.ticket == ticket).for_each(|one| one.is_cut = true);
    }

    fn forget(&mut self, _tree: u64) {
        self.seen.lock().unwrap().forgotten += 1;
    }
}
