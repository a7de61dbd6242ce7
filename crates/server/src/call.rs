//! One HTTP request, and what its failure means.

use crate::address::is_of_this_machine;
use crate::config::ServerConfig;
use crate::error::ServerError;
use crate::exceptions::Exceptions;
use crate::trust::roots;
use crate::wire::error_message;
use std::time::Duration;
use ureq::Agent;
use ureq::http::{Response, StatusCode};
use ureq::tls::TlsConfig;

/// A server that does not even take the connection in this time is away.
const CONNECT: Duration = Duration::from_secs(10);
/// Connections that were idle for longer are not used again: common servers close theirs after five seconds.
const IDLE: Duration = Duration::from_secs(3);
/// Largest answer.
const ANSWER_BYTES: u64 = 64 << 20;

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It may have one later, or from another server.
    Passing {
        problem: String,
        /// What the server itself asks to wait.
        retry_after: Option<Duration>,
    },
    /// The server answered, but not what was asked for.
    Unusable(String),
    /// The server will never answer this request.
    Refused(String),
    /// The prompt fills the server's context.
    TooLong(String),
    /// The server will never answer any request.
    Fatal(String),
}

impl Failure {
    pub fn passing(problem: impl Into<String>) -> Failure {
        Failure::Passing { problem: problem.into(), retry_after: None }
    }

    pub fn problem(&self) -> &str {
        match self {
            Failure::Passing { problem, .. }
            | Failure::Unusable(problem)
            | Failure::Refused(problem)
            | Failure::TooLong(problem)
            | Failure::Fatal(problem) => problem,
        }
    }
}

/// Sends requests over connections that are kept.
pub(crate) struct Caller {
    agent: Agent,
    /// For servers on this machine, whatever proxy the environment names, and for those that it excepts.
    direct: Agent,
    exceptions: Exceptions,
    authorization: Option<String>,
}

impl Caller {
    pub fn new(config: &ServerConfig) -> Result<Caller, ServerError> {
        let tls = TlsConfig::builder().root_certs(roots()?).build();
        let builder = || {
            Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .timeout_global(Some(config.timeout))
                .timeout_connect(Some(CONNECT.min(config.timeout)))
                .max_idle_age(IDLE)
                .max_idle_connections(config.max_requests)
                .max_idle_connections_per_host(config.max_requests)
                .user_agent(concat!("espalier/", env!("CARGO_PKG_VERSION")))
                .tls_config(tls.clone())
        };
        Ok(Caller {
            agent: builder().build().new_agent(),
            direct: builder().proxy(None).build().new_agent(),
            exceptions: Exceptions::of_environment(),
            authorization: config.api_key.as_ref().map(|key| format!("Bearer {}", key.trim())),
        })
    }

    /// The body of `GET url`.
    pub fn get(&self, url: &str) -> Result<Vec<u8>, Failure> {
        let mut request = self.agent_for(url).get(url);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        request.call().map_err(|error| of_error(&error)).and_then(read)
    }

    /// The body of the answer to a JSON body.
    pub fn post(&self, url: &str, body: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut request = self.agent_for(url).post(url).header("content-type", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        request.send(body).map_err(|error| of_error(&error)).and_then(read)
    }

    fn agent_for(&self, url: &str) -> &Agent {
        if is_of_this_machine(url) || self.exceptions.cover(url) { &self.direct } else { &self.agent }
    }
}

fn of_error(error: &ureq::Error) -> Failure {
    match error {
        ureq::Error::Http(_) => {
            Failure::Fatal(format!("the request cannot be sent ({error}); is the API key one line?"))
        }
        ureq::Error::BadUri(_) | ureq::Error::InvalidProxyUrl => Failure::Fatal(error.to_string()),
        ureq::Error::Timeout(_) => Failure::passing(format!("no answer in time ({error})")),
        // The library has no other sign of it.
        _ if error.to_string().contains("invalid peer certificate") => Failure::Fatal(format!(
            "{error}; name the file of its authority in the environment variable SSL_CERT_FILE if it is to be trusted"
        )),
        _ => Failure::passing(error.to_string()),
    }
}

fn read(mut response: Response<ureq::Body>) -> Result<Vec<u8>, Failure> {
    let status = response.status();
    let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()).and_then(seconds);
    let location = response.headers().get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let body = response.body_mut().with_config().limit(ANSWER_BYTES).read_to_vec();
    if status.is_success() {
        return body.map_err(|error| of_error(&error));
    }
    Err(of_status(status, &body.unwrap_or_default(), retry_after, location.as_deref()))
}

/// The seconds of a `Retry-After` header. Its other form, a date, is left to the backoff.
pub(crate) fn seconds(value: &str) -> Option<Duration> {
    value.trim().parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

pub(crate) fn of_status(
    status: StatusCode,
    body: &[u8],
    retry_after: Option<Duration>,
    location: Option<&str>,
) -> Failure {
    let said = format!("{status}: {}", error_message(body));
    match status.as_u16() {
        401 | 403 => Failure::Fatal(format!("{said}; it wants another API key (environment variable OPENAI_API_KEY)")),
        404 | 405 => Failure::Fatal(format!("{said}; the address or the model's name is wrong")),
        300..=399 => {
            Failure::Fatal(format!("{said}; it points to {}, give that address", location.unwrap_or("nowhere")))
        }
        400 | 413 | 422 if is_about_context(body) => Failure::TooLong(said),
        408 | 409 | 425 | 429 => Failure::Passing { problem: said, retry_after },
        400..=499 => Failure::Refused(said),
        // llama-cpp-python's way to say 422.
        500 if said.contains("validation error") => Failure::Refused(said),
        _ => Failure::Passing { problem: said, retry_after },
    }
}

/// Whether an error says that the prompt does not fit: vLLM, SGLang, llama.cpp and llama-cpp-python each in other words.
fn is_about_context(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_lowercase();
    text.contains("context") && ["length", "size", "window"].iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, body: &str) -> Failure {
        of_status(StatusCode::from_u16(status).unwrap(), body.as_bytes(), Some(Duration::from_secs(3)), None)
    }

    #[test]
    fn statuses_pass_refuse_or_end_the_run() {
        for status in [408, 429, 500, 502, 503, 504, 529] {
            let Failure::Passing { retry_after, .. } = kind(status, "") else { panic!("{status}") };
            assert_eq!(retry_after, Some(Duration::from_secs(3)));
        }
        for status in [301, 401, 403, 404, 405] {
            assert!(matches!(kind(status, ""), Failure::Fatal(_)), "{status}");
        }
        assert!(kind(401, "").problem().contains("OPENAI_API_KEY"));
        for status in [400, 413, 422, 451] {
            assert!(matches!(kind(status, r#"{"message":"bad prompt"}"#), Failure::Refused(_)), "{status}");
        }
        let python = r#"{"error":{"message":"4 validation errors: ..."}}"#;
        assert!(matches!(kind(500, python), Failure::Refused(_)));
    }

    #[test]
    fn a_full_context_is_told_from_other_refusals() {
        let said = [
            "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
            "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
            "the request exceeds the available context size, try increasing it",
            "Requested tokens (5000) exceed context window of 4096",
        ];
        for message in said {
            assert!(matches!(kind(400, message), Failure::TooLong(_)), "{message}");
        }
    }

    #[test]
    fn retry_after_is_read_in_seconds() {
        assert_eq!(seconds(" 2 "), Some(Duration::from_secs(2)));
        assert_eq!(seconds("0.5"), Some(Duration::from_millis(500)));
        assert_eq!(seconds("Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert_eq!(seconds("-1"), None);
    }
}
