//! The policy on servers: the same trees whatever goes wrong on the way.

use crate::fake_server::{Asked, Brain, Drawn, FakeServer, Fault, Manners};
use crate::tiny;
use espalier_model::Tokenizer;
use espalier_policy::{
    Backoff, ModelPolicy, PolicyConfig, RemoteConfig, RemoteError, RemotePolicy, RemoteStats, Servers,
};
use espalier_search::fake::{FakeJudge, FakeSource, FakeTexts};
use espalier_search::{
    Candidate, Evaluation, Finish, Policy, SearchConfig, SearchSummary, StepRequest, TreeJob, Unit, search,
};
use espalier_tree::{Tree, TreeInfo};
use serde_json::{Map, Value, json};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const STOPS: [&str; 2] = ["</step>", "</solution>"];

/// A tokenizer whose tokens are bytes, and a model that invents steps.
struct Inventor {
    tokenizer: Tokenizer,
    texts: FakeTexts,
}

impl Inventor {
    fn new() -> Arc<Inventor> {
        let texts = FakeTexts { values: false, ..FakeTexts::new(5) };
        Arc::new(Inventor { tokenizer: bytes(), texts })
    }
}

/// Byte-level BPE without merges, its ids the bytes.
fn bytes() -> Tokenizer {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    let mut others = 256_u32..;
    let vocabulary: Map<String, Value> = (0..=255_u8)
        .map(|byte| {
            let code = if printable(byte) { u32::from(byte) } else { others.next().unwrap() };
            (char::from_u32(code).unwrap().to_string(), byte.into())
        })
        .collect();
    let level = json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false });
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": level, "post_processor": null, "decoder": level,
        "model": { "type": "BPE", "vocab": vocabulary, "merges": [] },
    });
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), file.to_string()).unwrap();
    Tokenizer::load(folder.path()).unwrap()
}

impl Brain for Inventor {
    fn encode(&self, text: &str) -> Vec<u32> {
        self.tokenizer.encode(text).unwrap()
    }

    fn decode(&self, ids: &[u32]) -> String {
        self.tokenizer.decode(ids)
    }

    fn draw(&self, asked: &Asked) -> Drawn {
        let text = self.decode(&asked.prefix_ids);
        let prompt = text.find("<plan>").map_or(text.len(), |at| at + "<plan>".len());
        let ends = text[prompt..].match_indices("</step>").map(|(at, stop)| prompt + at + stop.len());
        let request = StepRequest {
            ticket: 0,
            tree: 0,
            prefix_ids: asked.prefix_ids.as_slice().into(),
            step_ends: std::iter::once(prompt).chain(ends).map(|end| end as u32).collect::<Vec<_>>().into(),
            k: 1,
            max_tokens: asked.max_tokens,
            unit: if asked.stops.len() == 1 { Unit::Path } else { Unit::Step },
            temperature: asked.temperature,
            seed: asked.seed,
            want_value: false,
        };
        let Candidate { mut text, mut token_ids, finish, .. } = self.texts.answer(&request).candidates.remove(0);
        // A server stops where it is told, be it in the middle of what this model would say.
        let end = asked.stops.iter().filter_map(|stop| Some(text.find(stop.as_str())? + stop.len())).min();
        if let Some(end) = end {
            text.truncate(end);
            token_ids.truncate(end);
        }
        // Those of a model: of the tokens so far, not of what was asked for.
        let mut hash = asked.prefix_ids.iter().fold(0, |hash, &id| chance(hash, u64::from(id)) + 7 * hash % 100_003);
        let mut logprob = |&id: &u32| {
            hash = chance(hash, u64::from(id)) + 7 * hash % 100_003;
            -0.02 - 0.01 * chance(hash, 1) as f32
        };
        let logprobs = token_ids.iter().map(&mut logprob).collect();
        Drawn { ids: token_ids, logprobs, text, is_stopped: end.is_some() || finish == Finish::Stop }
    }
}

/// A real model, tiny.
struct Tiny(Mutex<ModelPolicy>);

impl Brain for Tiny {
    fn encode(&self, text: &str) -> Vec<u32> {
        self.0.lock().unwrap().tokenizer().encode(text).unwrap()
    }

