//! Conversations that a search answers: the server's side of it, and the policy as a search sees it.
//!
//! ```text
//!  chat request ─► a thread: Searcher ─► search() ─► DeskPolicy ─► the desk, among all other requests ─► the one policy
//! ```

use super::answering::Visit;
use super::desk::{Ask, Event};
use super::drawing::Drawing;
use super::error::{Refusal, json_response};
use super::fields::Fields;
use super::growing::Grown;
use super::prompt::messages;
use super::shape::{Shape, Usage};
use super::state::State;
use super::stream::{done, event, stream};
use axum::body::{Body, Bytes};
use axum::http::{Response, StatusCode};
use espalier_search::{About, Expansion, Finish, Policy, PolicyError, StepRequest, Wishes};
use espalier_tokenizer::Message;
use futures_core::Stream;
use serde_json::json;
use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

/// Answers conversations by searching, without a reference.
pub trait Searcher: Send + Sync {
    /// The answer to a conversation. What it does depends on the question and the policy's answers alone.
    ///
    /// # Errors
    /// Why there is none, in one line.
    fn answer(&self, question: &Question, policy: &mut (dyn Policy + 'static)) -> Result<Found, String>;

    /// Why a conversation cannot be answered, if it cannot; the words follow `messages`.
    fn refuses(&self, _messages: &[Message]) -> Option<String> {
        None
    }

    /// The largest budget of a search, in sampled tokens; what a request that names none gets.
    fn max_tokens(&self) -> u64;
}

/// What a search is asked.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The conversation; the last message is to be answered.
    pub messages: Vec<Message>,
    /// The budget, in tokens sampled.
    pub search_tokens: u64,
    /// Most tokens of one step, if the request says so.
    pub max_tokens: Option<usize>,
    /// Temperature, if the request says so.
    pub temperature: Option<f32>,
    /// Seed of everything sampled.
    pub seed: u64,
    /// The tree's name for the policy.
    pub tree: u64,
}

/// What a search has found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The answer.
    pub text: String,
    /// Its tokens.
    pub tokens: usize,
    /// All tokens sampled for it.
    pub sampled_tokens: u64,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
}

/// The policy of the desk as one search sees it, on a thread of its own.
struct DeskPolicy {
    state: Arc<State>,
    wishes: Wishes,
    sender: mpsc::UnboundedSender<Event>,
    events: mpsc::UnboundedReceiver<Event>,
    /// The tree of each pending request.
    pending: HashMap<u64, u64>,
}

impl DeskPolicy {
    fn take(&mut self, event: Event, answers: &mut Vec<Expansion>) -> Result<(), PolicyError> {
        match event {
            Event::Answered(answer) => {
                self.pending.remove(&answer.ticket);
                answers.push(answer);
                Ok(())
            }
            Event::Told(_) => Ok(()),
            Event::Failed { ticket, why } => Err(match self.pending.remove(&ticket) {
                Some(tree) => PolicyError::of_tree(tree, why),
                None => PolicyError::new(why),
            }),
        }
    }
}

impl Policy for DeskPolicy {
    fn about(&self) -> About {
        self.state.about.clone()
    }

    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        let ids = self.state.tokenizer.encode_prompt(prompt).map_err(PolicyError::new)?;
        match self.state.about.max_context_tokens {
            Some(context) if ids.len() >= context => Err(PolicyError::new(format!(
                "it has {} tokens, but the model's context length is {context}; shorten it",
                ids.len()
            ))),
            _ => Ok(ids),
        }
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        let (ticket, tree) = (request.ticket, request.tree);
        let ask = Ask { request: request.into_owned(), wishes: self.wishes.clone(), events: self.sender.clone() };
        self.state.asks.blocking_send(vec![ask]).map_err(|_| PolicyError::new("the server is ending"))?;
        self.pending.insert(ticket, tree);
        Ok(())
    }

    fn pending(&self) -> usize {
        self.pending.len()
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        let mut answers = Vec::new();
        while answers.is_empty() && !self.pending.is_empty() {
            // The sender is its own: it waits until the desk answers, or until the visitor goes.
            let Some(event) = self.events.blocking_recv() else { return Err(PolicyError::new("the server is ending")) };
            self.take(event, &mut answers)?;
        }
        Ok(answers)
    }

    /// The tree is released with the visit.
    fn forget(&mut self, _tree: u64) {}
}

/// A search on its way; dropped, it is given up.
struct Searching {
    found: oneshot::Receiver<Result<Found, String>>,
    sender: mpsc::UnboundedSender<Event>,
    visit: Visit,
}

impl Drop for Searching {
    fn drop(&mut self) {
        // The ticket of no request: it concerns the search as a whole, which may have ended.
        let _ = self
            .sender
            .send(Event::Failed { ticket: u64::MAX, why: "nobody waits for the answer any more".to_owned() });
    }
}

/// A chat request that a search answers.
pub(crate) struct SearchRequest {
    question: Question,
    drawing: Drawing,
    shape: Shape,
}

