//! Steps whose stop strings end inside tokens: what is stored is whole tokens, what is judged is whole steps.
//!
//! ```text
//!   stored   <step>Plan 1: add</step>< | step>Plan 2: halve</step>\n | </plan><solution>..
//!   judged   <step>Plan 1: add</step>   <step>Plan 2: halve</step>   \n</plan><solution>..
//! ```

use crate::judge::Judge;
use espalier_tree::{NodeId, Tree};
use std::borrow::Cow;

/// Reads the texts that follow one node.
pub(super) struct Reader<'j, J: ?Sized> {
    judge: &'j J,
    /// What the node's last token has beyond its step; mostly nothing.
    overhang: String,
}

impl<'j, J: Judge + ?Sized> Reader<'j, J> {
    #[inline]
    pub(super) fn below(tree: &Tree, id: NodeId, judge: &'j J) -> Reader<'j, J> {
        Reader { judge, overhang: overhang(tree, id, judge) }
    }

    /// Where in a text that follows the node its step, or its path, ends.
    #[inline]
    pub(super) fn end(&self, text: &str) -> usize {
        if self.overhang.is_empty() {
            return self.judge.end(text).unwrap_or(text.len());
        }
        end_after(&self.overhang, text, self.judge).unwrap_or(text.len())
    }

    /// The step, or the path, in a text that follows the node and ends where [`end`](Self::end) said.
    #[inline]
    pub(super) fn read<'t>(&self, own: &'t str) -> Cow<'t, str> {
        if self.overhang.is_empty() { own.into() } else { format!("{}{own}", self.overhang).into() }
    }
}

/// Where in `text` the stop string ends that may begin in what stands before it.
fn end_after(before: &str, text: &str, judge: &(impl Judge + ?Sized)) -> Option<usize> {
    let end = judge.end(&format!("{before}{text}"))?;
    end.checked_sub(before.len()).filter(|&own| own > 0)
}

/// What a node's last token has beyond its step.
fn overhang(tree: &Tree, id: NodeId, judge: &(impl Judge + ?Sized)) -> String {
    // The prompt is no step.
    let Some(parent) = tree.parent(id) else { return String::new() };
    let text = tree.text(id);
    let end = judge.end(text).or_else(|| {
        let before = overhang(tree, parent, judge);
        if before.is_empty() { None } else { end_after(&before, text, judge) }
    });
    end.map_or_else(String::new, |end| text[end..].to_owned())
}
