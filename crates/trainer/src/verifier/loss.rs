//! The loss of a verifier's scores: a function of hidden states and heads alone.

use crate::TrainerError;
use crate::means::Means;
use tch::{Kind, Tensor};

/// What is known of S states and the P pairs among them.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// Q of each, `[S]`.
    pub q: Vec<f32>,
    /// N of each, `[S]`.
    pub visits: Vec<f32>,
    /// The better and the worse state of each pair, `[P]` each.
    pub better: Vec<i64>,
    /// See `better`.
    pub worse: Vec<i64>,
    /// How often each state counts for each head, `[S K]`, state after state.
    pub counts: Vec<f32>,
}

/// What the sums over a batch are divided by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Totals {
    /// Pairs.
    pub pairs: f64,
    /// Visits of all states.
    pub visits: f64,
}

/// With the scores s = w_k . h of K heads `[K, H]` at the states `[S, H]`, both float32, a scalar: the mean over the heads
/// of
///
/// ranking * sum over pairs of -ls(s_w - s_l) / pairs + regression * sum over states of N (tanh(s) - Q)^2 / visits,
///
/// each term as often as its problem counts for the head. ls is the logarithm of the sigmoid. What is reported goes to
/// `means`.
pub(super) fn loss(
    heads: &Tensor,
    states: &Tensor,
    targets: &Targets,
    [ranking, regression]: [f64; 2],
    totals: Totals,
    means: &mut Means,
) -> Result<Tensor, TrainerError> {
    let device = states.device();
    let numbers = |tensor: &Tensor| Vec::<f64>::try_from(tensor.detach().to_kind(Kind::Double).reshape([-1]));
    let scores = states.f_matmul(&heads.tr())?;
    let values = scores.tanh();
    let counts = Tensor::from_slice(&targets.counts).to_device(device).f_view(scores.size().as_slice())?;
    // Of the heads, so that a gradient flows where nothing is to be learnt.
    let mut loss = heads.sum(Kind::Float) * 0.0;
    if !targets.better.is_empty() {
        let places = |places: &[i64]| Tensor::from_slice(places).to_device(device);
        let (better, worse) = (places(&targets.better), places(&targets.worse));
        let of = |all: &Tensor, places: &Tensor| all.index_select(0, places);
        let margins = of(&scores, &better) - of(&scores, &worse);
        // Both states of a pair are of one problem.
        let losses = -margins.log_sigmoid() * of(&counts, &better);
        if ranking > 0.0 {
            loss += losses.sum(Kind::Float) * (ranking / totals.pairs.max(1.0));
        }
        let value = values.mean_dim(-1, false, Kind::Float);
        let apart = of(&value, &better) - of(&value, &worse);
        means.add("ranking/margins", &numbers(&apart)?);
        means.add("ranking/accuracies", &numbers(&apart.gt(0.0))?);
    }
    let column = |numbers: &[f32]| Tensor::from_slice(numbers).to_device(device).unsqueeze(1);
    let errors = &values - column(&targets.q);
    if regression > 0.0 {
        let squares = errors.square() * column(&targets.visits) * &counts;
        loss += squares.sum(Kind::Float) * (regression / totals.visits.max(1.0));
    }
    means.add("value/mean", &numbers(&values)?);
    means.add("value/target_mean", &targets.q.iter().map(|&q| f64::from(q)).collect::<Vec<_>>());
    means.add("value/absolute_error", &numbers(&errors.abs())?);
    Ok(loss / heads.size()[0] as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three states of two numbers and two heads.
    fn case() -> (Tensor, Tensor, Targets) {
        let states = Tensor::from_slice(&[1.0_f32, 0.0, 0.0, 1.0, 1.0, 1.0]).view([3, 2]);
        let heads = Tensor::from_slice(&[0.5_f32, -0.25, 0.0, 1.0]).view([2, 2]).set_requires_grad(true);
        let targets = Targets {
            q: vec![1.0, -0.5, 0.0],
            visits: vec![3.0, 1.0, 0.0],
            better: vec![0, 2],
            worse: vec![1, 1],
            counts: vec![1.0, 2.0, 1.0, 2.0, 1.0, 0.0],
        };
        (heads, states, targets)
    }

    const TOTALS: Totals = Totals { pairs: 2.0, visits: 4.0 };

    fn close(found: &Tensor, expected: &[f64]) {
        let found = Vec::<f64>::try_from(found.to_kind(Kind::Double).reshape([-1])).unwrap();
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found:?}, expected {expected:?}");
        assert_eq!(found.len(), expected.len());
    }

    fn sigmoid(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    #[test]
    fn the_ranking_loss_and_its_gradient_are_those_of_the_formula() {
        let (heads, states, targets) = case();
        let mut means = Means::default();
        let found = loss(&heads, &states, &targets, [1.0, 0.0], TOTALS, &mut means).unwrap();
        // Scores of the first head: 0.5, -0.25, 0.25; margins 0.75 and 0.5, counted once.
        // Of the second: 0, 1, 1; margins -1, counted twice, and 0, not counted.
        let ls = |x: f64| sigmoid(x).ln();
        let first = -(ls(0.75) + ls(0.5)) / 2.0;
        let second = -2.0 * ls(-1.0) / 2.0;
        close(&found, &[f64::midpoint(first, second)]);
        found.backward();
        // d(-ls(m))/dw = -sigmoid(-m) (h_w - h_l): h_0 - h_1 = (1, -1), h_2 - h_1 = (1, 0).
        let (a, b, c) = (sigmoid(-0.75) / 4.0, sigmoid(-0.5) / 4.0, 2.0 * sigmoid(1.0) / 4.0);
        close(&heads.grad(), &[-a - b, a, -c, c]);
        let means = means.take();
        let of = |name: &str| means.iter().find(|(other, _)| *other == name).unwrap().1;
        // V: (tanh 0.5 + 0) / 2, (tanh -0.25 + tanh 1) / 2, (tanh 0.25 + tanh 1) / 2: the second pair is right.
        assert_eq!(of("ranking/accuracies"), 0.5);
    }

    #[test]
    fn the_regression_counts_visits_and_draws() {
        let (heads, states, targets) = case();
        let found = loss(&heads, &states, &targets, [0.0, 1.0], TOTALS, &mut Means::default()).unwrap();
        let first = 3.0 * (0.5_f64.tanh() - 1.0).powi(2) + (-(0.25_f64.tanh()) + 0.5).powi(2);
        let second = 3.0 * 2.0 + 2.0 * (1.0_f64.tanh() + 0.5).powi(2);
        close(&found, &[(first + second) / 4.0 / 2.0]);
        let ranking = loss(&heads, &states, &targets, [1.0, 0.0], TOTALS, &mut Means::default()).unwrap();
        let both = loss(&heads, &states, &targets, [1.0, 0.5], TOTALS, &mut Means::default()).unwrap();
        close(&both, &[ranking.double_value(&[]) + 0.5 * found.double_value(&[])]);
    }

    #[test]
    fn states_without_pairs_have_no_ranking_loss() {
        let (heads, states, targets) = case();
        let targets = Targets { better: vec![], worse: vec![], ..targets };
        let totals = Totals { pairs: 0.0, visits: 0.0 };
        let found = loss(&heads, &states, &targets, [1.0, 0.0], totals, &mut Means::default()).unwrap();
        close(&found, &[0.0]);
        found.backward();
        close(&heads.grad(), &[0.0; 4]);
    }
}
