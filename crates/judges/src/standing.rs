//! How a judge that may fail stands: what it answered, what it did not, and whether it is given up.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Takes what people should know of a judge, a line at a time.
pub type Notice = Arc<dyn Fn(&str) + Send + Sync>;

/// The account of one judge, which all its threads write.
pub(crate) struct Standing {
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
    /// The reason that people were told last.
    told: String,
    is_given_up: bool,
}

impl Standing {
    pub fn new(limit: u32, notice: Notice) -> Standing {
        Standing { limit, notice, account: Mutex::default() }
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
        account.in_a_row += 1;
        let times = account.in_a_row;
        if times >= self.limit && !account.is_given_up {
            account.is_given_up = true;
            account.failed += 1;
            let cause = if account.told == reason { String::new() } else { format!(", the last time since {reason}") };
            let line = format!("it is given up: it failed {times} times in a row{cause}");
            self.tell(account, reason, &line);
        } else {
            self.count(account, reason);
        }
    }

    /// A question that it does not take, which says nothing of others.
    pub fn passed_over(&self, reason: &str) {
        self.count(self.lock(), reason);
    }

    /// Gives it up, once it is clear that no question will be answered.
    pub fn give_up(&self, reason: &str) {
        let mut account = self.lock();
        account.failed += 1;
        if std::mem::replace(&mut account.is_given_up, true) {
            reason.clone_into(&mut account.last);
        } else {
            self.tell(account, reason, &format!("it is given up: {reason}"));
        }
    }

    /// Counts a failure, of which people are told if it is the first.
    fn count(&self, mut account: MutexGuard<'_, Account>, reason: &str) {
        account.failed += 1;
        if account.failed == 1 {
            let line = format!("it could not speak: {reason}; such steps have no verdict of it");
            self.tell(account, reason, &line);
        } else {
            reason.clone_into(&mut account.last);
        }
    }

    /// The account is let go first: whoever is told may take their time.
    fn tell(&self, mut account: MutexGuard<'_, Account>, reason: &str, line: &str) {
        reason.clone_into(&mut account.last);
        reason.clone_into(&mut account.told);
        drop(account);
        (self.notice)(line);
    }

    /// What it is asked from now on has no answer.
    pub fn is_given_up(&self) -> bool {
        self.lock().is_given_up
    }

    /// What went wrong, if anything did. A reason that people were told of is not said again.
    pub fn trouble(&self) -> Option<String> {
        let Account { answered, failed, last, told, is_given_up, .. } = &*self.lock();
        let fate = if *is_given_up { ", and it is given up" } else { "" };
        let reason = if last == told { String::new() } else { format!("; the last time: {last}") };
        (*failed > 0).then(|| format!("it failed at {failed} of {} questions{fate}{reason}", answered + failed))
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
        let standing = Standing::new(3, notice);
        assert_eq!(standing.trouble(), None);
        for _ in 0..5 {
            standing.failed("a");
            standing.failed("b");
            standing.succeeded();
        }
        assert!(!standing.is_given_up());
        assert_eq!(standing.trouble().unwrap(), "it failed at 10 of 15 questions; the last time: b");
        (0..4).for_each(|_| standing.failed("c"));
        assert!(standing.is_given_up());
        // The fourth c had been told with the third.
        assert_eq!(standing.trouble().unwrap(), "it failed at 14 of 19 questions, and it is given up");
        let lines = lines.lock().unwrap();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("could not speak: a") && lines[1].contains("3 times in a row"));
    }
}
