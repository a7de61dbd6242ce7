//! Which examples make up which batch: a function of the seed and the epoch alone, so that a resumed run needs to
//! remember nothing but its step.

use crate::TrainConfig;
use crate::config::Order;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Batches whose examples are sorted by length together. More gives less padding and less random batches.
const BATCHES_PER_BUCKET: usize = 16;

/// The batches of a whole run over N examples.
#[derive(Debug)]
pub(crate) struct BatchOrder {
    /// Examples that stay together, because they share tokens.
    units: Vec<Vec<usize>>,
    lengths: Vec<usize>,
    batch_size: usize,
    seed: u64,
    order: Order,
}

impl BatchOrder {
    /// `lengths` `[N]`: tokens of each example. Every example stays alone.
    pub fn new(lengths: Vec<usize>, config: &TrainConfig) -> BatchOrder {
        BatchOrder::of_units((0..lengths.len()).map(|row| vec![row]).collect(), lengths, config)
    }

    /// As [`BatchOrder::new`], but a shuffled order keeps the examples of each of `units` together; every example is in one.
    pub fn of_units(units: Vec<Vec<usize>>, lengths: Vec<usize>, config: &TrainConfig) -> BatchOrder {
        BatchOrder {
            units,
            lengths,
            batch_size: config.batch_size,
            seed: config.seed,
            order: config.order.unwrap_or_default(),
        }
    }

    /// Examples in an epoch.
    pub fn examples(&self) -> usize {
        self.lengths.len()
    }

    /// Batches in an epoch.
    pub fn batches_per_epoch(&self) -> usize {
        self.lengths.len().div_ceil(self.batch_size)
    }

    /// The batches of one epoch; every example is in exactly one.
    pub fn epoch(&self, epoch: u64) -> Vec<Vec<usize>> {
        if self.order == Order::AsGiven {
            let rows: Vec<usize> = (0..self.lengths.len()).collect();
            return rows.chunks(self.batch_size).map(<[usize]>::to_vec).collect();
        }
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        generator.set_stream(epoch);
        let mut units: Vec<usize> = (0..self.units.len()).collect();
        units.shuffle(&mut generator);
        let longest = |unit: usize| self.units[unit].iter().map(|&row| self.lengths[row]).max();
        for bucket in units.chunks_mut(self.batch_size * BATCHES_PER_BUCKET) {
            bucket.sort_by_key(|&unit| longest(unit));
        }
        let rows: Vec<usize> = units.into_iter().flat_map(|unit| self.units[unit].iter().copied()).collect();
        let mut batches: Vec<Vec<usize>> = rows.chunks(self.batch_size).map(<[usize]>::to_vec).collect();
        batches.shuffle(&mut generator);
        batches
    }
}

/// Cuts `rows` into micro-batches of like length that hold at most `max_tokens` tokens with their padding, or one example.
/// `length` gives an example's tokens.
pub(crate) fn by_length(rows: &[usize], max_tokens: usize, length: impl Fn(usize) -> usize) -> Vec<Vec<usize>> {
    let mut sorted = rows.to_vec();
    sorted.sort_by_key(|&row| length(row));
    let mut micro_batches: Vec<Vec<usize>> = Vec::new();
    // From the longest down, so that the first example of a micro-batch says how wide that is.
    for &row in sorted.iter().rev() {
        match micro_batches.last_mut() {
            Some(open) if (open.len() + 1) * length(open[0]) <= max_tokens => open.push(row),
            _ => micro_batches.push(vec![row]),
        }
    }
    micro_batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(n: usize) -> Vec<usize> {
        (0..n).map(|i| 10 + (i * 7919) % 190).collect()
    }

    fn config(batch_size: usize, seed: u64, order: Order) -> TrainConfig {
        TrainConfig { batch_size, seed, order: Some(order), ..TrainConfig::default() }
    }

    #[test]
    fn every_example_once_an_epoch_in_an_order_of_its_own() {
        let order = BatchOrder::new(lengths(1003), &config(8, 5, Order::Shuffled));
        let batches = order.epoch(0);
        assert_eq!(batches.len(), order.batches_per_epoch());
        assert_eq!(batches.iter().filter(|batch| batch.len() == 8).count(), 125);
        let mut all = batches.concat();
        all.sort_unstable();
        assert_eq!(all, (0..1003).collect::<Vec<_>>());
        assert_eq!(batches, order.epoch(0));
        assert_ne!(batches, order.epoch(1));
        assert_ne!(batches, BatchOrder::new(lengths(1003), &config(8, 6, Order::Shuffled)).epoch(0));
    }

    #[test]
    fn batches_hold_examples_of_like_length() {
        let lengths = lengths(1000);
        let order = BatchOrder::new(lengths.clone(), &config(10, 1, Order::Shuffled));
        let padded: usize = order.epoch(0).iter().map(|b| b.len() * b.iter().map(|&r| lengths[r]).max().unwrap()).sum();
        let real: usize = lengths.iter().sum();
        assert!((padded as f64) < 1.08 * real as f64, "{padded} tokens for {real}");
    }

    #[test]
    fn a_unit_stays_together_as_far_as_batches_allow() {
        let config = TrainConfig { batch_size: 4, ..TrainConfig::default() };
        let units: Vec<Vec<usize>> = (0..10).map(|unit| vec![2 * unit, 2 * unit + 1]).collect();
        let batches = BatchOrder::of_units(units, lengths(20), &config).epoch(0);
        assert!(batches.iter().all(|batch| batch.chunks(2).all(|pair| pair[1] == pair[0] + 1 && pair[0] % 2 == 0)));
        let mut all = batches.concat();
        all.sort_unstable();
        assert_eq!(all, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn as_given_keeps_the_order() {
        let order = BatchOrder::new(lengths(7), &config(3, 1, Order::AsGiven));
        assert_eq!(order.epoch(4), [vec![0, 1, 2], vec![3, 4, 5], vec![6]]);
    }

    #[test]
    fn micro_batches_stay_below_the_limit_where_an_example_does() {
        let length = |row: usize| [100, 30, 20, 25, 30][row];
        let micro_batches = by_length(&[0, 1, 2, 3, 4], 60, length);
        assert_eq!(micro_batches, [vec![0], vec![4, 1], vec![3, 2]]);
    }
}
