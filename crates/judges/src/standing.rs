//! How a judge that may fail stands: what it answered, what it did not, and whether it is given up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Takes what people should know of a judge, a line at a time.
pub type Notice = Arc<dyn Fn(&str) + Send + Sync>;

/// The account of one judge, which all its threads write.
pub(crate) struct Standing {
    name: String,
    /// Failures in a row after which it is given up.
    limit: u32,
    notice: Notice,
    account: Mutex<Account>,
}

#[derive(Debug, Default)]
struct Account {
    answered: u64,
    failed: u64,
    in_a_row: u32,
    last: String,
    is_given_up: bool,
}

impl Standing {
    pub fn new(name: &str, limit: u32, notice: Notice) -> Standing {
        Standing { name: name.to_owned(), limit, notice, account: Mutex::default() }
    }

    /// A question was answered.
    pub fn succeeded(&self) {
        let mut account = self.lock();
        account.answered += 1;
        account.in_a_row = 0;
    }

    /// A question was not answered. The first time, and when the judge is given up, people are told.
    pub fn failed(&self, reason: &str) {
        let mut account = self.lock();
        account.failed += 1;
        account.in_a_row += 1;
        reason.clone_into(&mut account.last);
        let line = if account.in_a_row >= self.limit && !account.is_given_up {
            account.is_given_up = true;
            let times = account.in_a_row;
            format!(
                "the judge {} is given up: it failed {times} times in a row, the last time since {reason}",
                self.name
            )
        } else if account.failed == 1 {
            format!("the judge {} could not speak: {reason}; such steps have no verdict of it", self.name)
        } else {
            return;
        };
        drop(account);
        (self.notice)(&line);
    }

    /// A question that it does not take, which says nothing of others.
    pub fn passed_over(&self, reason: &str) {
        let mut account = self.lock();
        account.failed += 1;
        reason.clone_into(&mut account.last);
        if account.failed > 1 {
            return;
        }
        drop(account);
        (self.notice)(&format!("the judge {} could not speak: {reason}; such steps have no verdict of it", self.name));
    }

    /// Gives it up, once it is clear that no question will be answered.
    pub fn give_up(&self, reason: &str) {
        {
            let mut account = self.lock();
            account.failed += 1;
            reason.clone_into(&mut account.last);
            if std::mem::replace(&mut account.is_given_up, true) {
                return;
            }
        }
        (self.notice)(&format!("the judge {} is given up: {reason}", self.name));
    }

    /// What it is asked from now on has no answer.
    pub fn is_given_up(&self) -> bool {
        self.lock().is_given_up
    }

    /// What went wrong, if anything did.
    pub fn trouble(&self) -> Option<String> {
        let Account { answered, failed, last, is_given_up, .. } = &*self.lock();
        let fate = if *is_given_up { ", and it is given up" } else { "" };
        (*failed > 0).then(|| {
            let asked = answered + failed;
            format!("the judge {} failed at {failed} of {asked} questions{fate}; the last time: {last}", self.name)
        })
    }

    fn lock(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_in_a_row_end_a_judge_and_two_lines_are_said() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&lines);
        let notice: Notice = Arc::new(move |line: &str| kept.lock().unwrap().push(line.to_owned()));
        let standing = Standing::new("j", 3, notice);
        assert_eq!(standing.trouble(), None);
        for _ in 0..5 {
            standing.failed("a");
            standing.failed("b");
            standing.succeeded();
        }
        assert!(!standing.is_given_up());
        assert_eq!(standing.trouble().unwrap(), "the judge j failed at 10 of 15 questions; the last time: b");
        (0..4).for_each(|_| standing.failed("c"));
        assert!(standing.is_given_up() && standing.trouble().unwrap().contains("given up; the last time: c"));
        let lines = lines.lock().unwrap();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("could not speak: a") && lines[1].contains("3 times in a row"));
    }
}
