//! Means over the micro-batches of a batch.

use crate::metrics::Numbers;

/// Gathers numbers by name until their means are taken.
#[derive(Debug, Default)]
pub(crate) struct Means {
    sums: Vec<(&'static str, f64, usize)>,
}

impl Means {
    /// Adds `values` to those called `name`.
    pub fn add(&mut self, name: &'static str, values: &[f64]) {
        let sum: f64 = values.iter().sum();
        match self.sums.iter_mut().find(|(other, ..)| *other == name) {
            Some((_, total, count)) => {
                *total += sum;
                *count += values.len();
            }
            None => self.sums.push((name, sum, values.len())),
        }
    }

    /// The mean of each name, in the order in which the names first came; nothing is kept.
    pub fn take(&mut self) -> Numbers {
        self.sums.drain(..).map(|(name, sum, count)| (name, sum / count.max(1) as f64)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_counts_once() {
        let mut means = Means::default();
        means.add("a", &[1.0, 2.0]);
        means.add("b", &[5.0]);
        means.add("a", &[6.0]);
        assert_eq!(means.take(), [("a", 3.0), ("b", 5.0)]);
        assert!(means.take().is_empty());
    }
}