impl SearchRequest {
    /// Reads a body. `search_tokens` is the budget of the search.
    pub fn new(mut fields: Fields, searcher: &dyn Searcher, state: &State) -> Result<SearchRequest, Refusal> {
        state.check_model(&mut fields)?;
        let has_temperature = fields.has("temperature");
        let most = searcher.max_tokens();
        let search_tokens = fields.whole("search_tokens", 1..=most)?.unwrap_or(most);
        let why = "cannot be had of an answer that is searched; the server was started with --search";
        for name in ["logprobs", "top_logprobs", "return_token_ids", "return_tokens_as_token_ids", "stop"] {
            let nothing = [json!(false), json!(0), json!([])];
            if fields.take(name).is_some_and(|value| !nothing.contains(&value)) {
                return Err(Refusal::field(name, why));
            }
        }
        let shape = Shape::read(&mut fields, true)?;
        let drawing = Drawing::read(&mut fields, 1..=u64::from(u32::MAX), state)?;
        if drawing.n != 1 {
            return Err(Refusal::field(
                "n",
                "can only be 1 where answers are searched; the server was started with --search",
            ));
        }
        let messages = messages(&mut fields)?;
        fields.end()?;
        if let Some(why) = searcher.refuses(&messages) {
            return Err(Refusal::field("messages", why));
        }
        let question = Question {
            messages,
            search_tokens,
            max_tokens: drawing.max_tokens,
            temperature: has_temperature.then_some(drawing.temperature),
            seed: drawing.seed,
            tree: 0,
        };
        Ok(SearchRequest { question, drawing, shape })
    }

    /// Answers it.
    pub async fn answer(
        self,
        searcher: Arc<dyn Searcher>,
        state: &Arc<State>,
        mut visit: Visit,
    ) -> Result<Response<Body>, Refusal> {
        let SearchRequest { mut question, drawing, shape } = self;
        visit.trees = state.new_trees(1);
        question.tree = visit.trees.start;
        let permit = Arc::clone(&state.searches).acquire_owned().await.map_err(|_| Refusal::ending())?;
        let searching = begin(question, &drawing, searcher, permit, state, visit)?;
        if shape.streams {
            return Ok(stream(StreamedSearch { searching, shape, state: Arc::clone(state), is_over: false }));
        }
        whole(searching, &shape, state).await
    }
}

fn begin(
    question: Question,
    drawing: &Drawing,
    searcher: Arc<dyn Searcher>,
    permit: OwnedSemaphorePermit,
    state: &Arc<State>,
    visit: Visit,
) -> Result<Searching, Refusal> {
    let (sender, events) = mpsc::unbounded_channel();
    let (done, found) = oneshot::channel();
    let wishes = Wishes { sampling: drawing.sampling.clone(), ..Wishes::default() };
    let mut policy =
        DeskPolicy { state: Arc::clone(state), wishes, sender: sender.clone(), events, pending: HashMap::new() };
    let thread = std::thread::Builder::new().name("search".to_owned());
    let search = move || {
        let _permit = permit;
        // Nobody listens where the visitor has gone.
        let _ = done.send(searcher.answer(&question, &mut policy));
    };
    thread.spawn(search).map_err(|error| Refusal::failed(format!("cannot start a thread: {error}")))?;
    Ok(Searching { found, sender, visit })
}

async fn whole(mut searching: Searching, shape: &Shape, state: &State) -> Result<Response<Body>, Refusal> {
    let found = (&mut searching.found).await;
    searching.visit.is_done = true;
    let found = found_in(found)?;
    let (grown, usage) = shown(&found);
    let choice = shape.choice(0, &grown, Some(Finish::Stop), state);
    Ok(json_response(StatusCode::OK, &shape.head(state).with(vec![choice], Some(usage))))
}

fn found_in(found: Result<Result<Found, String>, oneshot::error::RecvError>) -> Result<Found, Refusal> {
    match found {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(why)) => Err(Refusal::failed(why)),
        Err(_) => Err(Refusal::failed("the search has ended without a word")),
    }
}

fn shown(found: &Found) -> (Grown, Usage) {
    // What was sampled and is not shown is what the answer cost beside its own tokens.
    let completion = (found.sampled_tokens as usize).max(found.tokens);
    let usage = Usage { prompt: found.prompt_tokens, completion, reasoning: completion - found.tokens };
    (Grown { text: found.text.clone(), ..Grown::default() }, usage)
}

/// A search's answer as events, all of which come at its end.
struct StreamedSearch {
    searching: Searching,
    shape: Shape,
    state: Arc<State>,
    is_over: bool,
}

impl Stream for StreamedSearch {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.is_over {
            return Poll::Ready(None);
        }
        let found = ready!(Pin::new(&mut this.searching.found).poll(context));
        (this.is_over, this.searching.visit.is_done) = (true, true);
        let events = match found_in(found) {
            Err(refusal) => vec![event(&refusal.json())],
            Ok(found) => {
                let (head, (grown, usage)) = (this.shape.head(&this.state), shown(&found));
                let mut first = this.shape.choice(0, &Grown::default(), None, &this.state);
                first["delta"] = json!({ "role": "assistant", "content": "" });
                let last = this.shape.choice(0, &grown, Some(Finish::Stop), &this.state);
                let mut events = vec![event(&head.with(vec![first], None)), event(&head.with(vec![last], None))];
                if this.shape.streams_usage {
                    events.push(event(&head.with(Vec::new(), Some(usage))));
                }
                events
            }
        };
        Poll::Ready(Some(Ok(events.into_iter().chain([done()]).flatten().collect())))
    }
}
