//! Countdown: a target is to be made of numbers. Any calculation that does is right.

use super::expression::{Expr, exact, parse};
use super::latex::tidy;
use super::rational::Rational;

/// Longer answers are no calculation of a few numbers.
const MAX_ANSWER_BYTES: usize = 500;

/// Numbers, and the target that is to be made of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Puzzle {
    /// Each may be used once at most.
    pub numbers: Vec<u32>,
    /// What they are to make.
    pub target: u32,
}

impl Puzzle {
    /// The question of the puzzle, which [`read`](Self::read) reads.
    pub fn question(&self) -> String {
        let numbers: Vec<String> = self.numbers.iter().map(u32::to_string).collect();
        format!(
            "Use each of the numbers [{}] at most once, with + - * / and parentheses, to make {}.",
            numbers.join(", "),
            self.target
        )
    }

    /// Reads a question: the numbers stand in brackets, and the target is the only other number in it. `None` if it is
    /// another.
    ///
    /// ```
    /// use espalier_task::Puzzle;
    ///
    /// let puzzle = Puzzle::read("Using the numbers [25, 5, 3, 7], create an equation that equals 67.").unwrap();
    /// assert_eq!((puzzle.numbers.as_slice(), puzzle.target), (&[25, 5, 3, 7][..], 67));
    /// assert!(puzzle.solves("(25 - 5) * 3 + 7"));
    /// assert!(!puzzle.solves("67") && !puzzle.solves("25 * 3 - 5 - 3"));
    /// ```
    pub fn read(question: &str) -> Option<Puzzle> {
        let (before, rest) = question.split_once('[')?;
        let (numbers, after) = rest.split_once(']')?;
        let numbers: Option<Vec<u32>> = numbers.split(',').map(|number| number.trim().parse().ok()).collect();
        let others =
            [before, after].map(|text| text.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty()));
        let mut others = others.into_iter().flatten();
        let target = others.next()?.parse().ok()?;
        others.next().is_none().then_some(Puzzle { numbers: numbers?, target })
    }

    /// Whether an answer makes the target, exactly, with `+ - * /`, from the numbers, each used at most once. `= target` may
    /// stand behind it.
    pub fn solves(&self, answer: &str) -> bool {
        self.made(answer).unwrap_or(false)
    }

    fn made(&self, answer: &str) -> Option<bool> {
        if answer.len() > MAX_ANSWER_BYTES {
            return None;
        }
        let tidied = tidy(answer);
        let target = Rational::new(i128::from(self.target), 1)?;
        let calculation = match tidied.split_once('=') {
            Some((left, right)) if exact(&parse(right)?)? == target => left,
            Some(_) => return None,
            None => &tidied,
        };
        let expr = parse(calculation)?;
        let mut left = self.numbers.clone();
        use_up(&expr, &mut left)?;
        Some(exact(&expr)? == target)
    }
}

/// Takes the numbers of a calculation away; `None` if one is not there, or something else is in it.
fn use_up(expr: &Expr, left: &mut Vec<u32>) -> Option<()> {
    match expr {
        Expr::Number(whole, decimals) if decimals.is_empty() => {
            let number: u32 = whole.parse().ok()?;
            let place = left.iter().position(|&one| one == number)?;
            left.swap_remove(place);
            Some(())
        }
        Expr::Sum(parts) | Expr::Product(parts) => parts.iter().try_for_each(|part| use_up(part, left)),
        Expr::Negative(inner) => use_up(inner, left),
        Expr::Quotient(over, under) => {
            use_up(over, left)?;
            use_up(under, left)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn puzzle() -> Puzzle {
        Puzzle { numbers: vec![25, 5, 3, 7, 3], target: 67 }
    }

    #[test]
    fn whatever_makes_the_target_is_right() {
        for answer in [
            "(25 - 5) * 3 + 7",
            "7+3*(25-5)",
            r"(25 - 5) \times 3 + 7",
            "(25 − 5) × 3 + 7 = 67",
            "$ (25-5)*3+7 $",
            "3(25 - 5) + 7",
            "-5*3 + 25*3 + 7",
            r"25 \cdot 3 - 5 - 3",
        ] {
            assert!(puzzle().solves(answer), "{answer}");
        }
        let half = Puzzle { numbers: vec![1, 2, 3, 9], target: 6 };
        assert!(half.solves("9 / (3 / 2)") && half.solves(r"\frac{9}{3} \cdot 2"), "fractions on the way are exact");
        assert!(!Puzzle { numbers: vec![10, 3, 3], target: 10 }.solves("10 / 3 * 3.0"));
    }

    #[test]
    fn what_does_not_is_wrong() {
        for answer in [
            "",
            "67",
            "60 + 7",
            "(25 - 5) * 3 + 8",
            "(25 - 5) * 3 + 7 + 0",
            "25 + 25 + 7 + 5 + 5",
            "3 * 3 * 7 + 3 + 1",
            "(25 - 5) * 3 + 7 = 68",
            "(25 - 5) * 3",
            "25^3 - 5",
            "5! - 25 * 3",
            "(25 - 5) * 3.0 + 7",
            "257 - 5",
            "x",
            "(25 - 5) * 3 + 7; 67",
            "67 = 67",
            "7 / (3 - 3)",
            r"\sqrt{25} * 5",
        ] {
            assert!(!puzzle().solves(answer), "{answer}");
        }
        assert!(!puzzle().solves(&format!("{}67{}", "(".repeat(5000), ")".repeat(5000))));
    }

    #[test]
    fn questions_are_read_back() {
        assert_eq!(Puzzle::read(&puzzle().question()), Some(puzzle()));
        let given = "Using the numbers [19, 36, 55, 7], create an equation that equals 65. You can use +, -, *, /.";
        assert_eq!(Puzzle::read(given), Some(Puzzle { numbers: vec![19, 36, 55, 7], target: 65 }));
        for other in
            ["", "What is 2 + 3?", "[1, 2]", "[1, x] 3", "[1, 2] 3 or 4", "[] 3", "[-1, 2] 3", "[99999999999] 3"]
        {
            assert_eq!(Puzzle::read(other), None, "{other}");
        }
    }
}
