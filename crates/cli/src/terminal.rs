//! What a person at a terminal sees of a stage: one bar while it works, one line when it is done.

use crate::shown::{say, shown};
use espalier_rounds::context::Observer;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Shows stages on the standard error. On anything but a terminal no bar is drawn; the lines are the same.
#[derive(Debug, Default)]
pub struct Terminal {
    bar: Mutex<Option<ProgressBar>>,
}

impl Terminal {
    fn with_bar(&self, show: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
            show(bar);
        }
    }
}

impl Observer for Terminal {
    fn began(&self, title: &str, total: u64) {
        let bar = ProgressBar::new(total);
        // The template is a constant, so that it parses is known.
        if let Ok(style) = ProgressStyle::with_template("{prefix:<24} {bar:32} {pos:>6}/{len} {elapsed} {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(shown(title).into_owned());
        bar.enable_steady_tick(Duration::from_millis(500));
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
    }

    fn advanced(&self, done: u64, total: u64, remark: &str) {
        self.with_bar(|bar| {
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message(shown(remark).into_owned());
        });
    }

    fn finished(&self, summary: &str) {
        if let Some(bar) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let title = bar.prefix();
            bar.finish_and_clear();
            say(format_args!("{title:<24} {summary}"));
        }
    }

    fn noticed(&self, line: &str) {
        match &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(bar) => bar.suspend(|| say(format_args!("{line}"))),
            None => say(format_args!("{line}")),
        }
    }
}
