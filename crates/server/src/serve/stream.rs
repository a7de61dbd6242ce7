//! Answers that are sent while they are made: server-sent events, the last of which says `[DONE]`.
//!
//! The body asks for the next piece when the connection has taken the last one. A client that hangs up drops the body, and with
//! it the request.

use super::answering::{Answering, Piece};
use super::error::typed_response;
use super::growing::Grown;
use super::prompt::Prompt;
use super::shape::{Head, Shape, Usage};
use super::state::State;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Response, StatusCode, header};
use futures_core::Stream;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// One event.
pub(crate) fn event(value: &Value) -> Bytes {
    Bytes::from(format!("data: {value}\n\n"))
}

/// The event behind the last one.
pub(crate) fn done() -> Bytes {
    Bytes::from_static(b"data: [DONE]\n\n")
}

/// An answer whose body is a stream of events.
pub(crate) fn stream(events: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static) -> Response<Body> {
    let mut response = typed_response(StatusCode::OK, "text/event-stream", Body::from_stream(events));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// A generation that is streamed.
pub(crate) struct Streamed {
    state: Arc<State>,
    answering: Answering,
    prompts: Vec<Prompt>,
    shape: Shape,
    head: Head,
    n: usize,
    /// Rows of which nothing was sent yet.
    fresh: Vec<bool>,
    usage: Usage,
    events: VecDeque<Bytes>,
    is_over: bool,
}

impl Streamed {
    pub fn new(state: Arc<State>, answering: Answering, prompts: Vec<Prompt>, shape: Shape, n: usize) -> Streamed {
        let prompt = prompts.iter().map(|prompt| prompt.ids.len()).sum();
        Streamed {
            head: shape.head(&state),
            fresh: vec![true; prompts.len() * n],
            usage: Usage { prompt, ..Usage::default() },
            events: VecDeque::new(),
            is_over: false,
            state,
            answering,
            prompts,
            shape,
            n,
        }
    }

    /// Makes events of a piece.
    fn take(&mut self, piece: Piece) {
        match piece {
            Piece::Row { row, grown, finish } => {
                self.usage.completion += grown.tokens.len();
                self.begin(row, &[]);
                // Tokens whose text is held are of no use to who sees texts only.
                if finish.is_some() || !grown.text.is_empty() || self.shape.shows_tokens() {
                    let choice = self.shape.choice(row, &grown, finish, &self.state);
                    self.events.push_back(event(&self.head.with(vec![choice], None)));
                }
            }
            Piece::Prompt { prompt, tokens } => {
                for row in prompt * self.n..(prompt + 1) * self.n {
                    self.begin(row, &tokens);
                }
            }
            Piece::Value { .. } => {}
        }
    }

    /// The event before the first of a row: the role in chat, else the prompt where that is shown.
    fn begin(&mut self, row: usize, tokens: &[espalier_search::Told]) {
        if !std::mem::replace(&mut self.fresh[row], false) {
            return;
        }
        let mut choice = self.shape.choice(row, &Grown::default(), None, &self.state);
        if self.shape.is_chat {
            choice["delta"] = json!({ "role": "assistant", "content": "" });
        } else if !self.shape.echo {
            return;
        }
        self.shape.add_prompt(&mut choice, &self.prompts[row / self.n], tokens, &self.state);
        self.events.push_back(event(&self.head.with(vec![choice], None)));
    }
}

impl Stream for Streamed {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(event) = this.events.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            if this.is_over {
                return Poll::Ready(None);
            }
            match ready!(this.answering.poll_piece(context)) {
                Some(Ok(piece)) => this.take(piece),
                Some(Err(refusal)) => {
                    this.is_over = true;
                    this.events.extend([event(&refusal.json()), done()]);
                }
                None => {
                    this.is_over = true;
                    if this.shape.streams_usage {
                        this.events.push_back(event(&this.head.with(Vec::new(), Some(this.usage))));
                    }
                    this.events.push_back(done());
                }
            }
        }
    }
}
