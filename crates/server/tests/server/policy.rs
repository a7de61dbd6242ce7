//! The policy on servers: the same trees whatever goes wrong on the way.

use crate::inventor::{Inventor, Picky, bytes, chance, tagged, words};
use crate::trees::{content, jobs};
use espalier_search::fake::FakeJudge;
use espalier_search::{Evaluation, Policy, SearchConfig, SearchSummary, ServerStats, search};
use espalier_server::testing::{FakeServer, Fault, Manners};
use espalier_server::{Backoff, ServerConfig, ServerError, ServerPolicy, Servers};
use espalier_tokenizer::Tokenizer;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub fn config() -> ServerConfig {
    ServerConfig {
        max_requests: 8,
        timeout: Duration::from_secs(20),
        start_patience: Duration::from_secs(5),
        backoff: Backoff { first: Duration::from_millis(2), longest: Duration::from_millis(20) },
        ..ServerConfig::default()
    }
}

pub fn open(servers: &[&FakeServer], tokenizer: Tokenizer, config: ServerConfig) -> Result<ServerPolicy, ServerError> {
    let urls: Vec<String> = servers.iter().map(|server| server.url()).collect();
    let servers = Servers::parse(urls.iter().map(String::as_str)).unwrap();
    ServerPolicy::open(&servers, tokenizer, config, |line| eprintln!("{line}"))
}

/// Searches with servers: the trees, and what was counted.
fn searched(
    servers: &[&FakeServer],
    trees: u64,
    config: ServerConfig,
) -> (Vec<Vec<String>>, SearchSummary, ServerStats) {
    let mut policy = open(servers, bytes(), config).unwrap();
    let settings = SearchConfig {
        simulations: 12,
        k: 2,
        k_root: 3,
        max_step_tokens: 300,
        evaluation: Evaluation::Rollouts { count: 1 },
        ..SearchConfig::default()
    };
    let mut found = vec![Vec::new(); trees as usize];
    let summary = search(&settings, 6, &tagged(), jobs(trees), &mut policy, &FakeJudge, |index, tree| {
        found[index as usize] = content(&tree);
        Ok(())
    })
    .unwrap();
    (found, summary, policy.stats().servers.unwrap())
}

/// The trees without any fault.
fn undisturbed(trees: u64) -> Vec<Vec<String>> {
    let server = FakeServer::new(Inventor::new(), Manners::Vllm);
    let (found, summary, stats) = searched(&[&server], trees, config());
    assert_eq!((summary.trees, stats.failures, stats.unreadable, stats.recounted), (trees, 0, 0, 0));
    assert!(found.iter().map(Vec::len).sum::<usize>() > 20 * trees as usize, "the trees are small");
    assert!(server.most() <= 8, "{} at a time", server.most());
    found
}

#[test]
fn faults_change_no_tree() {
    let expected = undisturbed(12);
    let faults = |seed: u64| {
        move |number: u64| {
            // The handshake, of three requests, is tried again as a whole.
            match chance(seed, number) {
                0..4 => Fault::Status(500),
                4..6 => Fault::Status(503),
                6..9 => Fault::Busy(15),
                9..13 => Fault::Cut,
                13..16 => Fault::Garbage,
                16..18 => Fault::Choices(2),
                18..20 => Fault::Choices(0),
                20..22 => Fault::Short,
                22..26 => Fault::Slow(30),
                _ => Fault::None,
            }
        }
    };
    let servers: Vec<FakeServer> = (0..3)
        .map(|seed| FakeServer::with_faults(Inventor::new(), Manners::Vllm, Some("secret"), faults(seed)))
        .collect();
    let servers: Vec<&FakeServer> = servers.iter().collect();
    let config = ServerConfig { api_key: Some("secret".into()), ..config() };
    let (found, summary, stats) = searched(&servers, 12, config);
    assert!(summary.skipped.is_empty(), "{:?}", summary.skipped);
    assert_eq!(found, expected);
    assert!(stats.failures > stats.requests / 10, "{stats:?}");
    // Bounded together, and balanced.
    assert!(servers.iter().map(|server| server.most()).sum::<usize>() <= 3 * 8);
    let answered: Vec<u64> = servers.iter().map(|server| server.answered()).collect();
    let (least, most) = (answered.iter().min().unwrap(), answered.iter().max().unwrap());
    assert!(least * 3 > *most, "{answered:?}");
}

