//! Gumbel top-k at the root with sequential halving (Danihelka, Guez, Schrittwieser, Silver 2022, "Policy improvement by
//! planning with Gumbel"), as in mctx's `gumbel_muzero_policy`.

use espalier_tree::{NodeId, Tree};
use rand::{Rng, RngExt};

/// Scale of the completed Q, and the visits added to it: mctx's `value_scale` and `maxvisit_init`.
const VALUE_SCALE: f64 = 0.1;
const VISITS_INIT: f64 = 50.0;

/// mctx's smallest denominator when Q is rescaled to [0, 1].
const EPSILON: f64 = 1e-8;

/// The root's choice among its children: m of them are drawn without replacement by Gumbel noise on their log-priors, and
/// halved again and again as simulations show which are worth less.
///
/// ```
/// use espalier_search::Gumbel;
/// // 8 children, 24 simulations: each once, then the better 4 twice, then the better 2.
/// let visits = [[0; 8].as_slice(), &[1; 4], &[2; 4], &[3, 3, 4, 4, 5, 5, 6, 6]].concat();
/// assert_eq!(Gumbel::considered_visits(8, 24), visits);
/// ```
///
/// We differ from mctx where trees of steps do: a child's visits are the simulations that went through it (rewards of
/// terminal steps are backed up beside), children that are terminal are left out, the noise is drawn for all of them when
/// the root is expanded, and where no open child has the considered number of visits, as when one was exhausted, all open
/// ones are considered.
#[derive(Clone, Debug)]
pub struct Gumbel {
    noise: Vec<f64>,
    visits: Vec<u32>,
    schedule: Vec<u32>,
}

impl Gumbel {
    /// The number of visits that a child must have to be considered, simulation by simulation: sequential halving of
    /// `considered` children in `simulations`.
    pub fn considered_visits(considered: usize, simulations: usize) -> Vec<u32> {
        if considered <= 1 {
            return (0..simulations as u32).collect();
        }
        let rounds = considered.next_power_of_two().ilog2() as usize;
        let mut visits = vec![0; considered];
        let mut schedule = Vec::with_capacity(simulations);
        let mut left = considered;
        while schedule.len() < simulations {
            for _ in 0..(simulations / (rounds * left)).max(1) {
                schedule.extend_from_slice(&visits[..left]);
                visits[..left].iter_mut().for_each(|count| *count += 1);
            }
            left = (left / 2).max(2);
        }
        schedule.truncate(simulations);
        schedule
    }

    /// Draws the noise of a root with `children` children, of which `open` are open; at most `considered` are looked at
    /// in `simulations`.
    pub(crate) fn new(
        children: usize,
        open: usize,
        considered: usize,
        simulations: usize,
        rng: &mut impl Rng,
    ) -> Gumbel {
        // -ln(-ln(u)) for u uniform in (0, 1).
        let mut draw = || -(-((f64::from(rng.random::<u32>()) + 0.5) / (f64::from(u32::MAX) + 1.0)).ln()).ln();
        Gumbel {
            noise: (0..children).map(|_| draw()).collect(),
            visits: vec![0; children],
            schedule: Gumbel::considered_visits(considered.min(open), simulations),
        }
    }

    /// The root's child to go on with, which is then counted as visited; `None` if all are terminal.
    pub(crate) fn select(&mut self, tree: &Tree) -> Option<NodeId> {
        let children: Vec<NodeId> = tree.node(NodeId::ROOT).children().collect();
        let simulation = self.visits.iter().map(|&count| count as usize).sum::<usize>();
        let considered = self.schedule.get(simulation).copied();
        let scores = self.scores(tree, &children);
        let is_open = |at: usize| !tree.node(children[at]).ending.is_terminal();
        let best = |fits: &dyn Fn(usize) -> bool| {
            let fitting = (0..children.len()).filter(|&at| is_open(at) && fits(at));
            fitting.reduce(|best, at| if scores[at] > scores[best] { at } else { best })
        };
        let chosen = best(&|at| Some(self.visits[at]) == considered).or_else(|| best(&|_| true))?;
        self.visits[chosen] += 1;
        Some(children[chosen])
    }

    /// Takes back the visit of a child that [`select`](Self::select) counted, as of a simulation that did not begin.
    pub(crate) fn take_back(&mut self, tree: &Tree, child: NodeId) {
        let first = tree.node(NodeId::ROOT).child_range().start;
        self.visits[(child.0 - first) as usize] -= 1;
    }

    /// Gumbel + logit + transformed Q of each child.
    fn scores(&self, tree: &Tree, children: &[NodeId]) -> Vec<f64> {
        let priors: Vec<f64> = children.iter().map(|&id| f64::from(tree.node(id).prior)).collect();
        let total = priors.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let largest = priors.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let probabilities: Vec<f64> =
            priors.iter().map(|prior| (prior / total).max(f64::from(f32::MIN_POSITIVE))).collect();
        let q: Vec<f64> = children.iter().map(|&id| tree.node(id).q()).collect();
        let raw = tree.node(NodeId::ROOT).value_estimate().map_or(0.0, f64::from);
        let completed = completed_q(raw, &q, &self.visits, &probabilities);
        (0..children.len()).map(|at| (self.noise[at] + (priors[at] / largest).ln() + completed[at]).max(-1e9)).collect()
    }
}

/// mctx's `qtransform_completed_by_mix_value`: Q of unvisited children is the mixed value, all are rescaled to [0, 1] and
/// weighted by the visits so far.
fn completed_q(raw_value: f64, q: &[f64], visits: &[u32], probabilities: &[f64]) -> Vec<f64> {
    let visited = || (0..q.len()).filter(|&at| visits[at] > 0);
    let total = visits.iter().map(|&count| f64::from(count)).sum::<f64>();
    let probability: f64 = visited().map(|at| probabilities[at]).sum();
    let weighted: f64 = visited().map(|at| probabilities[at] * q[at] / probability).sum();
    let mixed = (raw_value + total * weighted) / (total + 1.0);
    let completed = (0..q.len()).map(|at| if visits[at] > 0 { q[at] } else { mixed });
    let completed: Vec<f64> = completed.collect();
    let lowest = completed.iter().copied().fold(f64::INFINITY, f64::min);
    let highest = completed.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let most = f64::from(visits.iter().copied().max().unwrap_or(0));
    let scale = (VISITS_INIT + most) * VALUE_SCALE;
    completed.into_iter().map(|q| scale * (q - lowest) / (highest - lowest).max(EPSILON)).collect()
}

#[cfg(test)]
mod tests;