    fn decode(&self, ids: &[u32]) -> String {
        self.0.lock().unwrap().tokenizer().decode(ids)
    }

    fn draw(&self, asked: &Asked) -> Drawn {
        let config = PolicyConfig { path_stops: asked.stops.clone(), ..PolicyConfig::default() };
        let mut policy = tiny::policy_with(config);
        asked.draw_from(&mut policy)
    }
}

fn config() -> RemoteConfig {
    RemoteConfig {
        step_stops: STOPS.map(String::from).to_vec(),
        path_stops: vec![STOPS[1].into()],
        max_requests: 8,
        timeout: Duration::from_secs(20),
        start_patience: Duration::from_secs(5),
        backoff: Backoff { first: Duration::from_millis(2), longest: Duration::from_millis(20) },
        ..RemoteConfig::default()
    }
}

fn open(servers: &[&FakeServer], tokenizer: Tokenizer, config: RemoteConfig) -> Result<RemotePolicy, RemoteError> {
    let urls: Vec<String> = servers.iter().map(|server| server.url()).collect();
    let servers = Servers::parse(urls.iter().map(String::as_str)).unwrap();
    RemotePolicy::open(&servers, tokenizer, config, |line| eprintln!("{line}"))
}

fn jobs(count: u64) -> impl Iterator<Item = TreeJob> {
    (0..count).map(|index| TreeJob {
        index,
        info: TreeInfo {
            run_id: "test".into(),
            round: 0,
            problem_id: format!("p{index}"),
            question: format!("What is {index} + 7?"),
            reference_answer: "7".into(),
            tree_seed: 11 * index,
        },
        prompt: format!("<question>What is {index} + 7?</question><plan>"),
    })
}

/// All that is in a tree.
fn content(tree: &Tree) -> Vec<String> {
    tree.ids()
        .map(|id| format!("{:?} {:?} {:?} {:?}", tree.node(id), tree.text(id), tree.token_ids(id), tree.logprobs(id)))
        .collect()
}

