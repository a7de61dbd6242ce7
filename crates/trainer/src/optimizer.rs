//! `AdamW` over named tensors.
//!
//! All trained parameters live in one flat float32 tensor, of which the model's own tensors are views, or, when the model
//! computes in bfloat16, rounded copies; gradients are gathered in a second, the moments are a third and a fourth. So a
//! step is a dozen operations however many layers the model has, and saving it is saving three tensors.

use crate::{TrainConfig, TrainerError};
use tch::{Kind, Tensor, no_grad};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// Elements updated at a time: small enough for parameters, gradients and moments of a piece to stay in the cache.
const PIECE: i64 = 1 << 16;

/// Elements whose norm is taken at a time.
const NORM_PIECE: i64 = 1 << 20;

/// A parameter's place in the flat tensors.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slot {
    pub name: String,
    pub shape: Vec<i64>,
    pub start: i64,
    pub len: i64,
}

/// `AdamW` (arXiv:1711.05101, algorithm 2) with bias-corrected moments and decoupled weight decay on tensors of two or
/// more dimensions. N is the number of all trained parameters.
#[derive(Debug)]
pub(crate) struct AdamW {
    slots: Vec<Slot>,
    /// The model's tensors in the order of `slots`.
    parameters: Vec<Tensor>,
    /// Whether they are rounded copies of `flat` rather than views of it.
    rounded: bool,
    /// `[N]`; the first `decayed` elements take weight decay.
    flat: Tensor,
    decayed: i64,
    gradient: Tensor,
    first_moment: Tensor,
    second_moment: Tensor,
    steps: u64,
    weight_decay: f64,
    max_grad_norm: f64,
}

impl AdamW {
    /// Takes over `named`, float32 or bfloat16 tensors of a model: float32 ones are views of one tensor from here on. All
    /// require gradients until the optimiser is dropped, and a backward pass adds to what it gathers. `master` gives the
    /// float32 tensor that a bfloat16 one was rounded from.
    pub fn new(
        named: &[(String, Tensor)],
        mut master: impl FnMut(&str) -> Option<Tensor>,
        config: &TrainConfig,
    ) -> Result<AdamW, TrainerError> {
        let trainable = |kind| kind == Kind::Float || kind == Kind::BFloat16;
        if let Some((name, tensor)) = named.iter().find(|(_, tensor)| !trainable(tensor.kind())) {
            return Err(TrainerError::NotFloat32 { name: name.clone(), kind: format!("{:?}", tensor.kind()) });
        }
        let rounded = named.iter().any(|(_, tensor)| tensor.kind() != Kind::Float);
        // Matrices first, so that weight decay is one operation on one range.
        let (matrices, vectors): (Vec<_>, Vec<_>) = named.iter().partition(|(_, tensor)| tensor.dim() >= 2);
        let decayed = matrices.iter().map(|(_, tensor)| tensor.numel() as i64).sum();
        let ordered: Vec<_> = matrices.into_iter().chain(vectors).collect();
        let exact = |(name, tensor): &&(String, Tensor)| master(name).unwrap_or_else(|| tensor.detach());
        let pieces: Vec<Tensor> =
            ordered.iter().map(exact).map(|tensor| tensor.to_kind(Kind::Float).reshape([-1])).collect();
        let flat = tch::no_grad(|| Tensor::f_cat(&pieces, 0))?;
        drop(pieces);
        let gradient = flat.zeros_like();
        let (mut slots, mut parameters, mut start) = (Vec::new(), Vec::new(), 0);
        for (name, tensor) in ordered {
            let (shape, len) = (tensor.size(), tensor.numel() as i64);
            let own = |all: &Tensor| all.narrow(0, start, len).view(shape.as_slice());
            let mut parameter = tensor.shallow_clone();
            if !rounded {
                tch::no_grad(|| parameter.f_set_data(&own(&flat)))?;
            }
            let parameter = parameter.set_requires_grad(true);
            if !parameter.grad().defined() {
                // A backward pass of nothing gives it a gradient, whose memory can then be replaced.
                (&parameter * 0.0).sum(parameter.kind()).f_backward()?;
            }
            let mut of_parameter = parameter.grad();
            if rounded {
                let _ = of_parameter.zero_();
            } else {
                of_parameter.f_set_data(&own(&gradient))?;
            }
            parameters.push(parameter);
            slots.push(Slot { name: name.clone(), shape, start, len });
            start += len;
        }
        Ok(AdamW {
            slots,
            parameters,
            rounded,
            gradient,
            first_moment: flat.zeros_like(),
            second_moment: flat.zeros_like(),
            flat,
            decayed,
            steps: 0,
            weight_decay: config.weight_decay,
            max_grad_norm: config.max_grad_norm,
        })
    }

