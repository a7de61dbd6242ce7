//! What goes into one pass: ids, positions, and places for the new keys and values.

use super::DecodeGroup;
use super::blocks::{Pool, Run};
use crate::{ModelConfig, ModelError};
use std::collections::HashSet;
use std::sync::Arc;

/// The groups of a pass with their new tokens, R in all.
pub(super) type Calls<'a, 'b> = &'a mut [(&'b mut DecodeGroup, &'b [u32])];

/// Where a new token's keys and values go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// The block's place.
    pub place: usize,
    /// The token in the block.
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
        let (mut needed, mut claimed) = (0, HashSet::new());
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
            needed += group.blocks_for(tokens, &mut claimed);
        }
        let mut blocks = (0..needed).map(|_| pool.take()).collect::<Result<Vec<_>, _>>()?;

        let mut plan =
            Plan { ids: Vec::new(), positions: Vec::new(), targets: Vec::new(), calls: Vec::new(), last: Vec::new() };
        for (group, new) in calls.iter_mut() {
            let tokens = new.len() / group.rows();
            let start = group.prefix_len() + group.used;
            plan.calls.push((plan.ids.len(), tokens));
            plan.ids.extend_from_slice(new);
            for row in 0..group.rows() {
                plan.positions.extend(start..start + tokens);
                plan.last.push(plan.positions.len() - 1);
                let mut left = tokens;
                while left > 0 {
                    let tail = match group.tail(row).filter(|tail| tail.room() > 0) {
                        Some(tail) => tail.clone(),
                        None => Run { block: blocks.pop().map_or_else(|| pool.take(), Ok)?, start: 0, len: 0 },
                    };
                    let new = tail.claim(tail.room().min(left));
                    left -= new.len;
                    plan.targets.extend((new.start..new.end()).map(|token| Target { place: new.block.place, token }));
                    match group.rows[row].last_mut() {
                        Some(last) if Arc::ptr_eq(&last.block, &new.block) => last.len += new.len,
                        _ => group.rows[row].push(new),
                    }
                }
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
