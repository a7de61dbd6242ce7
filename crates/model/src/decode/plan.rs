//! What goes into one pass: ids, positions, and places for the new keys and values.

use super::blocks::{Pool, Run};
use super::DecodeGroup;
use crate::{ModelConfig, ModelError};
use espalier_kernels::BLOCK;

/// The groups of a pass with their new tokens, R in all.
pub(super) type Calls<'a, 'b> = &'a mut [(&'b mut DecodeGroup, &'b [u32])];

/// Where a new token's keys and values go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub call: usize,
    pub row: usize,
    /// The run among those of the row.
    pub run: usize,
    /// The token in the run's block.
    pub token: usize,
}

/// A pass whose new tokens have their blocks.
pub(super) struct Plan {
    /// [R]
    pub ids: Vec<u32>,
    /// [R]
    pub positions: Vec<usize>,
    /// [R]
    pub targets: Vec<Target>,
    /// The first new token of each group, and the tokens of each of its rows.
    pub calls: Vec<(usize, usize)>,
    /// The last new token of each row of each group.
    pub last: Vec<usize>,
}

impl Plan {
    /// Checks the new tokens and takes blocks for them.
    ///
    /// # Errors
    /// Ids outside the vocabulary, no whole number of tokens for each row, no room left, a prefix of another pool. Nothing was
    /// changed then.
    pub fn new(config: &ModelConfig, pool: &Pool, calls: Calls) -> Result<Plan, ModelError> {
        let mut needed = 0;
        for (group, new) in calls.iter_mut() {
            let (rows, used, capacity) = (group.rows(), group.used, group.capacity());
            let tokens = new.len() / rows;
            if tokens * rows != new.len() || tokens == 0 || used + tokens > capacity {
                return Err(ModelError::Group { tokens: new.len(), rows, used, capacity });
            }
            if let Some(&id) = new.iter().find(|&&id| id as usize >= config.vocab_size) {
                return Err(ModelError::Token { id, vocab_size: config.vocab_size });
            }
            if group.prefix.iter().chain(group.rows.iter().flatten()).any(|run| !pool.is_of(run)) {
                return Err(ModelError::ForeignSegment);
            }
            needed += group.blocks_for(tokens);
        }
        let mut blocks = (0..needed).map(|_| pool.take()).collect::<Result<Vec<_>, _>>()?;

        let mut plan =
            Plan { ids: Vec::new(), positions: Vec::new(), targets: Vec::new(), calls: Vec::new(), last: Vec::new() };
        for (call, (group, new)) in calls.iter_mut().enumerate() {
            let tokens = new.len() / group.rows();
            let start = group.prefix_len() + group.used;
            plan.calls.push((plan.ids.len(), tokens));
            plan.ids.extend_from_slice(new);
            for (row, runs) in group.rows.iter_mut().enumerate() {
                plan.positions.extend(start..start + tokens);
                plan.last.push(plan.positions.len() - 1);
                let mut left = tokens;
                while left > 0 {
                    let room = runs.last_mut().map_or(0, Run::room);
                    if room == 0 {
                        let Some(block) = blocks.pop() else { break };
                        runs.push(Run { block, start: 0, len: 0 });
                        continue;
                    }
                    let added = room.min(left);
                    let run = runs.len() - 1;
                    let first = runs[run].start + runs[run].len;
                    plan.targets.extend((first..first + added).map(|token| Target { call, row, run, token }));
                    runs[run].len += added;
                    left -= added;
                }
                debug_assert!(left == 0 && runs.iter().all(|run| run.start + run.len <= BLOCK), "blocks for all tokens");
            }
        }
        Ok(plan)
    }

    /// Counts the new tokens as read.
    pub fn finish(calls: Calls) {
        for (group, new) in calls.iter_mut() {
            group.used += new.len() / group.rows();
        }
    }
}