    /// Optimiser steps done.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// To be called after each backward pass: adds its gradients in float32 to those of the passes before it.
    pub fn gather(&mut self) -> Result<(), TrainerError> {
        if self.rounded {
            let _guard = tch::no_grad_guard();
            for (slot, parameter) in self.slots.iter().zip(&self.parameters) {
                let mut gradient = parameter.grad();
                let _ = self.gradient.narrow(0, slot.start, slot.len).f_add_(&gradient.reshape([-1]))?;
                let _ = gradient.zero_();
            }
        }
        Ok(())
    }

    /// Brings the model's rounded copies up to date.
    fn publish(&self) {
        if self.rounded {
            let _guard = tch::no_grad_guard();
            for (slot, parameter) in self.slots.iter().zip(&self.parameters) {
                parameter.shallow_clone().copy_(&self.flat.narrow(0, slot.start, slot.len).view(slot.shape.as_slice()));
            }
        }
    }

    /// The global norm of the gathered gradients, computed in float64.
    pub fn gradient_norm(&self) -> f64 {
        // Of the whole at once, LibTorch would first copy all gradients into float64: twice the model's memory.
        let norms: Vec<Tensor> = self
            .gradient
            .split(NORM_PIECE, 0)
            .iter()
            .map(|piece| piece.norm_scalaropt_dtype(2, Kind::Double))
            .collect();
        Tensor::stack(&norms, 0).norm_scalaropt_dtype(2, Kind::Double).double_value(&[])
    }

    /// One step with the gathered gradients, whose global norm is `norm`; forgets them.
    pub fn step(&mut self, learning_rate: f64, norm: f64) {
        let _guard = tch::no_grad_guard();
        self.steps += 1;
        if self.max_grad_norm > 0.0 && norm > self.max_grad_norm {
            let _ = self.gradient.g_mul_scalar_(self.max_grad_norm / norm);
        }
        if self.weight_decay > 0.0 && self.decayed > 0 {
            let _ = self.flat.narrow(0, 0, self.decayed).g_mul_scalar_(1.0 - learning_rate * self.weight_decay);
        }
        let exponent = self.steps as f64;
        let correction1 = 1.0 - BETA1.powf(exponent);
        let correction2 = 1.0 - BETA2.powf(exponent);
        let elements = self.slots.iter().map(|slot| slot.len).sum::<i64>();
        for start in (0..elements).step_by(PIECE as usize) {
            let piece = |tensor: &Tensor| tensor.narrow(0, start, PIECE.min(elements - start));
            let (g, mut m, mut v) = (piece(&self.gradient), piece(&self.first_moment), piece(&self.second_moment));
            let _ = m.lerp_(&g, 1.0 - BETA1);
            let _ = v.lerp_(&g.square(), 1.0 - BETA2);
            // m^ / (sqrt(v^) + eps) with m^ = m / correction1 and v^ = v / correction2, the constants gathered.
            let mut denominator = v.sqrt();
            let _ = denominator.g_mul_scalar_(-correction1 / (learning_rate * correction2.sqrt()));
            let _ = denominator.g_sub_scalar_(EPSILON * correction1 / learning_rate);
            let _ = piece(&self.flat).addcdiv_(&m, &denominator);
        }
        let _ = self.gradient.zero_();
        self.publish();
    }

