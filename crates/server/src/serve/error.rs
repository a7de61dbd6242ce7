//! What a server says when it cannot serve: to who starts it, and to clients, in OpenAI's form.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use espalier_search::PolicyError;
use serde_json::{Value, json};
use std::net::SocketAddr;
use thiserror::Error;

/// Why a server does not start, or ends.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// An address that other machines reach, without a key.
    #[error(
        "{address} can be reached by other machines: give --api-key (or the environment variable ESPALIER_API_KEY)"
    )]
    Open {
        /// The address.
        address: SocketAddr,
    },
    /// A key without a letter.
    #[error("the API key is empty; give one, or none at all")]
    EmptyKey,
    /// A limit that lets nothing through.
    #[error("a limit on requests, prompts, searches or bytes is 0; each must be at least 1")]
    Limit,
    /// An option out of its range.
    #[error(transparent)]
    Config(#[from] espalier_settings::OutOfRange),
    /// The address is taken, or is not this machine's.
    #[error("cannot listen at {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// A thread or what it waits with could not be set up.
    #[error("cannot serve: {0}")]
    System(std::io::Error),
    /// The policy failed altogether.
    #[error("the policy failed: {}", .0.reason())]
    Policy(PolicyError),
}

/// A request that is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub status: StatusCode,
    kind: &'static str,
    message: String,
    /// The field that is wrong.
    param: Option<String>,
    code: Option<&'static str>,
}

/// After so many seconds a client that was turned away may ask again.
const RETRY_AFTER_S: &str = "1";

impl Refusal {
    fn new(status: StatusCode, kind: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { status, kind, message: message.into(), param: None, code: None }
    }

    /// The request itself is wrong.
    pub fn bad(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::BAD_REQUEST, "invalid_request_error", message)
    }

    /// A field of it is wrong. The message goes on behind the field's name.
    pub fn field(name: &str, message: impl std::fmt::Display) -> Refusal {
        Refusal { param: Some(name.to_owned()), ..Refusal::bad(format!("{name} {message}")) }
    }

    /// More tokens than the context holds, in the words by which clients know it.
    pub fn too_long(name: &str, tokens: usize, context: usize) -> Refusal {
        let message = format!("has {tokens} tokens, but the model's context length is {context}; shorten it");
        Refusal { code: Some("context_length_exceeded"), ..Refusal::field(name, message) }
    }

    /// A body that is none, with the status that says why.
    pub fn body(status: StatusCode, message: impl Into<String>) -> Refusal {
        Refusal::new(status, "invalid_request_error", message)
    }

    /// No key, or another one.
    pub fn unknown_key() -> Refusal {
        let message = "the API key is wrong or missing: send the header Authorization: Bearer KEY";
        let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "authentication_error", message);
        Refusal { code: Some("invalid_api_key"), ..refusal }
    }

    /// Another model than the one there is.
    pub fn unknown_model(name: &str, own: &str) -> Refusal {
        let shown: String = name.chars().take(100).collect();
        let message = format!("the model {shown:?} does not exist; this server has {own:?}");
        let refusal = Refusal::new(StatusCode::NOT_FOUND, "invalid_request_error", message);
        Refusal { param: Some("model".into()), code: Some("model_not_found"), ..refusal }
    }

    /// No such path, or not by this method.
    pub fn unknown_path(status: StatusCode, message: impl Into<String>) -> Refusal {
        Refusal::new(status, "invalid_request_error", message)
    }

    /// As many requests as there may be.
    pub fn busy(requests: usize) -> Refusal {
        let message = format!("{requests} requests are waiting already; try again in a while");
        Refusal {
            code: Some("overloaded"),
            ..Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded_error", message)
        }
    }

    /// What a request came to that the policy has given up.
    pub fn failed(message: impl Into<String>) -> Refusal {
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "server_error", message)
    }

    /// The server is about to end.
    pub fn ending() -> Refusal {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "server_error", "the server is ending")
    }

    /// OpenAI's object.
    pub fn json(&self) -> Value {
        json!({ "error": { "message": self.message, "type": self.kind, "param": self.param, "code": self.code } })
    }

    /// The answer as it is sent.
    pub fn response(&self) -> Response<Body> {
        let mut response = json_response(self.status, &self.json());
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// A JSON body.
pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response<Body> {
    typed_response(status, "application/json", body.to_string())
}

/// A body of a type.
pub(crate) fn typed_response(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
