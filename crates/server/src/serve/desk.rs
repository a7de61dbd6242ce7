//! The desk: the one owner of the policy. Requests come to it through a bounded channel; it hands them to the policy, does the
//! policy's work pass by pass, and tells each asker what was drawn.
//!
//! ```text
//!   handlers, searches ── asks ──► line ──► Policy ──► reports, answers ──► each asker's own channel
//!                      ── released trees ──► cut short, and forgotten after a while
//! ```

use super::metrics::Metrics;
use espalier_search::{Expansion, Policy, PolicyError, Report, StepRequest, Wishes};
use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Released trees whose prefixes are kept: a conversation goes on, and a search's next request begins like the last one. The
/// policy drops them earlier where memory is short.
const REMEMBERED_TREES: usize = 256;

/// New requests wait so long for a policy that waits itself.
const LOOK: Duration = Duration::from_millis(2);

/// A request for the policy.
pub(crate) struct Ask {
    /// Its ticket is the asker's own.
    pub request: StepRequest<'static>,
    pub wishes: Wishes,
    /// Where the asker listens.
    pub events: mpsc::UnboundedSender<Event>,
}

/// What an asker is told, under its own ticket.
#[derive(Debug)]
pub(crate) enum Event {
    Told(Report),
    Answered(Expansion),
    /// The request is given up.
    Failed {
        ticket: u64,
        why: String,
    },
}

/// A request that the policy has.
struct Pending {
    ticket: u64,
    tree: u64,
    prefix_tokens: usize,
    events: mpsc::UnboundedSender<Event>,
}

/// The policy's owner at work.
pub(crate) struct Desk<'a> {
    policy: &'a mut dyn Policy,
    asks: mpsc::Receiver<Vec<Ask>>,
    releases: std_mpsc::Receiver<u64>,
    /// Most requests that the policy has at a time.
    max_pending: usize,
    line: VecDeque<Ask>,
    pending: HashMap<u64, Pending>,
    next_ticket: u64,
    /// Released trees, the oldest first.
    remembered: VecDeque<u64>,
    metrics: Arc<Metrics>,
}

impl<'a> Desk<'a> {
    pub fn new(
        policy: &'a mut dyn Policy,
        asks: mpsc::Receiver<Vec<Ask>>,
        releases: std_mpsc::Receiver<u64>,
        max_pending: usize,
        metrics: Arc<Metrics>,
    ) -> Desk<'a> {
        Desk {
            policy,
            asks,
            releases,
            max_pending,
            line: VecDeque::new(),
            pending: HashMap::new(),
            next_ticket: 0,
            remembered: VecDeque::new(),
            metrics,
        }
    }

    /// Works until nobody can ask any more.
    ///
    /// # Errors
    /// What the policy fails with altogether; all askers are told.
    pub fn run(mut self) -> Result<(), PolicyError> {
        loop {
            if self.line.is_empty() && self.pending.is_empty() {
                match self.asks.blocking_recv() {
                    Some(asks) => self.line.extend(asks),
                    None => return Ok(()),
                }
            }
            while let Ok(asks) = self.asks.try_recv() {
                self.line.extend(asks);
            }
            self.release();
            let handed_over = self.hand_over();
            // Before a pass, which may take long, as after it: who asks whether the desk is idle sees neither too late.
            self.metrics.set_queue(self.line.len(), self.pending.len());
            let worked = handed_over.and_then(|()| self.work());
            self.metrics.set_queue(self.line.len(), self.pending.len());
            if let Err(error) = worked {
                self.fail_all(&error);
                return Err(error);
            }
        }
    }

    /// Gives the policy as many requests as it may have. Those that nobody waits for are left out.
    fn hand_over(&mut self) -> Result<(), PolicyError> {
        while self.pending.len() < self.max_pending
            && let Some(Ask { mut request, wishes, events }) = self.line.pop_front()
        {
            if events.is_closed() {
                continue;
            }
            let (ticket, tree, prefix_tokens) = (request.ticket, request.tree, request.prefix_ids.len());
            request.ticket = self.next_ticket;
            self.next_ticket += 1;
            let own = request.ticket;
            match self.policy.submit_with(request, &wishes) {
                Ok(()) => drop(self.pending.insert(own, Pending { ticket, tree, prefix_tokens, events })),
                Err(error) if error.tree() == Some(tree) => {
                    // Who has gone needs no answer; so everywhere below.
                    let _ = events.send(Event::Failed { ticket, why: why(&error) });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A pass of the policy, and what came of it.
    fn work(&mut self) -> Result<(), PolicyError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let answers = self.policy.poll_for(LOOK);
        for mut report in self.policy.reports() {
            if let Some(pending) = self.pending.get(&report.ticket) {
                report.ticket = pending.ticket;
                let _ = pending.events.send(Event::Told(report));
            }
        }
        match answers {
            Ok(answers) => {
                for mut answer in answers {
                    // The answer to a request that was given up with its tree.
                    let Some(pending) = self.pending.remove(&answer.ticket) else { continue };
                    let sampled = answer.candidates.iter().map(|candidate| candidate.token_ids.len()).sum();
                    self.metrics.add_tokens(pending.prefix_tokens, sampled);
                    answer.ticket = pending.ticket;
                    let _ = pending.events.send(Event::Answered(answer));
                }
                Ok(())
            }
            Err(error) => {
                let Some(tree) = error.tree() else { return Err(error) };
                // The error stands for one of the tree's requests, nobody knows which; the others are of no use without it.
                let given_up: Vec<u64> =
                    self.pending.iter().filter(|(_, pending)| pending.tree == tree).map(|(&own, _)| own).collect();
                for own in given_up {
                    self.policy.cut_short(own);
                    if let Some(Pending { ticket, events, .. }) = self.pending.remove(&own) {
                        let _ = events.send(Event::Failed { ticket, why: why(&error) });
                    }
                }
                Ok(())
            }
        }
    }

    /// Cuts short what released trees have pending, and forgets those released longest ago.
    fn release(&mut self) {
        while let Ok(tree) = self.releases.try_recv() {
            for (&own, pending) in &self.pending {
                if pending.tree == tree {
                    self.policy.cut_short(own);
                }
            }
            self.remembered.push_back(tree);
        }
        while self.remembered.len() > REMEMBERED_TREES
            && let Some(&tree) = self.remembered.front()
            && !self.pending.values().any(|pending| pending.tree == tree)
        {
            self.remembered.pop_front();
            self.policy.forget(tree);
        }
    }

    fn fail_all(&mut self, error: &PolicyError) {
        let waiting = self.line.drain(..).map(|ask| (ask.request.ticket, ask.events));
        let pending = self.pending.drain().map(|(_, pending)| (pending.ticket, pending.events));
        for (ticket, events) in waiting.chain(pending) {
            let _ = events.send(Event::Failed { ticket, why: why(error) });
        }
    }
}

/// What went wrong, without the tree, which is the desk's own number.
fn why(error: &PolicyError) -> String {
    let Some(cause) = error.tree().and_then(|_| error.source()) else { return error.reason() };
    let causes = std::iter::successors(cause.source(), |&cause| cause.source());
    causes.fold(cause.to_string(), |line, cause| format!("{line}: {cause}"))
}
