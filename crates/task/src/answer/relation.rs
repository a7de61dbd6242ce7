//! Equations and inequalities.

use super::collection::{has_joints, items, split_at_depth_0};
use super::equivalent::same;
use super::expression::{Expr, parse, same_expression};
use super::latex::{TEXT_CLOSES, TEXT_OPENS};

const SIGNS: [char; 6] = ['=', '<', '>', '≤', '≥', '≠'];

/// The variable and the value of `x = ...`, `f(x) = ...`, or `x \in ...`.
pub(super) fn assigned(text: &str) -> Option<(&str, &str)> {
    let (variable, value) = match text.split_once('=') {
        Some(parts) => parts,
        None => text
            .split_once("\\in ")
            .or_else(|| text.split_once("\\in\\").map(|(left, _)| (left, &text[left.len() + 3..])))?,
    };
    let variable = variable.trim();
    let is_letter = |text: &str| text.len() == 1 && text.chars().all(|c| c.is_ascii_alphabetic());
    let is_call = variable.split_once('(').is_some_and(|(function, rest)| {
        is_letter(function.trim()) && rest.strip_suffix(')').is_some_and(|argument| is_letter(argument.trim()))
    });
    let is_value = !value.contains(SIGNS) && !value.trim().is_empty();
    ((is_letter(variable) || is_call) && is_value).then_some((variable, value.trim()))
}

/// The values that a text states: what a name is said to be, or what stands on all sides of equal signs between values, or
/// before an approximation of it. `None` for a text that states none, and for equations.
pub(super) fn stated(text: &str) -> Option<Vec<&str>> {
    let (exact, rounded) = match text.split_once("\\approx") {
        Some((exact, rounded)) => (exact.trim(), Some(rounded.trim())),
        None => (text, None),
    };
    if exact.is_empty() {
        return rounded.filter(|value| !value.is_empty() && !value.contains(SIGNS)).map(|value| vec![value]);
    }
    if exact.contains(['<', '>', '≤', '≥', '≠'])
        || has_joints(exact)
        || rounded.is_some_and(|value| value.contains(SIGNS))
    {
        return None;
    }
    let sides = split_at_depth_0(exact, |rest| rest.starts_with('=').then_some(1))?;
    if sides.iter().any(|side| side.is_empty() || side.contains('=')) {
        return None;
    }
    match &sides[..] {
        [value] => rounded.map(|_| vec![*value]),
        [name, between @ .., value] if is_name(name) => {
            let calculates = between.iter().all(|side| !side.contains(|c: char| c.is_alphabetic()));
            calculates.then(|| vec![*value])
        }
        // `5 = 5` says nothing.
        [first, others @ ..] => {
            let is_number = |value: &&str| super::quantity::quantity(value).is_some();
            (others.iter().all(|value| value != first) && sides.iter().all(is_number)).then_some(sides)
        }
        [] => None,
    }
}

/// Whether a text names something: `x`, `AB`, `\theta`, `S_{10}`, `a_n`, `(x, y)`, `f(2)`, `\angle ABC`.
fn is_name(text: &str) -> bool {
    let text = text.trim();
    if let Some(inner) = text.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        return items(inner).is_some_and(|names| names.len() > 1 && names.iter().all(|name| is_name(name)));
    }
    let (stem, index) = text.split_once(['_', '(']).unwrap_or((text, ""));
    let stem = stem.trim().trim_start_matches('|').trim_end_matches('|');
    let letters = |text: &str| {
        let text = text.trim_start_matches("\\angle").trim_start_matches("\\triangle").trim();
        (1..=4).contains(&text.chars().count()) && text.chars().all(char::is_alphabetic)
    };
    let command = |text: &str| {
        text.strip_prefix('\\').is_some_and(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphabetic()))
    };
    let is_index = index.chars().all(|c| c.is_alphanumeric() || matches!(c, '{' | '}' | ')' | ',' | ' '));
    (letters(stem) || command(stem)) && is_index
}

/// Sides and the signs between them, from left to right; `None` without a sign, and for several relations.
fn sides(text: &str) -> Option<(Vec<&str>, Vec<char>)> {
    if has_joints(text) || items(text).is_none_or(|items| items.len() > 1) {
        return None;
    }
    let signs: Vec<char> = text.chars().filter(|c| SIGNS.contains(c)).collect();
    let sides =
        split_at_depth_0(text, |rest| rest.starts_with(SIGNS).then(|| rest.chars().next().map_or(0, char::len_utf8)))?;
    (!signs.is_empty() && sides.len() == signs.len() + 1 && sides.iter().all(|side| !side.is_empty()))
        .then_some((sides, signs))
}

fn mirrored(sign: char) -> char {
    match sign {
        '<' => '>',
        '>' => '<',
        '≤' => '≥',
        '≥' => '≤',
        same => same,
    }
}