#[test]
fn late_answers_are_asked_for_again() {
    let expected = undisturbed(3);
    let faults = |number| if number > 3 && number % 40 == 20 { Fault::Slow(2_500) } else { Fault::None };
    let server = FakeServer::with_faults(Inventor::new(), Manners::Vllm, None, faults);
    let (found, _, stats) = searched(&[&server], 3, ServerConfig { timeout: Duration::from_millis(700), ..config() });
    assert_eq!(found, expected);
    assert!(stats.failures > 0);
}

#[test]
fn load_is_balanced_and_bounded() {
    let slow = |_| Fault::Slow(4);
    let servers: Vec<FakeServer> =
        (0..2).map(|_| FakeServer::with_faults(Inventor::new(), Manners::Vllm, None, slow)).collect();
    let slower = FakeServer::with_faults(Inventor::new(), Manners::Vllm, None, |_| Fault::Slow(40));
    let servers = [&servers[0], &servers[1], &slower];
    let (found, ..) = searched(&servers, 6, ServerConfig { max_requests: 6, ..config() });
    assert_eq!(found, undisturbed(6));
    let [first, second, slower] = servers.map(FakeServer::answered);
    assert!(first.abs_diff(second) * 4 < first + second, "{first} {second}");
    // The pending are equal, so a server ten times as slow gets far less.
    assert!(slower * 2 < first, "{first} {slower}");
    let most: Vec<usize> = servers.iter().map(|server| server.most()).collect();
    assert!(most.iter().all(|&most| (2..=6).contains(&most)), "{most:?} at a time");
}

#[test]
fn a_server_that_dies_delays_and_loses_nothing() {
    let expected = undisturbed(12);
    for count in [1, 2] {
        let slow = |_| Fault::Slow(3);
        let all: Vec<FakeServer> =
            (0..count).map(|_| FakeServer::with_faults(Inventor::new(), Manners::Vllm, None, slow)).collect();
        let servers: Vec<&FakeServer> = all.iter().collect();
        let found = std::thread::scope(|scope| {
            let search = scope.spawn(|| searched(&servers, 12, config()));
            for _ in 0..2 {
                let before = servers[0].answered();
                while servers[0].answered() < before + 60 && !search.is_finished() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                servers[0].die();
                std::thread::sleep(Duration::from_millis(150));
                servers[0].revive();
            }
            search.join().unwrap()
        });
        assert!(found.1.skipped.is_empty(), "{:?}", found.1.skipped);
        assert_eq!(found.0, expected);
        assert!(found.2.failures > 0, "the server died in between");
    }
}

#[test]
fn what_is_never_answered_gives_up_one_tree() {
    let expected = undisturbed(6);
    let cases = [
        (Some((400, "bad words in the prompt")), "400 Bad Request: bad words in the prompt"),
        (Some((500, "out of luck")), "failed 11 times while others were answered"),
        (None, "log-probabilities; so it was 5 times"),
    ];
    for (refusal, words) in cases {
        let brain = Picky { inventor: Inventor::new(), problem: "What is 3 + 7?", refusal };
        let server = FakeServer::new(Arc::new(brain), Manners::Vllm);
        let (found, summary, _) = searched(&[&server], 6, config());
        assert_eq!(summary.skipped.len(), 1, "{:?}", summary.skipped);
        assert_eq!(summary.skipped[0].index, 3);
        assert!(summary.skipped[0].reason.contains(words), "{:?}", summary.skipped);
        assert!((0..6).filter(|&index| index != 3).all(|index| found[index] == expected[index]));
    }
}

#[test]
fn a_state_that_fills_the_context_has_no_children() {
    let message = "This model's maximum context length is 90 tokens";
    let brain = Picky { inventor: Inventor::new(), problem: "</step>", refusal: Some((400, message)) };
    let server = FakeServer::new(Arc::new(brain), Manners::Vllm);
    let (found, summary, _) = searched(&[&server], 4, config());
    assert!(summary.skipped.is_empty(), "{:?}", summary.skipped);
    assert!(found.iter().all(|tree| tree.len() > 1 && tree.len() <= 4), "nothing below the first steps");
}

