//! Progress on a terminal: one bar, with what is being done and how far it is.

use indicatif::{ProgressBar, ProgressStyle};
use std::time::Duration;

/// A bar over a stage's items. On anything but a terminal nothing is drawn.
#[derive(Clone)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar titled `title` over `total` items.
    pub fn new(title: &str, total: u64) -> Progress {
        let bar = ProgressBar::new(total);
        // The template is a constant, so that it parses is known.
        if let Ok(style) = ProgressStyle::with_template("{prefix:<24} {bar:32} {pos:>6}/{len} {elapsed} {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(title.to_owned());
        bar.enable_steady_tick(Duration::from_millis(500));
        Progress { bar }
    }

    /// Sets how many items are done and a short remark.
    pub fn at(&self, done: u64, remark: String) {
        self.bar.set_position(done);
        self.bar.set_message(remark);
    }

    /// Sets the number of items, once it is known.
    pub fn set_total(&self, total: u64) {
        self.bar.set_length(total);
    }

    /// Removes the bar and leaves one plain line, on a terminal and in a log alike.
    pub fn finish(&self, summary: &str) {
        let title = self.bar.prefix();
        self.bar.finish_and_clear();
        eprintln!("{title:<24} {summary}");
    }
}
