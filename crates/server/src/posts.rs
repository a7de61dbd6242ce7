//! [`Posts`]: objects of JSON to whichever server is there, for what is no policy: judges and values.

use crate::address::{Servers, is_open_to_others};
use crate::call::{Caller, Failure};
use crate::config::ServerConfig;
use crate::endpoints::{Endpoints, Notice};
use crate::error::ServerError;
use crate::handshake;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;

/// An answer that cannot be read is asked for again so often.
const UNREADABLE_ANSWERS: u32 = 5;

/// Why a request has no answer.
#[derive(Clone, Debug, Error)]
pub enum PostError {
    /// The server will never answer this request.
    #[error("{0}")]
    Refused(String),
    /// No server answered it for as long as there was patience.
    #[error("{0}")]
    Away(String),
    /// No server will ever answer any request like it.
    #[error("{0}")]
    Fatal(String),
}

/// Servers of one model, asked over their HTTP API. What passes (429, 5xx, connections) is tried again, by another server or
/// later; a server that fails is left alone for a while. How many requests are out is up to the threads that ask.
pub struct Posts {
    caller: Caller,
    endpoints: Endpoints,
    model: String,
    patience: Duration,
}

impl Posts {
    /// Meets the servers, of which one has to answer in `config.start_patience`; each request later has `patience`. Of the
    /// configuration sampling and context mean nothing here.
    ///
    /// # Errors
    /// No server answers, one refuses the key, or has not the model, or several and none is named.
    pub fn open(
        servers: &Servers,
        config: &ServerConfig,
        patience: Duration,
        notice: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Posts, ServerError> {
        config.check()?;
        let notice: Notice = Arc::new(notice);
        for url in servers.urls.iter().filter(|url| config.api_key.is_some() && is_open_to_others(url)) {
            notice(&format!("the API key goes to {url} in the open, for all on its way to read; use https://"));
        }
        let caller = Caller::new(config)?;
        let wanted = servers.model.as_deref();
        let met = handshake::meet(&servers.urls, config.start_patience, &*notice, |url| {
            handshake::find_model(&caller, url, wanted)
        })?;
        let up: Vec<bool> = met.iter().map(Option::is_some).collect();
        let mut names = servers.urls.iter().zip(met).filter_map(|(url, found)| Some((url, found?.model)));
        let Some((first, model)) = names.next() else { return Err(ServerError::Unreachable(servers.urls.join(", "))) };
        if let Some((url, other)) = names.find(|(_, other)| *other != model) {
            let problem =
                format!("its model is {other:?}, that of {first} is {model:?}; name one that all have: {url}#MODEL");
            return Err(ServerError::Server { url: url.clone(), problem });
        }
        let endpoints = Endpoints::new(servers.urls.clone(), &up, config.backoff, notice);
        Ok(Posts { caller, endpoints, model, patience })
    }

    /// The name of the servers' model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The answer to a request. `path` is one below the server's root: `/v1/chat/completions`, `/pooling`.
    ///
    /// # Errors
    /// See [`PostError`].
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, PostError> {
        let bytes = body.to_string();
        let deadline = Instant::now() + self.patience;
        let (mut last, mut unreadable) = ("every server is left alone after a failure".to_owned(), 0);
        while let Some(permit) = self.endpoints.acquire_until(Some(deadline)) {
            let base = self.endpoints.url(&permit);
            let url = format!("{}{path}", base.strip_suffix("/v1").unwrap_or(base));
            let reply = self.caller.post(&url, bytes.as_bytes()).and_then(|answer| {
                serde_json::from_slice(&answer)
                    .map_err(|error| Failure::Unusable(format!("its answer cannot be read: {error}")))
            });
            self.endpoints.release(&permit, reply.as_ref().err());
            let said = |problem: String| format!("{url}: {problem}");
            match reply {
                Ok(answer) => return Ok(answer),
                Err(Failure::Refused(problem) | Failure::TooLong(problem)) => {
                    return Err(PostError::Refused(said(problem)));
                }
                Err(Failure::Fatal(problem)) => return Err(PostError::Fatal(said(problem))),
                Err(Failure::Passing { problem, .. }) => last = said(problem),
                Err(Failure::Unusable(problem)) => {
                    unreadable += 1;
                    if unreadable >= UNREADABLE_ANSWERS {
                        return Err(PostError::Refused(said(problem)));
                    }
                }
            }
        }
        Err(PostError::Away(last))
    }
}