/// A server that does not say before how long a prompt may be.
#[test]
fn a_prompt_that_fills_the_context_gives_up_its_tree_by_name() {
    let message = "the request exceeds the available context size";
    let brain = Picky { inventor: Inventor::new(), problem: "What is 3 + 7?", refusal: Some((400, message)) };
    let server = FakeServer::new(Arc::new(brain), Manners::Vllm);
    let (_, summary, _) = searched(&[&server], 6, config());
    assert_eq!(summary.skipped.len(), 1, "{:?}", summary.skipped);
    let reason = &summary.skipped[0].reason;
    assert!(summary.skipped[0].index == 3 && reason.contains("tokens, which is too many for the server"), "{reason}");
    assert!(reason.contains(message), "{reason}");
}

#[test]
fn every_kind_of_server_gives_the_same_trees() {
    let expected = undisturbed(3);
    for manners in [Manners::Strict, Manners::LlamaCppPython] {
        let server = FakeServer::new(Inventor::new(), manners);
        let (found, _, stats) = searched(&[&server], 3, config());
        assert_eq!((stats.unreadable, stats.recounted), (0, 0), "{manners:?}");
        assert_eq!(found, expected, "{manners:?}");
    }
}

#[test]
fn servers_that_cannot_be_used_are_named_at_the_start() {
    let fails = |server: &FakeServer, tokenizer, config: ServerConfig, words: &[&str]| {
        let Err(error) = open(&[server], tokenizer, config) else { panic!("{words:?}") };
        let error = error.to_string();
        for word in words {
            assert!(error.contains(word), "{word} is not in: {error}");
        }
        assert!(error.contains(&server.url()), "{error}");
    };
    let new = |manners| FakeServer::new(Inventor::new(), manners);
    fails(&new(Manners::Mute), bytes(), config(), &["no log-probabilities", "--logits_all"]);
    fails(&new(Manners::Scaled), bytes(), config(), &["change with the temperature", "SGLANG_RETURN_ORIGINAL_LOGPROB"]);
    fails(&new(Manners::LlamaCppPython), words(), config(), &["35 tokens", "tokenizer given"]);
    let locked = FakeServer::with_faults(Inventor::new(), Manners::Vllm, Some("secret"), |_| Fault::None);
    fails(&locked, bytes(), config(), &["401", "bad key", "OPENAI_API_KEY"]);
    let broken = FakeServer::with_faults(Inventor::new(), Manners::Vllm, None, |_| Fault::Status(500));
    let impatient = ServerConfig { start_patience: Duration::from_millis(300), ..config() };
    let began = Instant::now();
    fails(&broken, bytes(), impatient.clone(), &["500", "a fault"]);
    assert!(began.elapsed() < Duration::from_secs(5));
    let dead = new(Manners::Vllm);
    dead.die();
    fails(&dead, bytes(), impatient, &["no server answers"]);
    // Another model than the one there is.
    let server = new(Manners::Vllm);
    let servers = Servers::parse([format!("{}#other", server.url()).as_str()]).unwrap();
    let Err(error) = ServerPolicy::open(&servers, bytes(), config(), |_| ()) else { panic!("there is no such model") };
    assert!(error.to_string().contains("no model \"other\", but fake"), "{error}");
    // One of two is enough to start with.
    assert!(open(&[&dead, &server], bytes(), config()).is_ok());
    let kinds = [&new(Manners::Vllm), &new(Manners::LlamaCppPython)];
    let Err(error) = open(&kinds, bytes(), config()) else { panic!("they answer in different forms") };
    assert!(error.to_string().contains("servers of one kind"), "{error}");
}

#[test]
fn a_policy_is_named_by_its_model_and_tokenizer() {
    let (one, other) =
        (FakeServer::new(Inventor::new(), Manners::Vllm), FakeServer::new(Inventor::new(), Manners::Vllm));
    let hash = |server: &FakeServer| open(&[server], bytes(), config()).unwrap().about().policy_hash;
    assert_eq!(hash(&one), hash(&other));
    assert_eq!(hash(&one).len(), 64);
}