/// Searches with servers: the trees, and what was counted.
fn searched(
    servers: &[&FakeServer],
    trees: u64,
    config: RemoteConfig,
) -> (Vec<Vec<String>>, SearchSummary, RemoteStats) {
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
    let summary = search(&settings, 6, jobs(trees), &mut policy, &FakeJudge, |index, tree| {
        found[index as usize] = content(&tree);
        Ok(())
    })
    .unwrap();
    (found, summary, policy.stats())
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

/// A number in 0..100 from the number of a request.
fn chance(seed: u64, number: u64) -> u64 {
    let hash = (number + 1000 * seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    (hash.wrapping_mul(0x94d0_49bb_1331_11eb) >> 32) % 100
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
    let config = RemoteConfig { api_key: Some("secret".into()), ..config() };
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
    let (found, _, stats) = searched(&[&server], 3, RemoteConfig { timeout: Duration::from_millis(700), ..config() });
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
    let (found, ..) = searched(&servers, 6, RemoteConfig { max_requests: 6, ..config() });
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

/// An inventor that treats the prefixes of one problem, beyond their prompt or all of them, in its own way.
struct Picky {
    inventor: Arc<Inventor>,
    problem: &'static str,
    /// Status and message, else its answers are broken.
    refusal: Option<(u16, &'static str)>,
}

impl Picky {
    fn is_concerned(&self, asked: &Asked) -> bool {
        self.inventor.decode(&asked.prefix_ids).contains(self.problem)
    }
}

impl Brain for Picky {
    fn encode(&self, text: &str) -> Vec<u32> {
        self.inventor.encode(text)
    }

    fn decode(&self, ids: &[u32]) -> String {
        self.inventor.decode(ids)
    }

    fn draw(&self, asked: &Asked) -> Drawn {
        let drawn = self.inventor.draw(asked);
        let logprobs = if self.is_concerned(asked) { Vec::new() } else { drawn.logprobs };
        Drawn { logprobs, ..drawn }
    }

    fn refuses(&self, asked: &Asked) -> Option<(u16, &'static str)> {
        self.refusal.filter(|_| self.is_concerned(asked))
    }
}

#[test]
fn what_is_never_answered_gives_up_one_tree() {
    let expected = undisturbed(6);
    let cases = [
        (Some((400, "bad words in the prompt")), "400 Bad Request: bad words in the prompt"),
        (None, "failed 11 times while others were answered"),
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

fn requests(policy: &impl Policy, temperature: f32) -> Vec<StepRequest<'static>> {
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
                temperature,
                seed: 100 + index as u64,
                want_value: false,
            }
        })
        .collect()
}

fn candidates(policy: &mut impl Policy, temperature: f32) -> Vec<Vec<Candidate>> {
    let requests = requests(policy, temperature);
    let count = requests.len();
    for request in requests {
        policy.submit(request).unwrap();
    }
    let mut answers = Vec::new();
    while answers.len() < count {
        answers.extend(policy.poll().unwrap());
    }
    answers.sort_by_key(|answer| answer.ticket);
    answers.into_iter().map(|answer| answer.candidates).collect()
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
fn a_server_gives_what_the_local_policy_gives() {
    // Stop strings from within what a greedy policy says without any.
    let greedy = |stops: Vec<String>| {
        let config = PolicyConfig { step_stops: stops, ..PolicyConfig::default() };
        candidates(&mut tiny::policy_with(config), 0.0)
    };
    let stops: Vec<String> = greedy(Vec::new())
        .iter()
        .filter_map(|three| {
            let text: Vec<char> = three[0].text.chars().skip(12).collect();
            text.chunks(3).find(|part| !part.contains(&char::REPLACEMENT_CHARACTER)).map(|part| part.iter().collect())
        })
        .collect();
    let expected = greedy(stops.clone());
    assert!(expected.iter().flatten().any(|one| one.finish == Finish::Stop), "{stops:?}");
    let config = RemoteConfig { step_stops: stops, ..config() };
    for manners in [Manners::Vllm, Manners::LlamaCpp] {
        let server = FakeServer::new(Arc::new(Tiny(Mutex::new(tiny::policy()))), manners);
        let mut policy = open(&[&server], tiny::tokenizer(), config.clone()).unwrap();
        let found = candidates(&mut policy, 0.0);
        assert_alike(&found, &expected);
        assert!(found.iter().all(|candidates| candidates.len() == 3));
        // At a temperature the three differ, and come again.
        let drawn = candidates(&mut policy, 1.0);
        assert!(drawn.iter().any(|three| three[0].token_ids != three[1].token_ids));
        assert_eq!(candidates(&mut policy, 1.0), drawn);
    }
}

#[test]
fn servers_that_cannot_be_used_are_named_at_the_start() {
    let fails = |server: &FakeServer, tokenizer, config: RemoteConfig, words: &[&str]| {
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
    fails(&new(Manners::LlamaCppPython), tiny::tokenizer(), config(), &["35 tokens", "tokenizer given"]);
    let locked = FakeServer::with_faults(Inventor::new(), Manners::Vllm, Some("secret"), |_| Fault::None);
    fails(&locked, bytes(), config(), &["401", "bad key", "OPENAI_API_KEY"]);
    let broken = FakeServer::with_faults(Inventor::new(), Manners::Vllm, None, |_| Fault::Status(500));
    let impatient = RemoteConfig { start_patience: Duration::from_millis(300), ..config() };
    let began = Instant::now();
    fails(&broken, bytes(), impatient.clone(), &["500", "a fault"]);
    assert!(began.elapsed() < Duration::from_secs(5));
    let dead = new(Manners::Vllm);
    dead.die();
    fails(&dead, bytes(), impatient, &["no server answers"]);
    // Another model than the one there is.
    let server = new(Manners::Vllm);
    let servers = Servers::parse([format!("{}#other", server.url()).as_str()]).unwrap();
    let Err(error) = RemotePolicy::open(&servers, bytes(), config(), |_| ()) else { panic!("there is no such model") };
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
    let hash = |server: &FakeServer| open(&[server], bytes(), config()).unwrap().policy_hash();
    assert_eq!(hash(&one), hash(&other));
    assert_eq!(hash(&one).len(), 64);
}