    /// The float32 parameters, by name.
    pub fn into_masters(self) -> Vec<(String, Tensor)> {
        let view = |slot: &Slot| self.flat.narrow(0, slot.start, slot.len).view(slot.shape.as_slice());
        self.slots.iter().map(|slot| (slot.name.clone(), view(slot))).collect()
    }

    /// The parameters alone as named tensors, as [`AdamW::named`] names them.
    pub fn named_parameters(&self) -> Vec<(String, Tensor)> {
        let mut all = self.named();
        all.truncate(self.slots.len());
        all
    }

    /// Every parameter with its moments as named tensors, for saving; they share memory with the optimiser.
    pub fn named(&self) -> Vec<(String, Tensor)> {
        let parts =
            [("parameter", &self.flat), ("first_moment", &self.first_moment), ("second_moment", &self.second_moment)];
        let mut all = Vec::with_capacity(3 * self.slots.len());
        for (part, tensor) in parts {
            for slot in &self.slots {
                let view = tensor.narrow(0, slot.start, slot.len).view(slot.shape.as_slice());
                all.push((format!("{part}.{}", slot.name), view));
            }
        }
        all
    }

    /// Takes back what [`AdamW::named`] gave after `steps` steps. Says what does not fit.
    pub fn restore(&mut self, saved: &[(String, Tensor)], steps: u64) -> Result<(), String> {
        self.take(self.named(), saved)?;
        self.steps = steps;
        Ok(())
    }

    /// Takes back what [`AdamW::named_parameters`] gave after `steps` steps, for a model that is not trained further.
    /// Says what does not fit.
    pub fn restore_parameters(&mut self, saved: &[(String, Tensor)], steps: u64) -> Result<(), String> {
        self.take(self.named_parameters(), saved)?;
        self.steps = steps;
        Ok(())
    }

    fn take(&self, mine: Vec<(String, Tensor)>, saved: &[(String, Tensor)]) -> Result<(), String> {
        for (name, mut tensor) in mine {
            let Some((_, from)) = saved.iter().find(|(other, _)| *other == name) else {
                return Err(format!("tensor {name} is missing"));
            };
            if from.size() != tensor.size() || from.kind() != tensor.kind() {
                return Err(format!("tensor {name} is {:?} {:?}", from.kind(), from.size()));
            }
            no_grad(|| tensor.f_copy_(from)).map_err(|e| e.to_string())?;
        }
        self.publish();
        Ok(())
    }
}

