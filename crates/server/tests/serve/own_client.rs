//! Our own client against our own server: the trees of a search over HTTP are those of the policy used directly.

use crate::gradual::{Gradual, Words, at_once};
use crate::house::House;
use crate::inventor::{bytes, tagged};
use crate::trees::{content, jobs};
use espalier_search::fake::{FakeJudge, FakePolicy, FakeSource};
use espalier_search::{Evaluation, Expansion, Policy, SearchConfig, StepRequest, candidate_generator, search};
use espalier_server::{ServerConfig, ServerPolicy, Servers};
use rand_chacha::rand_core::Rng;
use std::time::Duration;

/// What the client makes of a request: each candidate is one of its own, with a seed of its own.
struct AsServed(Words);

impl FakeSource for AsServed {
    fn answer(&self, request: &StepRequest<'_>) -> Expansion {
        let seed = |place| u64::from(candidate_generator(request.seed, place).next_u32() >> 1);
        let candidates = (0..request.k).map(|place| self.0.candidate(request, seed(place)));
        Expansion { ticket: request.ticket, value: None, candidates: candidates.collect() }
    }

    fn has_values(&self) -> bool {
        false
    }
}

fn searched(policy: &mut dyn Policy) -> Vec<Vec<String>> {
    let settings = SearchConfig {
        simulations: 12,
        k: 2,
        k_root: 3,
        max_step_tokens: 300,
        evaluation: Evaluation::Rollouts { count: 1 },
        ..SearchConfig::default()
    };
    let mut found = vec![Vec::new(); 6];
    let summary = search(&settings, 6, &tagged(), jobs(6), policy, &FakeJudge, |index, tree| {
        found[index as usize] = content(&tree);
        Ok(())
    });
    assert!(summary.unwrap().skipped.is_empty());
    found
}

#[test]
fn a_search_over_the_server_gives_the_trees_of_the_policy() {
    let expected = searched(&mut FakePolicy::new(AsServed(Words::new())));
    assert!(expected.iter().map(Vec::len).sum::<usize>() > 100, "the trees are small");
    let houses = [House::new(at_once()), House::new(Gradual::new(50, Duration::ZERO))];
    for house in houses {
        let servers = Servers::parse([house.url().as_str()]).unwrap();
        let config =
            ServerConfig { max_requests: 8, start_patience: Duration::from_secs(10), ..ServerConfig::default() };
        let mut policy = ServerPolicy::open(&servers, bytes(), config, |line| panic!("{line}")).unwrap();
        assert!(searched(&mut policy) == expected, "the trees differ");
        let stats = policy.stats().servers.unwrap();
        assert_eq!((stats.failures, stats.unreadable, stats.recounted), (0, 0, 0));
        // The server says what its model's context is, where it knows.
        assert_eq!(policy.about().max_context_tokens.is_some(), house.get("/v1/models").1.contains("4000"));
    }
}

#[test]
fn limits_of_the_client_reach_the_policy_or_are_refused_by_name() {
    let sampling = espalier_search::SamplingConfig { top_p: 0.9, min_p: 0.05, ..Default::default() };
    let config =
        ServerConfig { sampling: sampling.clone(), start_patience: Duration::from_secs(10), ..ServerConfig::default() };
    let open = |house: &House| {
        let servers = Servers::parse([house.url().as_str()]).unwrap();
        ServerPolicy::open(&servers, bytes(), config.clone(), |line| panic!("{line}"))
    };
    let gradual = Gradual::new(50, Duration::ZERO);
    let seen = gradual.seen.clone();
    let house = House::new(gradual);
    searched(&mut open(&house).unwrap());
    let asked = seen.lock().unwrap();
    assert!(asked.sampling.iter().filter(|one| **one == Some(sampling.clone())).count() > 20, "{asked:?}");
    // This policy draws from the whole distribution only.
    let house = House::new(at_once());
    let mut policy = open(&house).unwrap();
    let refused =
        search(&SearchConfig::default(), 1, &tagged(), jobs(1), &mut policy, &FakeJudge, |_, _| Ok(())).unwrap();
    assert!(refused.skipped[0].reason.contains("top_p cannot be set"), "{:?}", refused.skipped);
}
