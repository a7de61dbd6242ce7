//! The training of a verifier: the states at the ends of siblings, and what its heads make of them.

use super::ensemble::{beginnings, bootstrap};
use super::loss::{Targets, Totals, loss};
use super::{Trunk, VerifierRules};
use crate::batch::{Batch, Collator, PromptSteps};
use crate::fit::Trainer;
use crate::learner::{Learner, MicroBatchLoss};
use crate::means::Means;
use crate::metrics::Numbers;
use crate::order::BatchOrder;
use crate::run::TrainSummary;
use crate::value::HEAD;
use crate::weights::{self, Masters};
use crate::{SiblingStates, TrainConfig, TrainerError};
use espalier_model::Transformer;
use espalier_settings::OutOfRange;
use espalier_settings::range::{above, at_least};
use serde_json::json;
use tch::{Kind, Tensor, no_grad};

impl Trainer<'_> {
    /// Makes a verifier of the model: K heads, whose mean V(s) = mean of tanh(w_k . h) is the value of a state, h the last
    /// hidden state of its last token. They replace the model's own value head.
    ///
    /// The loss of a batch is the mean over the heads of the mean of -ls(s_w - s_l) over its pairs of siblings, s = w_k . h
    /// (Tree-PLV, arXiv:2407.00390), and `regression_weight` times the mean of (tanh(s) - Q)^2 over its states, by their
    /// visits; of one of the two, if the objective says so. Each head of several counts the problems of a bootstrap draw of
    /// its own. Siblings of one tree share a row, in which every token stands once.
    ///
    /// # Errors
    /// As for [`Trainer::sft`], and when a rule is out of range.
    pub fn verifier(mut self, data: &[SiblingStates], rules: VerifierRules) -> Result<TrainSummary, TrainerError> {
        at_least(1).check("heads", &rules.heads)?;
        above(0).check("regression_weight", &rules.regression_weight)?;
        let is_frozen = rules.trunk == Trunk::Frozen;
        if is_frozen && self.config.lora.rank > 0 {
            return Err(OutOfRange::new("lora.rank", self.config.lora.rank, "0 with a frozen trunk").into());
        }
        let decides = json!({
            "heads": rules.heads,
            "trunk": rules.trunk,
            "weights": rules.weights(),
            "seed": rules.seed,
        });
        let usable = self.usable("verifier", data, &decides)?;
        let masters = if is_frozen { Masters::default() } else { weights::prepare(self.model, self.config)? };
        // The last token of a step is fed only where another follows it.
        let fed: Vec<Vec<Vec<u32>>> = usable
            .examples
            .iter()
            .map(|siblings| siblings.steps.iter().map(|step| [step.as_slice(), &[0]].concat()).collect())
            .collect();
        let sequences = usable.examples.iter().zip(&fed).map(|(siblings, steps)| PromptSteps {
            prompt: &siblings.prompt_ids,
            steps: steps.iter().map(Vec::as_slice).collect(),
        });
        let mut collator = Collator::new(sequences.collect(), self.model, self.config);
        let frozen = is_frozen.then(|| frozen_states(&usable.examples, &mut collator, &mut self)).transpose()?;
        let problems = data.iter().map(|siblings| siblings.problem + 1).max().unwrap_or(0);
        let width = self.model.config().hidden_size;
        let mut learner = Verifier {
            heads: beginnings(rules.heads, width, rules.seed, self.model.device())?.set_requires_grad(true),
            width: width as i64,
            counts: bootstrap(rules.heads, problems, rules.seed),
            weights: rules.weights(),
            examples: &usable.examples,
            collator,
            frozen,
            checkpointing: self.config.gradient_checkpointing,
            means: Means::default(),
        };
        let summary = self.fit(&usable, masters, &mut learner)?;
        self.model.set_value_head(Some(learner.heads.detach().copy().view([-1, learner.width])))?;
        Ok(summary)
    }
}

/// Indices among the tokens of a batch's steps of those that stand behind each step's last.
fn ends(batch: &Batch, examples: &[&SiblingStates]) -> Vec<i64> {
    let lengths = examples.iter().flat_map(|siblings| siblings.steps.iter().map(Vec::len));
    lengths.enumerate().map(|(step, length)| (batch.first_token(step) + length) as i64).collect()
}

