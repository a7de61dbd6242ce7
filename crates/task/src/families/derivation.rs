//! The structured derivation that a generated problem and its worked solution are both told from.

use crate::problem::Worked;
use std::fmt;

/// No number in a worked solution is larger. Small numbers are what a small model can learn to calculate with, so that
/// what is left to get wrong is the plan.
pub(super) const LARGEST: u32 = 20;

/// An operation of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Add,
    Subtract,
    Multiply,
    Divide,
}

impl Op {
    fn sign(self) -> char {
        match self {
            Op::Add => '+',
            Op::Subtract => '-',
            Op::Multiply => '*',
            Op::Divide => '/',
        }
    }

    /// None unless the value is a whole number in `1..=LARGEST`.
    fn apply(self, left: u32, right: u32) -> Option<u32> {
        let value = match self {
            Op::Add => left.checked_add(right),
            Op::Subtract => left.checked_sub(right),
            Op::Multiply => left.checked_mul(right),
            Op::Divide => (right != 0 && left.is_multiple_of(right)).then(|| left / right),
        };
        value.filter(|value| (1..=LARGEST).contains(value))
    }
}

/// What a step calculates with: a number that the question gives, or the result of an earlier step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Term {
    Given(u32),
    /// Index of the step, from 0; written `A`, `B`, `C`, ...
    Result(usize),
}

impl From<u32> for Term {
    fn from(number: u32) -> Self {
        Term::Given(number)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Term::Given(number) => write!(f, "{number}"),
            Term::Result(step) => write!(f, "{}", letter(*step)),
        }
    }
}

/// The letter that a step's result is called by.
fn letter(step: usize) -> char {
    char::from(b'A' + u8::try_from(step).unwrap_or(u8::MAX) % 26)
}

#[derive(Clone, Debug)]
struct Step {
    purpose: String,
    left: Term,
    op: Op,
    right: Term,
    value: u32,
}

/// Steps in order; each calculates one number from given ones and earlier results.
#[derive(Clone, Debug, Default)]
pub(super) struct Derivation {
    steps: Vec<Step>,
}

impl Derivation {
    /// Adds a step and returns the term for its result; `None` if the result would leave `1..=LARGEST` or not be whole.
    pub(super) fn step(
        &mut self,
        purpose: impl Into<String>,
        left: impl Into<Term>,
        op: Op,
        right: impl Into<Term>,
    ) -> Option<Term> {
        let (left, right) = (left.into(), right.into());
        let value = op.apply(self.value(left), self.value(right))?;
        self.steps.push(Step { purpose: purpose.into(), left, op, right, value });
        Some(Term::Result(self.steps.len() - 1))
    }

    /// The number that a term stands for.
    pub(super) fn value(&self, term: Term) -> u32 {
        match term {
            Term::Given(number) => number,
            Term::Result(step) => self.steps[step].value,
        }
    }

    /// Number of steps so far.
    pub(super) fn len(&self) -> u32 {
        self.steps.len() as u32
    }

    /// The last step's result; `None` without steps.
    pub(super) fn answer(&self) -> Option<u32> {
        self.steps.last().map(|step| step.value)
    }

    /// The derivation of one who overlooks a step: those after it go on from what it would have changed. `None` if a result
    /// then leaves `1..=LARGEST` or is not whole.
    pub(super) fn without(&self, overlooked: usize) -> Option<Derivation> {
        let gone = self.steps.get(overlooked)?.left;
        let moved = |term| match term {
            Term::Result(step) if step == overlooked => gone,
            Term::Result(step) if step > overlooked => Term::Result(step - 1),
            _ => term,
        };
        let mut rest = Derivation { steps: self.steps[..overlooked].to_vec() };
        for step in &self.steps[overlooked + 1..] {
            rest.step(step.purpose.as_str(), moved(step.left), step.op, moved(step.right))?;
        }
        Some(rest)
    }

    /// The derivation without its step before the last, if that makes a difference.
    pub(super) fn mistaken(&self) -> Option<Derivation> {
        let overlooked = (self.len() as usize).checked_sub(2).filter(|&step| step > 0)?;
        self.without(overlooked).filter(|wrong| wrong.answer() != self.answer())
    }

    /// The plan says what to calculate from what; the solution calculates it and boxes the last result.
    pub(super) fn worked(&self) -> Worked {
        let plan = self.steps.iter().enumerate().map(|(index, step)| {
            let Step { purpose, left, op, right, .. } = step;
            format!("Plan {}: {purpose}: {} = {left} {} {right}", index + 1, letter(index), op.sign())
        });
        let equations = self.steps.iter().enumerate().map(|(index, step)| {
            let (left, right) = (self.value(step.left), self.value(step.right));
            format!("{} = {left} {} {right} = {}. ", letter(index), step.op.sign(), step.value)
        });
        let answer = self.answer().unwrap_or_default();
        Worked {
            plan: plan.collect(),
            solution: equations.collect::<String>() + &format!("The final answer is \\boxed{{{answer}}}."),
        }
    }
}