impl Drop for AdamW {
    fn drop(&mut self) {
        for parameter in &self.parameters {
            let _ = parameter.set_requires_grad(false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(weight_decay: f64, max_grad_norm: f64) -> TrainConfig {
        TrainConfig { weight_decay, max_grad_norm, ..TrainConfig::default() }
    }

    /// `AdamW` of one number, written down independently.
    fn by_hand(mut x: f64, gradients: &[f64], rate: f64, decay: f64) -> f64 {
        let (mut m, mut v) = (0.0, 0.0);
        for (t, g) in gradients.iter().enumerate() {
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let (m_hat, v_hat) = (m / (1.0 - 0.9f64.powi(t as i32 + 1)), v / (1.0 - 0.999f64.powi(t as i32 + 1)));
            x -= rate * (m_hat / (v_hat.sqrt() + 1e-8) + decay * x);
        }
        x
    }

    #[test]
    fn follows_the_formula_and_spares_vectors_from_decay() {
        let matrix = Tensor::from_slice(&[1.5f32, -2.0]).view([1, 2]);
        let vector = Tensor::from_slice(&[0.5f32]);
        let named = [("norm".to_owned(), vector.shallow_clone()), ("weight".to_owned(), matrix.shallow_clone())];
        let mut optimizer = AdamW::new(&named, |_| None, &config(0.1, 0.0)).unwrap();
        for step in 0..5 {
            let loss = matrix.square().sum(Kind::Float) * 0.0
                + (&matrix * Tensor::from_slice(&[1.0f32, -3.0])).sum(Kind::Float) * f64::from(step + 1)
                + vector.sum(Kind::Float) * 2.0;
            loss.backward();
            optimizer.gather().unwrap();
            let norm = optimizer.gradient_norm();
            optimizer.step(0.01, norm);
        }
        let gradients = |scale: f64| (1..=5).map(|t| scale * f64::from(t)).collect::<Vec<_>>();
        for (i, (start, scale)) in [(1.5, 1.0), (-2.0, -3.0)].into_iter().enumerate() {
            let expected = by_hand(start, &gradients(scale), 0.01, 0.1);
            assert!((matrix.double_value(&[0, i as i64]) - expected).abs() < 1e-6);
        }
        assert!((vector.double_value(&[0]) - by_hand(0.5, &[2.0; 5], 0.01, 0.0)).abs() < 1e-6);
    }

    #[test]
    fn gradients_add_up_and_are_clipped_to_the_norm() {
        let weight = Tensor::from_slice(&[0.0f32, 0.0]);
        let mut optimizer = AdamW::new(&[("w".into(), weight.shallow_clone())], |_| None, &config(0.0, 1.0)).unwrap();
        for _ in 0..2 {
            let loss = (&weight * Tensor::from_slice(&[1.5f32, 2.0])).sum(Kind::Float);
            loss.backward();
            optimizer.gather().unwrap();
        }
        let norm = optimizer.gradient_norm();
        assert!((norm - 5.0).abs() < 1e-6);
        optimizer.step(0.01, norm);
        // The first moment is a tenth of the clipped gradient (0.6, 0.8).
        let moment = &optimizer.named()[1].1;
        assert!((moment.double_value(&[0]) - 0.06).abs() < 1e-7);
        assert!((moment.double_value(&[1]) - 0.08).abs() < 1e-7);
        assert!(optimizer.gradient_norm() == 0.0, "gathered gradients are forgotten");
    }

    #[test]
    fn the_norm_is_that_of_all_pieces() {
        let count = NORM_PIECE + 3;
        let weight = Tensor::zeros([count], (Kind::Float, tch::Device::Cpu));
        let optimizer = AdamW::new(&[("w".into(), weight.shallow_clone())], |_| None, &config(0.0, 1.0)).unwrap();
        (&weight * 2.0).sum(Kind::Float).backward();
        assert!((optimizer.gradient_norm() - 2.0 * (count as f64).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn rounded_parameters_have_masters_that_keep_what_rounding_loses() {
        let weight = Tensor::from_slice(&[1.0f32]).to_kind(Kind::BFloat16);
        let mut optimizer = AdamW::new(&[("w".into(), weight.shallow_clone())], |_| None, &config(0.0, 0.0)).unwrap();
        // bfloat16 has steps of 1/256 below 1: a step of 0.001 alone would be lost each time.
        for _ in 0..10 {
            (&weight * 2.0).sum(Kind::Float).backward();
            optimizer.gather().unwrap();
            let norm = optimizer.gradient_norm();
            assert_eq!(norm, 2.0);
            optimizer.step(0.001, norm);
        }
        assert!((optimizer.named()[0].1.double_value(&[0]) - 0.99).abs() < 1e-6);
        assert!((weight.double_value(&[0]) - 0.99).abs() < 1.0 / 256.0 && weight.double_value(&[0]) < 1.0);
    }

    #[test]
    fn parameters_ask_for_gradients_only_while_they_are_trained() {
        let weight = Tensor::from_slice(&[0.0f32]);
        let optimizer = AdamW::new(&[("w".into(), weight.shallow_clone())], |_| None, &config(0.0, 1.0)).unwrap();
        assert!(weight.requires_grad());
        drop(optimizer);
        assert!(!weight.requires_grad());
    }
}
