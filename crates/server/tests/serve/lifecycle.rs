//! Clients that go, queues that are full, keys, and the end.

use crate::gradual::{Gradual, at_once};
use crate::house::{Events, House, PROMPT};
use espalier_search::fake::FakePolicy;
use espalier_search::{About, Expansion, Policy, PolicyError, StepRequest};
use espalier_server::serve::{ServeConfig, ServeError, Server};
use serde_json::{Value, json};
use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

const PATH: &str = "/v1/completions";

/// A request that takes some seconds.
fn slow() -> (Gradual, Value) {
    (Gradual::new(1, Duration::from_millis(30)), json!({ "prompt": PROMPT, "max_tokens": 150, "seed": 5 }))
}

fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}: it never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_client_that_hangs_up_frees_its_request() {
    for streams in [false, true] {
        let (policy, mut ask) = slow();
        let seen = policy.seen.clone();
        let config = ServeConfig { max_requests: 1, ..ServeConfig::new("fake") };
        let house = House::with(config, policy, None);
        ask["stream"] = json!(streams);
        let mut connection = house.send(PATH, &ask);
        if streams {
            let mut first = [0; 40];
            connection.read_exact(&mut first).unwrap();
        }
        wait("running", || house.metric("espalier_queue_running") == 1.0);
        assert_eq!(house.post(PATH, &ask).0, 503, "there is room for one");
        drop(connection);
        wait("freed", || house.metric("espalier_queue_running") == 0.0);
        assert_eq!(seen.lock().unwrap().cut_short, 1);
        assert_eq!((house.metric("espalier_requests_taken_in"), house.metric("espalier_hung_up_total")), (0.0, 1.0));
        house.answer(PATH, &json!({ "prompt": "next", "max_tokens": 1 }));
    }
}

#[test]
fn a_full_house_turns_clients_away_and_says_when_to_come_again() {
    let (policy, ask) = slow();
    let seen = policy.seen.clone();
    let config = ServeConfig { max_requests: 3, max_prompts: 1, ..ServeConfig::new("fake") };
    let house = House::with(config, policy, None);
    let waiting: Vec<TcpStream> = (0..3).map(|_| house.send(PATH, &ask)).collect();
    wait("taken in", || house.metric("espalier_requests_taken_in") == 3.0);
    let mut turned_away = house.send(PATH, &ask);
    let mut said = vec![0; 400];
    let length = turned_away.read(&mut said).unwrap();
    let said = String::from_utf8_lossy(&said[..length]).to_lowercase();
    assert!(
        said.starts_with("http/1.1 503") && said.contains("retry-after: 1") && said.contains("overloaded"),
        "{said}"
    );
    // One prompt is with the policy, two wait in line; what does not draw is answered all the same.
    wait("in line", || house.metric("espalier_queue_length") == 2.0);
    assert_eq!(seen.lock().unwrap().submitted, 1);
    assert_eq!(house.get("/health").0, 200);
    assert_eq!(house.metric("espalier_requests_total{path=\"/v1/completions\",status=\"503\"}"), 1.0);
    // One that goes while it waits never comes to the policy.
    drop(waiting);
    wait("empty", || house.metric("espalier_requests_taken_in") == 0.0);
    house.answer(PATH, &json!({ "prompt": "next", "max_tokens": 1 }));
    assert_eq!(seen.lock().unwrap().submitted, 2);
}

#[test]
fn only_who_has_the_key_is_answered() {
    let config = ServeConfig { api_key: Some("secret\n".into()), ..ServeConfig::new("fake") };
    let house = House::with(config, at_once(), None);
    let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
    let status = |path: &str, header: Option<&str>| {
        let mut request = agent.get(format!("{}{path}", house.url()));
        if let Some(header) = header {
            request = request.header("authorization", header);
        }
        request.call().unwrap().status().as_u16()
    };
    for wrong in
        [None, Some("Bearer "), Some("Bearer secre"), Some("Bearer secret2"), Some("Basic secret"), Some("secret")]
    {
        assert_eq!(status("/v1/models", wrong), 401, "{wrong:?}");
        assert_eq!(status("/metrics", wrong), 401, "{wrong:?}");
    }
    assert_eq!((status("/v1/models", Some("Bearer secret")), status("/v1/models", Some("bearer secret"))), (200, 200));
    assert_eq!(status("/health", None), 200);
    let (status, answer) = house.post(PATH, &json!({ "prompt": "x" }));
    assert_eq!((status, answer["error"]["code"].as_str()), (401, Some("invalid_api_key")));
}

