//! Tables for the terminal.

use crate::shown::shown;
use espalier_eval::{Comparison, Estimate, GroupScore, Paired, Score, VerifierScore};
use espalier_rounds::run::manifest::RoundManifest;
use espalier_rounds::stage::eval::EvalReport;
use std::fmt::Write;

/// Heads of the table of rounds.
pub const HEADS: [&str; 6] = ["round", "held out, in domain", "held out, out of domain", "pairs", "tokens", "seconds"];

/// One row of cells a round, under [`HEADS`].
pub fn cells(round: &RoundManifest) -> [String; 6] {
    let score = |name: &str| match round.eval.groups.iter().find(|group| group.name == name) {
        Some(group) => interval(&group.all),
        None => "-".to_owned(),
    };
    [
        round.round.to_string(),
        score("in_domain"),
        score("out_of_domain"),
        round.pairs.as_ref().map_or("-".to_owned(), |pairs| pairs.pairs().to_string()),
        round.tokens().to_string(),
        format!("{:.0}", round.wall_s()),
    ]
}

/// The table of a run: a row a round.
pub fn rounds(rounds: &[RoundManifest]) -> String {
    let mut rows = vec![HEADS.map(str::to_owned)];
    rows.extend(rounds.iter().map(cells));
    aligned(&rows)
}

/// Accuracy of every group, then by family and number of steps.
pub fn scores(report: &EvalReport) -> String {
    let mut rows = vec![["problems", "accuracy", "n"].map(str::to_owned)];
    let mut row = |name: String, score: &Score| rows.push([name, interval(score), score.problems.to_string()]);
    for GroupScore { name, all, families, difficulties, pass_at, majority_at, verifier, .. } in &report.groups {
        row(name.clone(), all);
        for (k, score) in majority_at {
            row(format!("  majority@{k}"), score);
        }
        if let Some(VerifierScore { reranked_at, weighted_at, .. }) = verifier {
            reranked_at.iter().for_each(|(k, score)| row(format!("  reranked@{k}"), score));
            weighted_at.iter().for_each(|(k, score)| row(format!("  weighted@{k}"), score));
        }
        for (k, &Estimate { mean, low, high }) in pass_at {
            let score = Score { accuracy: mean, low, high, ..*all };
            row(format!("  pass@{k}"), &score);
        }
        families.iter().for_each(|(family, score)| row(format!("  {family}"), score));
        difficulties.iter().for_each(|(steps, score)| row(format!("  {steps} steps"), score));
    }
    let gains: Vec<[String; 4]> = report.groups.iter().flat_map(gains).collect();
    if gains.is_empty() {
        return aligned(&rows);
    }
    let heads = ["against the majority", "difference", "p", "n"].map(str::to_owned);
    aligned(&rows) + "\n" + &aligned(&[vec![heads], gains].concat())
}

/// What a verifier gains over the majority of the same samples, where one was asked.
fn gains(group: &GroupScore) -> Vec<[String; 4]> {
    let Some(VerifierScore { reranked, weighted, .. }) = &group.verifier else { return Vec::new() };
    let most = group.majority_at.keys().last().copied().unwrap_or_default();
    let row = |name: &str, paired: &Paired| {
        let name = format!("{} {name}@{most}", group.name);
        [name, points(&paired.difference), format!("{:.4}", paired.p), paired.first.problems.to_string()]
    };
    vec![row("reranked", reranked), row("weighted", weighted)]
}

/// Both accuracies, their paired difference and its p, over all problems, by group and by family.
pub fn comparison(comparison: &Comparison) -> String {
    let heads = ["problems", "first", "second", "difference", "only first", "only second", "p", "n"];
    let mut rows = vec![heads.map(str::to_owned)];
    let mut row = |name: &str, paired: &Paired| {
        rows.push([
            name.to_owned(),
            interval(&paired.first),
            interval(&paired.second),
            points(&paired.difference),
            paired.only_first.to_string(),
            paired.only_second.to_string(),
            format!("{:.4}", paired.p),
            paired.first.problems.to_string(),
        ]);
    };
    row("all", &comparison.all);
    for (name, paired) in comparison.groups.iter().filter(|_| comparison.groups.len() > 1) {
        row(&format!("  {name}"), paired);
    }
    comparison.families.iter().for_each(|(name, paired)| row(&format!("  {name}"), paired));
    aligned(&rows)
}

/// `+3.4 [+1.0, +5.9]`, in points.
pub fn points(difference: &Estimate) -> String {
    let points = |share: f64| format!("{:+.1}", 100.0 * share);
    format!("{} [{}, {}]", points(difference.mean), points(difference.low), points(difference.high))
}

/// `61.2 % [57.0, 65.3]`.
pub fn interval(score: &Score) -> String {
    format!("{:.1} % [{:.1}, {:.1}]", 100.0 * score.accuracy, 100.0 * score.low, 100.0 * score.high)
}

/// Columns as wide as their widest cell; the first to the left, the others to the right.
pub fn aligned<R: AsRef<[String]>>(rows: &[R]) -> String {
    let shown = |row: &R| row.as_ref().iter().map(|cell| shown(cell).into_owned()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(shown).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = row.first().map_or_else(String::new, |head| format!("{head:<0$}", widths[0]));
        for (cell, &width) in row.iter().zip(&widths).skip(1) {
            // Writing to a String cannot fail.
            let _ = write!(line, "  {cell:>width$}");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a", "bb"].map(str::to_owned), ["ccc", "d"].map(str::to_owned)];
        assert_eq!(aligned(&rows), "a    bb\nccc   d\n");
    }
}