/// The states of all examples, each as `[S, H]`, float32, computed once.
fn frozen_states(
    examples: &[&SiblingStates],
    collator: &mut Collator,
    trainer: &mut Trainer,
) -> Result<Vec<Tensor>, TrainerError> {
    let model = &*trainer.model;
    let mut found: Vec<Option<Tensor>> = (0..examples.len()).map(|_| None).collect();
    let mut done = 0;
    for rows in collator.all() {
        let batch = collator.batch(&rows);
        let chosen: Vec<&SiblingStates> = rows.iter().map(|&row| examples[row]).collect();
        let places = Tensor::from_slice(&ends(&batch, &chosen)).to_device(model.device());
        let states = no_grad(|| batch.states_of(&batch.states(model, false).0, &places).to_kind(Kind::Float));
        let sizes: Vec<i64> = chosen.iter().map(|siblings| siblings.steps.len() as i64).collect();
        for (&row, states) in rows.iter().zip(states.f_split_with_sizes(&sizes, 0)?) {
            found[row] = Some(states);
        }
        done += rows.len();
        trainer.observer.preparing(done, examples.len())?;
    }
    Ok(found.into_iter().flatten().collect())
}

struct Verifier<'a> {
    /// w_k, `[K H]`, float32: no matrix, so that it takes no weight decay.
    heads: Tensor,
    width: i64,
    /// How often each problem counts for each head, `[K][P]`.
    counts: Vec<Vec<f32>>,
    /// Of ranking and regression.
    weights: [f64; 2],
    examples: &'a [&'a SiblingStates],
    collator: Collator<'a>,
    /// The states of each example, where the trunk is frozen.
    frozen: Option<Vec<Tensor>>,
    checkpointing: bool,
    means: Means,
}

impl Verifier<'_> {
    /// What is known of the states of the examples `rows`.
    fn targets(&self, rows: &[usize]) -> Targets {
        let mut targets = Targets::default();
        for siblings in rows.iter().map(|&row| self.examples[row]) {
            let first = targets.q.len();
            targets.q.extend(&siblings.q);
            targets.visits.extend(siblings.visits.iter().map(|&visits| visits as f32));
            targets.better.extend(siblings.pairs.iter().map(|[better, _]| (first + better) as i64));
            targets.worse.extend(siblings.pairs.iter().map(|[_, worse]| (first + worse) as i64));
            for _ in &siblings.steps {
                targets.counts.extend(self.counts.iter().map(|counts| counts[siblings.problem]));
            }
        }
        targets
    }
}

impl Learner for Verifier<'_> {
    fn order(&self, config: &TrainConfig) -> BatchOrder {
        self.collator.order(self.collator.widths(), config)
    }

    fn parameters(&self, model: &Transformer, config: &TrainConfig) -> Result<Vec<(String, Tensor)>, TrainerError> {
        let mut parameters = if self.frozen.is_some() { Vec::new() } else { weights::of_policy(model, config)? };
        parameters.push((HEAD.to_owned(), self.heads.shallow_clone()));
        Ok(parameters)
    }

    fn micro_batches(&self, batch: &[usize]) -> Vec<Vec<usize>> {
        if self.frozen.is_some() { vec![batch.to_vec()] } else { self.collator.micro_batches(batch) }
    }

    fn loss(&mut self, model: &Transformer, batch: &[usize], rows: &[usize]) -> Result<MicroBatchLoss, TrainerError> {
        let (states, tokens, checkpointed) = match &self.frozen {
            Some(frozen) => {
                let states: Vec<&Tensor> = rows.iter().map(|&row| &frozen[row]).collect();
                let steps = rows.iter().flat_map(|&row| &self.examples[row].steps);
                (Tensor::f_cat(&states, 0)?, steps.map(Vec::len).sum(), None)
            }
            None => {
                let input = self.collator.batch(rows);
                let (states, checkpointed) = input.states(model, self.checkpointing);
                let chosen: Vec<&SiblingStates> = rows.iter().map(|&row| self.examples[row]).collect();
                let places = Tensor::from_slice(&ends(&input, &chosen)).to_device(model.device());
                (input.states_of(&states, &places).to_kind(Kind::Float), input.tokens, checkpointed)
            }
        };
        let all = batch.iter().map(|&row| self.examples[row]);
        let totals = Totals {
            pairs: all.clone().map(|siblings| siblings.pairs.len()).sum::<usize>() as f64,
            visits: all.flat_map(|siblings| &siblings.visits).map(|&visits| f64::from(visits)).sum(),
        };
        let heads = self.heads.view([-1, self.width]);
        let loss = loss(&heads, &states, &self.targets(rows), self.weights, totals, &mut self.means)?;
        Ok(MicroBatchLoss { loss, tokens, checkpointed })
    }

    fn take_numbers(&mut self) -> Numbers {
        self.means.take()
    }
}