#[test]
fn the_door_is_open_to_this_machine_alone() {
    let at = |address: &str, key: Option<&str>| {
        let address = address.parse().unwrap();
        Server::bind(ServeConfig { address, api_key: key.map(str::to_owned), ..ServeConfig::new("m") })
    };
    assert!(matches!(at("0.0.0.0:0", None), Err(ServeError::Open { .. })));
    assert!(at("0.0.0.0:0", Some("key")).is_ok());
    let taken = at("127.0.0.1:0", None).unwrap();
    let error = at(&taken.address().to_string(), None).unwrap_err().to_string();
    assert!(error.contains("cannot listen") && error.contains(&taken.address().to_string()), "{error}");
}

#[test]
fn a_stop_finishes_what_runs_and_takes_nothing_more() {
    let (policy, mut ask) = slow();
    let house = House::new(policy);
    let whole = house.send(PATH, &ask);
    ask["stream"] = json!(true);
    let mut events = Events::new(house.send(PATH, &ask));
    events.next().unwrap();
    wait("running", || house.metric("espalier_queue_running") == 2.0);
    // A connection that says nothing holds nobody up.
    let idle = TcpStream::connect(house.address).unwrap();
    house.stopper.stop();
    wait("closed", || TcpStream::connect(house.address).is_err());
    let mut last = String::new();
    while let Some(event) = events.next() {
        last = event;
    }
    assert_eq!(last, "[DONE]");
    let mut said = String::new();
    let mut whole = whole;
    whole.read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200") && said.contains("finish_reason"), "{said}");
    assert_eq!(house.ended(), Ok(()));
    drop(idle);
}

#[test]
fn a_second_stop_gives_up_what_runs() {
    let (policy, ask) = slow();
    let house = House::new(policy);
    let mut connection = house.send(PATH, &ask);
    wait("running", || house.metric("espalier_queue_running") == 1.0);
    let began = Instant::now();
    house.stopper.stop();
    house.stopper.stop();
    assert_eq!(house.ended(), Ok(()));
    assert!(began.elapsed() < Duration::from_secs(2));
    let mut said = Vec::new();
    let _ = connection.read_to_end(&mut said);
    assert!(said.is_empty());
}

#[test]
fn a_request_that_the_policy_gives_up_costs_no_other() {
    let house = House::new(at_once().losing("unlucky"));
    let (status, _, message) = house.refusal(PATH, &json!({ "prompt": "an unlucky prompt", "max_tokens": 5 }));
    assert!(status == 500 && message.contains("loses prefixes"), "{message}");
    assert_eq!(house.refusal(PATH, &json!({ "prompt": ["fine", "unlucky"], "max_tokens": 5 })).0, 500);
    house.answer(PATH, &json!({ "prompt": "fine", "max_tokens": 5 }));
    let events = house.stream(PATH, &json!({ "prompt": "unlucky", "max_tokens": 5 }));
    assert!(events[0]["error"]["message"].as_str().unwrap().contains("loses prefixes"), "{events:?}");
}

/// Answers nothing any more.
struct Dead(FakePolicy);

impl Policy for Dead {
    fn about(&self) -> About {
        self.0.about()
    }

    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        self.0.tokenize(prompt)
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        self.0.submit(request)
    }

    fn pending(&self) -> usize {
        self.0.pending()
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        Err(PolicyError::new("out of memory"))
    }

    fn forget(&mut self, tree: u64) {
        self.0.forget(tree);
    }
}

#[test]
fn a_policy_that_fails_ends_the_server_with_its_reason() {
    let house = House::new(Dead(FakePolicy::new(espalier_search::fake::FakeTexts::new(1))));
    let (status, _, message) = house.refusal(PATH, &json!({ "prompt": "x", "max_tokens": 5 }));
    assert!(status == 500 && message.contains("out of memory"), "{message}");
    assert_eq!(house.ended(), Err("the policy failed: out of memory".to_owned()));
}
