//! A request on its way: its prompts at the desk, and what comes back, piece by piece.

use super::desk::{Ask, Event};
use super::drawing::Drawing;
use super::error::Refusal;
use super::growing::{Growing, Grown};
use super::metrics::{Metrics, Timer};
use super::prompt::Prompt;
use super::state::State;
use espalier_search::{Expansion, Finish, StepRequest, Stops, Told, Unit, Wishes};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::task::{Context, Poll, ready};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

/// Something new of an answer.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Tokens of a prompt, from its second on.
    Prompt { prompt: usize, tokens: Vec<Told> },
    /// More of a continuation; with `finish` the last of it.
    Row { row: usize, grown: Grown, finish: Option<Finish> },
    /// A prompt's value, at its end.
    Value { prompt: usize, value: f32 },
}

/// A place in the house: it is left when the answer is whole, or when nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Visit {
    /// Released with it.
    pub trees: Range<u64>,
    pub is_done: bool,
    releases: std_mpsc::Sender<u64>,
    metrics: Arc<Metrics>,
    _permit: OwnedSemaphorePermit,
    _timer: Timer,
}

impl Visit {
    pub fn new(permit: OwnedSemaphorePermit, timer: Timer, state: &State) -> Visit {
        Visit {
            trees: 0..0,
            is_done: false,
            releases: state.releases.clone(),
            metrics: Arc::clone(&state.metrics),
            _permit: permit,
            _timer: timer,
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        for tree in self.trees.clone() {
            // A desk that has gone keeps nothing.
            let _ = self.releases.send(tree);
        }
        if !self.is_done {
            self.metrics.add_hung_up();
        }
    }
}

/// What the prompts of a request are asked for.
pub(crate) struct Wanted {
    /// Continuations of each prompt, and most tokens of one; 0 where it is only read.
    pub k: usize,
    pub max_tokens: Vec<usize>,
    /// The number of each prompt's tree: what belongs to one tree stays on one device.
    pub trees: Vec<usize>,
    pub wishes: Wishes,
    pub wants_value: bool,
}

/// The answers to all prompts of a request.
pub(crate) struct Answering {
    state: Arc<State>,
    events: mpsc::UnboundedReceiver<Event>,
    /// Row `prompt * k + candidate`.
    rows: Vec<Growing>,
    k: usize,
    /// Tokens that are to be drawn for each prompt; none where it is only read.
    max_tokens: Vec<usize>,
    /// Prompts without an answer.
    left: usize,
    pieces: VecDeque<Piece>,
    visit: Visit,
}

impl Answering {
    /// Sends the prompts to the desk.
    pub async fn begin(
        state: &Arc<State>,
        prompts: &[Prompt],
        drawing: &Drawing,
        wanted: Wanted,
        mut visit: Visit,
    ) -> Result<Answering, Refusal> {
        let (sender, events) = mpsc::unbounded_channel();
        let Wanted { k, max_tokens, trees, wishes, wants_value } = wanted;
        visit.trees = state.new_trees(trees.iter().max().map_or(0, |&last| last + 1));
        let ask = |(place, prompt): (usize, &Prompt)| Ask {
            request: StepRequest {
                ticket: place as u64,
                tree: visit.trees.start + trees[place] as u64,
                step_ends: vec![prompt.ids.len() as u32].into(),
                prefix_ids: prompt.ids.clone().into(),
                k: if max_tokens[place] == 0 { 0 } else { k },
                max_tokens: max_tokens[place],
                unit: Unit::Path,
                stops: Cow::Owned(Stops { path: Arc::clone(&drawing.stops), ..Stops::default() }),
                temperature: drawing.temperature,
                seed: drawing.seed,
                want_value: wants_value,
            },
            wishes: wishes.clone(),
            events: sender.clone(),
        };
        let asks = prompts.iter().enumerate().map(ask).collect();
        let row = |prompt: &Prompt| Growing::new(&prompt.ids, Arc::clone(&drawing.stops), &state.tokenizer);
        let rows = prompts.iter().flat_map(|prompt| (0..k).map(|_| row(prompt))).collect();
        state.asks.send(asks).await.map_err(|_| Refusal::ending())?;
        let (state, left, pieces) = (Arc::clone(state), prompts.len(), VecDeque::new());
        Ok(Answering { state, events, rows, k, max_tokens, left, pieces, visit })
    }

    /// The next piece; `None` once the answer is whole.
    pub fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Piece, Refusal>>> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Poll::Ready(Some(Ok(piece)));
            }
            if self.left == 0 {
                self.visit.is_done = true;
                return Poll::Ready(None);
            }
            let taken = match ready!(self.events.poll_recv(context)) {
                Some(event) => self.take(event),
                None => Err(Refusal::ending()),
            };
            if let Err(refusal) = taken {
                // Whatever else comes is of no use.
                (self.left, self.visit.is_done) = (0, true);
                self.pieces.clear();
                return Poll::Ready(Some(Err(refusal)));
            }
        }
    }

    /// As [`poll_piece`](Self::poll_piece), waiting.
    pub async fn next(&mut self) -> Option<Result<Piece, Refusal>> {
        std::future::poll_fn(|context| self.poll_piece(context)).await
    }

    fn take(&mut self, event: Event) -> Result<(), Refusal> {
        match event {
            Event::Told(report) => {
                let prompt = report.ticket as usize;
                let Some(candidate) = report.candidate else {
                    self.pieces.push_back(Piece::Prompt { prompt, tokens: report.tokens });
                    return Ok(());
                };
                let row = prompt * self.k + candidate;
                let Some(growing) = self.rows.get_mut(row).filter(|_| candidate < self.k) else { return Ok(()) };
                let grown = growing.tell(report.first, report.tokens, &self.state.tokenizer);
                if grown != Grown::default() {
                    self.pieces.push_back(Piece::Row { row, grown, finish: None });
                }
                Ok(())
            }
            Event::Answered(answer) => self.end(answer),
            Event::Failed { why, .. } => Err(Refusal::failed(why)),
        }
    }

    fn end(&mut self, answer: Expansion) -> Result<(), Refusal> {
        let prompt = answer.ticket as usize;
        self.left -= 1;
        if let Some(value) = answer.value {
            self.pieces.push_back(Piece::Value { prompt, value });
        }
        let rows = prompt * self.k..(prompt + 1) * self.k;
        if self.max_tokens[prompt] == 0 {
            let nothing = |row| Piece::Row { row, grown: Grown::default(), finish: Some(Finish::Length) };
            self.pieces.extend(rows.map(nothing));
            return Ok(());
        }
        if answer.candidates.len() != self.k {
            let message = format!("the policy gave {} of {} continuations", answer.candidates.len(), self.k);
            return Err(Refusal::failed(message));
        }
        for (row, candidate) in rows.zip(answer.candidates) {
            let finish = Some(candidate.finish);
            let grown = self.rows[row].end(candidate, &self.state.tokenizer)?;
            self.pieces.push_back(Piece::Row { row, grown, finish });
        }
        Ok(())
    }
}
