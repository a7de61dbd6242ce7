//! The value behind "the answer is".

use super::equivalent::chosen;
use super::kind::AnswerKind;
use super::latex::tidy;

/// What announces an answer, in lower case.
const PHRASES: [&str; 7] =
    ["answer is", "answer:", "answer**:", "option is", "choice is", "letter is", "answer would be"];

/// Words that may stand between the phrase and the value.
const LEADS: [&str; 14] = [
    "about ",
    "approximately ",
    "roughly ",
    "around ",
    "exactly ",
    "simply ",
    "just ",
    "therefore ",
    "thus ",
    "then ",
    "equal to ",
    "option ",
    "choice ",
    "the number ",
];

/// Behind these the sentence speaks of the value.
const TAILS: [&str; 16] = [
    " because ",
    " since ",
    ", since ",
    ", because ",
    ", as ",
    ", which ",
    ", so ",
    ", not ",
    ", and not ",
    ", where ",
    " as shown",
    "; ",
    "<|",
    "</s>",
    "<eos>",
    "<end_of_turn>",
];

/// What is said of an answer without giving it.
const REMARKS: [&str; 16] = [
    "not ",
    "correct",
    "incorrect",
    "right",
    "wrong",
    "helpful",
    "clear",
    "obvious",
    "reasonable",
    "as follows",
    "below",
    "above",
    "here",
    "unique",
    "a ",
    "an ",
];

/// What follows the last phrase behind which there is a value, without the marks around it.
pub(super) fn value(text: &str, kind: AnswerKind) -> Option<&str> {
    // ASCII lower case keeps every byte where it is.
    let lower = text.to_ascii_lowercase();
    let mut ends: Vec<usize> = PHRASES
        .iter()
        .filter(|phrase| kind == AnswerKind::Choice || phrase.starts_with("answer"))
        .flat_map(|phrase| lower.match_indices(phrase).map(|(at, found)| at + found.len()))
        .collect();
    ends.sort_unstable();
    ends.iter().rev().find_map(|&end| read(&text[end..], kind))
}

/// The value at the beginning of what follows a phrase.
fn read(after: &str, kind: AnswerKind) -> Option<&str> {
    let mut rest = after.trim_start_matches([':', '*', ' ', '\n', '"', '“', '\'', '`']);
    while let Some(lead) =
        LEADS.iter().find(|lead| rest.get(..lead.len()).is_some_and(|start| start.eq_ignore_ascii_case(lead)))
    {
        rest = &rest[lead.len()..];
    }
    if let Some(formula) = formula(rest) {
        return Some(formula);
    }
    let line = rest.lines().next()?;
    let end = line.find(". ").into_iter().chain(TAILS.iter().filter_map(|tail| line.find(tail))).min();
    let value = line[..end.unwrap_or(line.len())].trim();
    let value = value.trim_end_matches(['.', '*', '!', ' ', '<', '"', '”', '\'', '`', ',']);
    if kind == AnswerKind::Choice {
        return chosen(&tidy(value)).is_some().then_some(value);
    }
    let lower = value.to_ascii_lowercase();
    let is_remark = REMARKS.iter().any(|remark| lower == remark.trim() || lower.starts_with(remark));
    // A sentence is no value: "Ann has 3 pens".
    let begins = value.starts_with(|c: char| c.is_ascii_digit() || "$-+.\\([{√−–€£₹¥|½¼¾⅓".contains(c));
    let is_phrase = !begins && value.split_whitespace().count() > 3 && !value.contains(['=', '\\']);
    (!value.is_empty() && !is_remark && !is_phrase).then_some(value)
}

/// The formula between dollars or LaTeX's brackets that a text begins with. Between two amounts of money there is none.
fn formula(text: &str) -> Option<&str> {
    if let Some(inside) = text.strip_prefix("\\(").or_else(|| text.strip_prefix("\\[")) {
        return Some(inside.split_once("\\)").or_else(|| inside.split_once("\\]"))?.0);
    }
    if let Some(inside) = text.strip_prefix("$$") {
        return Some(inside.split_once("$$")?.0);
    }
    let (formula, behind) = text.strip_prefix('$')?.split_once('$')?;
    let is_money =
        formula.starts_with(|c: char| c.is_ascii_digit()) && behind.starts_with(|c: char| c.is_ascii_digit());
    (!is_money && !formula.contains('\n')).then_some(formula)
}
