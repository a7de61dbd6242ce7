//! From a request's head to who answers it: the key, the path, the body.

use super::answering::Visit;
use super::error::{Refusal, json_response, typed_response};
use super::fields::Fields;
use super::generate::Generation;
use super::metrics::Timer;
use super::search::SearchRequest;
use super::state::State;
use super::tokens::{detokenize, tokenize};
use super::value::Valuation;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, Response, StatusCode, header};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::error::Error;
use std::sync::Arc;

/// All paths, and whether they take a body.
const PATHS: [(&str, bool); 9] = [
    ("/v1/completions", true),
    ("/v1/chat/completions", true),
    ("/v1/models", false),
    ("/health", false),
    ("/metrics", false),
    ("/tokenize", true),
    ("/detokenize", true),
    ("/value", true),
    ("/pooling", true),
];

/// Answers a request.
pub(crate) async fn handle(state: Arc<State>, request: Request) -> Response<Body> {
    let known = PATHS.into_iter().find(|(path, _)| *path == request.uri().path());
    let path = known.map_or("other", |(path, _)| path);
    let timer = Timer::new(Arc::clone(&state.metrics), path);
    let response = match answer(&state, request, known, timer).await {
        Ok(response) => response,
        Err(refusal) => refusal.response(),
    };
    state.metrics.add_request(path, response.status().as_u16());
    response
}

async fn answer(
    state: &Arc<State>,
    request: Request,
    known: Option<(&'static str, bool)>,
    timer: Timer,
) -> Result<Response<Body>, Refusal> {
    let Some((path, takes_body)) = known else {
        let shown: String = request.uri().path().chars().take(100).collect();
        return Err(Refusal::unknown_path(StatusCode::NOT_FOUND, format!("there is no path {shown:?} here")));
    };
    if path != "/health" {
        check_key(state, request.headers())?;
    }
    let method = if takes_body { Method::POST } else { Method::GET };
    if *request.method() != method {
        return Err(Refusal::unknown_path(StatusCode::METHOD_NOT_ALLOWED, format!("{path} takes {method} only")));
    }
    match path {
        "/health" => return Ok(json_response(StatusCode::OK, &json!({ "status": "ok" }))),
        "/metrics" => {
            let text = state.metrics.text(state.busy(), state.config.max_requests);
            return Ok(typed_response(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text));
        }
        "/v1/models" => return Ok(models(state)),
        _ => {}
    }
    let visit = Visit::new(state.admit()?, timer, state);
    let (visit, work) = (visit, read(state, request, path).await?);
    match work {
        Work::Answered(response) => {
            let mut visit = visit;
            visit.is_done = true;
            Ok(response)
        }
        Work::Generate(generation) => generation.answer(state, visit).await,
        Work::Search(request) => match &state.searcher {
            Some(searcher) => request.answer(Arc::clone(searcher), state, visit).await,
            None => Err(Refusal::failed("there is no search here")),
        },
        Work::Value(valuation) => valuation.answer(state, visit).await,
    }
}

/// What a body asks for.
enum Work {
    Answered(Response<Body>),
    Generate(Generation),
    Search(SearchRequest),
    Value(Valuation),
}

/// Reads the body, and tokenizes what is in it, on a thread that others need not wait for.
async fn read(state: &Arc<State>, request: Request, path: &'static str) -> Result<Work, Refusal> {
    check_type(request.headers())?;
    let body =
        tokio::time::timeout(state.config.body_patience, to_bytes(request.into_body(), state.config.max_body_bytes));
    let body = match body.await {
        Err(_) => return Err(Refusal::body(StatusCode::REQUEST_TIMEOUT, "the body has not arrived in time")),
        Ok(Ok(body)) => body,
        Ok(Err(error)) => {
            let is_long = std::iter::successors(error.source(), |&cause| cause.source())
                .any(|cause| cause.to_string().contains("length limit"));
            return Err(if is_long {
                let message = format!("the body is longer than {} bytes", state.config.max_body_bytes);
                Refusal::body(StatusCode::PAYLOAD_TOO_LARGE, message)
            } else {
                Refusal::body(StatusCode::BAD_REQUEST, format!("the body cannot be read: {error}"))
            });
        }
    };
    let state = Arc::clone(state);
    let work = tokio::task::spawn_blocking(move || {
        let fields = Fields::of(&body)?;
        match (path, &state.searcher) {
            ("/v1/completions", _) => Generation::of_completion(fields, &state).map(Work::Generate),
            ("/v1/chat/completions", Some(searcher)) => {
                SearchRequest::new(fields, &**searcher, &state).map(Work::Search)
            }
            ("/v1/chat/completions", None) => Generation::of_chat(fields, &state).map(Work::Generate),
            ("/value", _) => Valuation::of_value(fields, &state).map(Work::Value),
            ("/pooling", _) => Valuation::of_pooling(fields, &state).map(Work::Value),
            ("/tokenize", _) => tokenize(fields, &state).map(Work::Answered),
            _ => detokenize(fields, &state).map(Work::Answered),
        }
    });
    work.await.unwrap_or_else(|_| Err(Refusal::failed("the request cannot be read")))
}

fn models(state: &State) -> Response<Body> {
    let model = json!({
        "id": state.config.model, "object": "model", "created": state.started, "owned_by": "espalier",
        "max_model_len": state.about.max_context_tokens,
    });
    json_response(StatusCode::OK, &json!({ "object": "list", "data": [model] }))
}

/// Compares the key in constant time: digests, whose lengths and places tell nothing of it.
fn check_key(state: &State, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(key) = &state.config.api_key else { return Ok(()) };
    let given = headers.get(header::AUTHORIZATION).map(axum::http::HeaderValue::as_bytes).unwrap_or_default();
    let given =
        given.split_at_checked(7).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer ")).map(|(_, key)| key);
    let digest = |key: &[u8]| Sha256::digest(key.trim_ascii());
    let (own, given) = (digest(key.as_bytes()), digest(given.unwrap_or_default()));
    let differs = own.iter().zip(given).fold(0, |differs, (a, b)| differs | (a ^ b));
    if std::hint::black_box(differs) == 0 { Ok(()) } else { Err(Refusal::unknown_key()) }
}

/// A page in a browser may send anything to this machine's addresses but JSON.
fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    let message = "the body must be JSON, and the header Content-Type say so: application/json";
    Err(Refusal::body(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
}
