//! Reading ahead: what the next answer will touch, so that the caches have it by then.

use super::TreeSearch;
use espalier_tree::NodeId;

impl TreeSearch {
    /// Reads from the search's own fields. What comes back says nothing.
    pub(crate) fn fetch(&self) -> u64 {
        let asked = self.growth.asks.first().map_or(0, |ask| ask.ticket);
        let at = self.growth.path.first().map_or(0, |id| id.0);
        let own =
            self.growth.limits.work.requests ^ self.index ^ self.growth.limits.tokens ^ self.growth.tree.len() as u64;
        asked ^ own ^ u64::from(at) ^ u64::from(self.growth.limits.has_settled)
    }

    /// Reads from the nodes of the path, whose statistics the answer changes, and from where its steps will be added.
    pub(crate) fn fetch_path(&self) -> u64 {
        // A node's siblings lie beside it, on the same cache line or the one before.
        let visits = |id: u32| self.growth.tree.node(NodeId(id)).visits;
        let path = self.growth.path.iter().fold(0, |read, id| read ^ visits(id.0) ^ visits(id.0.saturating_sub(2)));
        let last = NodeId(self.growth.tree.len() as u32 - 1);
        let token = self.growth.tree.token_ids(last).last().copied().unwrap_or(0);
        let logprob = self.growth.tree.logprobs(last).last().map_or(0, |logprob| logprob.to_bits());
        let text = self.growth.tree.text(last).as_bytes().last().copied().unwrap_or(0);
        u64::from(path ^ token ^ logprob ^ u32::from(text))
    }
}
