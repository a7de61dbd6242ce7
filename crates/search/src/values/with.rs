//! [`WithValues`]: candidates of one policy, values of others.

use super::join::Joined;
use super::own::OwnQuestion;
use super::work::{Order, Said, work};
use super::{State, ValueSource};
use crate::about::{About, PolicyStats};
use crate::config::Combine;
use crate::policy::{LOOK, Policy, PolicyError};
use crate::request::{Expansion, StepRequest};
use crate::wishes::{Report, Wish, Wishes};
use crossbeam::channel::{Receiver, Sender, unbounded};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A policy with the values of one or several sources.
pub struct WithValues<P> {
    policy: P,
    sources: Vec<Sender<Order>>,
    said: Receiver<Said>,
    /// The policy's own opinion, as the last source.
    own: Option<OwnQuestion>,
    joined: Joined,
    /// What is told of the search's own requests.
    reports: Vec<Report>,
}

impl<P: Policy> WithValues<P> {
    /// Answers of `policy`, values of `sources` and of its own opinion (at least one of them), combined. `spawn` runs each valuer
    /// on a thread of its own, until this is dropped.
    #[expect(clippy::elidable_lifetime_names, reason = "what is spawned borrows what the sources do")]
    pub fn new<'s>(
        policy: P,
        sources: Vec<ValueSource<'s>>,
        own: Option<OwnQuestion>,
        combine: Combine,
        mut spawn: impl FnMut(Box<dyn FnOnce() + Send + 's>),
    ) -> WithValues<P> {
        let (say, said) = unbounded();
        let joined = Joined::new(sources.len() + usize::from(own.is_some()), combine);
        let sources = sources.into_iter().enumerate().map(|(source, valuers)| {
            let (send, orders) = unbounded();
            for valuer in valuers {
                let (orders, say) = (orders.clone(), say.clone());
                spawn(Box::new(move || work(valuer, source, &orders, &say)));
            }
            send
        });
        WithValues { policy, sources: sources.collect(), said, own, joined, reports: Vec::new() }
    }

    /// Waits for answers: at most this long, if that is said.
    fn wait(&mut self, at_most: Option<Duration>) -> Result<Vec<Expansion>, PolicyError> {
        let until = at_most.and_then(|at_most| Instant::now().checked_add(at_most));
        loop {
            self.said.try_iter().for_each(|said| self.joined.take_value(said));
            let ready = self.joined.ready();
            if !ready.is_empty() {
                return Ok(ready);
            }
            if let Some(error) = self.joined.failure() {
                return Err(error);
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Vec::new());
            }
            if self.policy.pending() > 0 {
                let answered = match (self.joined.awaits_values(), left) {
                    (true, left) => self.policy.poll_for(left.unwrap_or(LOOK).min(LOOK)),
                    (false, Some(left)) => self.policy.poll_for(left),
                    (false, None) => self.policy.poll(),
                };
                self.take_reports();
                self.take(answered)?;
            } else if self.joined.awaits_values() {
                let said = self.said.recv_timeout(left.unwrap_or(Duration::from_secs(3600)));
                said.into_iter().for_each(|said| self.joined.take_value(said));
            } else {
                return Ok(Vec::new());
            }
        }
    }

    /// What was told of the question about a state goes there, all else to who asks.
    fn take_reports(&mut self) {
        let told = self.policy.reports();
        match &mut self.own {
            Some(own) => self.reports.extend(told.into_iter().filter_map(|report| own.take_report(report))),
            None => self.reports.extend(told),
        }
    }

    fn take(&mut self, answered: Result<Vec<Expansion>, PolicyError>) -> Result<(), PolicyError> {
        let own_place = self.sources.len();
        let WithValues { policy, own, joined, .. } = self;
        let Some(own) = own else {
            answered?.into_iter().for_each(|answer| joined.take_answer(answer));
            return Ok(());
        };
        match answered {
            Ok(answers) => {
                for answer in answers {
                    match own.take_answer(answer, policy) {
                        Ok(valued) => joined.take_value((own_place, valued)),
                        Err(answer) => joined.take_answer(answer),
                    }
                }
            }
            Err(error) => joined.take_value((own_place, own.take_error(error, policy)?)),
        }
        Ok(())
    }
}

impl<P: Policy> Policy for WithValues<P> {
    fn about(&self) -> About {
        About { has_value_head: true, ..self.policy.about() }
    }

    fn stats(&self) -> PolicyStats {
        self.policy.stats()
    }

    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        self.policy.tokenize(prompt)
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        self.submit_with(request, &Wishes::default())
    }

    fn pending(&self) -> usize {
        let asked = self.own.as_ref().map_or(0, OwnQuestion::pending);
        self.policy.pending().saturating_sub(asked) + self.joined.held()
    }

    fn can(&self, wish: Wish) -> bool {
        self.policy.can(wish)
    }

    fn submit_with(&mut self, request: StepRequest<'_>, wishes: &Wishes) -> Result<(), PolicyError> {
        let state = request.want_value.then(|| State {
            ticket: request.ticket,
            tree: request.tree,
            prefix_ids: request.prefix_ids.to_vec(),
            step_ends: request.step_ends.to_vec(),
        });
        let (ticket, only_value) = (request.ticket, request.k == 0);
        if !(only_value && state.is_some()) {
            self.policy.submit_with(StepRequest { want_value: false, ..request }, wishes)?;
        }
        let Some(state) = state.map(Arc::new) else { return Ok(()) };
        self.joined.begin(&state);
        if only_value {
            self.joined.take_answer(Expansion { ticket, value: None, candidates: Vec::new() });
        }
        // The threads live as long as this.
        self.sources.iter().for_each(|source| drop(source.send(Order::Value(Arc::clone(&state)))));
        if let Some(own) = &mut self.own
            && let Some(valued) = own.ask(&state, &mut self.policy)
        {
            self.joined.take_value((self.sources.len(), valued));
        }
        Ok(())
    }

    fn reports(&mut self) -> Vec<Report> {
        std::mem::take(&mut self.reports)
    }

    fn cut_short(&mut self, ticket: u64) {
        self.policy.cut_short(ticket);
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        self.wait(None)
    }

    fn poll_for(&mut self, at_most: Duration) -> Result<Vec<Expansion>, PolicyError> {
        self.wait(Some(at_most))
    }

    fn forget(&mut self, tree: u64) {
        self.joined.forget(tree);
        self.policy.forget(tree);
        if let Some(own) = &mut self.own {
            own.forget(tree, &mut self.policy);
        }
        self.sources.iter().for_each(|source| drop(source.send(Order::Forget(tree))));
    }

    fn reclaim(&mut self, answer: Expansion) {
        self.policy.reclaim(answer);
    }
}