/// Whether two relations are the same; `None` unless both are relations.
pub(super) fn same_relation(reference: &str, answer: &str, depth: u32) -> Option<bool> {
    let (sides_one, signs_one) = sides(reference)?;
    let (mut sides_other, mut signs_other) = sides(answer)?;
    let agree = |others: &[&str], signs: &[char]| {
        signs_one == signs && sides_one.iter().zip(others).all(|(one, other)| same(one, other, depth))
    };
    if agree(&sides_other, &signs_other) {
        return Some(true);
    }
    sides_other.reverse();
    signs_other.reverse();
    let signs_other: Vec<char> = signs_other.into_iter().map(mirrored).collect();
    if agree(&sides_other, &signs_other) {
        return Some(true);
    }
    let are_equations = signs_one == ['='] && signs_other == ['='];
    Some(are_equations && have_the_same_solutions(&sides_one, &sides_other) == Some(true))
}

/// Whether two equations are the same but for a factor: `2x - y = 3` and `y = 2x - 3`. Two that state one variable, such as
/// `x = 5` and `2x = 10`, are an answer and the way to it, so they are not compared like this.
fn have_the_same_solutions(one: &[&str], other: &[&str]) -> Option<bool> {
    let difference = |sides: &[&str]| {
        let right = Expr::Negative(Box::new(parse(sides[1])?));
        Some(Expr::Sum(vec![parse(sides[0])?, right]))
    };
    let is_letter = |side: &str| side.len() == 1 && side.chars().all(|c| c.is_ascii_alphabetic());
    let states_a_value = |sides: &[&str]| {
        sides.iter().any(|side| is_letter(side)) && sides.iter().any(|side| !side.contains(|c: char| c.is_alphabetic()))
    };
    let has_letters = |sides: &[&str]| sides.iter().any(|side| side.contains(|c: char| c.is_alphabetic()));
    if states_a_value(one) || states_a_value(other) || !has_letters(one) {
        return None;
    }
    let (one, other) = (difference(one)?, difference(other)?);
    // The factor is one of a few, so that it need not be solved for.
    for factor in [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6)] {
        let number = |n: i32| Expr::Number(n.to_string(), String::new());
        for negative in [false, true] {
            let left = Expr::Product(vec![number(factor.0), one.clone()]);
            let left = if negative { Expr::Negative(Box::new(left)) } else { left };
            if same_expression(&left, &Expr::Product(vec![number(factor.1), other.clone()]))? {
                return Some(true);
            }
        }
    }
    Some(false)
}

/// The interval that an inequality of one letter describes: `x > 5` as `(5,\infty)`, `1 \le x < 2` as `[1,2)`, and so for
/// two that "and" joins; also that of all real numbers.
pub(super) fn as_interval(text: &str) -> Option<String> {
    if text.trim() == "\\mathbb{R}" {
        return Some("(-\\infty,\\infty)".to_owned());
    }
    for joint in [format!(" {TEXT_OPENS}and{TEXT_CLOSES}"), " and ".to_owned()] {
        if let Some((one, other)) = text.split_once(joint.as_str()) {
            let (one, other) = (as_interval(one)?, as_interval(other)?);
            let (from_one, from_other) = (one.ends_with(",\\infty)"), other.ends_with(",\\infty)"));
            let (above, below) = if from_one { (one, other) } else { (other, one) };
            let joined = from_one != from_other && below.starts_with("(-\\infty,");
            return joined.then(|| {
                format!("{},{}", above.trim_end_matches(",\\infty)"), below.trim_start_matches("(-\\infty,"))
            });
        }
    }
    let (mut sides, mut signs) = sides(text)?;
    if matches!(signs[0], '>' | '≥') {
        sides.reverse();
        signs = signs.into_iter().rev().map(mirrored).collect();
    }
    if !signs.iter().all(|sign| matches!(sign, '<' | '≤')) {
        return None;
    }
    let is_letter = |side: &str| side.len() == 1 && side.chars().all(|c| c.is_ascii_alphabetic());
    let has_letter = |side: &str, letter: &str| parse(side).is_none_or(|_| side.contains(letter));
    let opening = |sign: char| if sign == '≤' { '[' } else { '(' };
    let closing = |sign: char| if sign == '≤' { ']' } else { ')' };
    match (&sides[..], &signs[..]) {
        (&[low, x], &[sign]) if is_letter(x) && !has_letter(low, x) => Some(format!("{}{low},\\infty)", opening(sign))),
        (&[x, high], &[sign]) if is_letter(x) && !has_letter(high, x) => {
            Some(format!("(-\\infty,{high}{}", closing(sign)))
        }
        (&[low, x, high], &[first, second]) if is_letter(x) && !has_letter(low, x) && !has_letter(high, x) => {
            Some(format!("{}{low},{high}{}", opening(first), closing(second)))
        }
        _ => None,
    }
}
