//! The table of a verifier's report.

use super::table::{aligned, points};
use espalier_eval::{Estimate, Measured};
use espalier_rounds::stage::verifier::Section;
use espalier_rounds::stage::verifier::report::VerifierReport;

/// Columns of the table.
const COLUMNS: usize = 8;

/// How well the verifier and the policy's own value head rank and predict, on held-out problems and on other trees.
pub fn table(report: &VerifierReport) -> String {
    let mut text = String::new();
    for (name, section) in [("held out", &report.held_out), ("also", &report.also)] {
        if let Some(section) = section {
            text += &of_section(name, section);
        }
    }
    if text.is_empty() {
        text += "nothing was held out to measure the verifier on\n";
    }
    text
}

fn of_section(name: &str, section: &Section) -> String {
    let heads = ["ranked right", "margin <= 0.5", "<= 1", "<= 1.5", "<= 2", "Spearman", "calibration error"];
    let mut rows = vec![cells(name, heads.map(str::to_owned))];
    let mut row = |name: &str, measured: &Measured| rows.push(cells(name, of(measured)));
    row("verifier", &section.verifier);
    if let Some(head) = &section.value_head {
        row("policy's value head", head);
    }
    for (name, measured) in &section.ablations {
        row(&format!("verifier, {}", name.replace('_', " ")), measured);
    }
    let mut text = aligned(&rows);
    text += &format!("{} pairs of {} states, {} problems", section.verifier.pairs, section.states, section.problems);
    if let Some(deviation) = section.deviation {
        text += &format!("; deviation over the heads {deviation:.3}");
    }
    if section.too_long > 0 {
        text += &format!("; {} states longer than the context left out", section.too_long);
    }
    if let Some(gain) = &section.gain {
        text += &format!("; verifier over value head {} points", points(gain));
    }
    text + "\n"
}

fn of(measured: &Measured) -> [String; COLUMNS - 1] {
    let share = |Estimate { mean, low, high }: Estimate| {
        format!("{:.1} % [{:.1}, {:.1}]", 100.0 * mean, 100.0 * low, 100.0 * high)
    };
    let bin = |at: usize| match measured.by_margin.get(at) {
        Some(bin) if bin.pairs > 0 => format!("{:.1} % of {}", 100.0 * bin.ranked_right.mean, bin.pairs),
        _ => "-".to_owned(),
    };
    let Estimate { mean, low, high } = measured.rank_correlation;
    [
        share(measured.ranked_right),
        bin(0),
        bin(1),
        bin(2),
        bin(3),
        format!("{mean:.3} [{low:.3}, {high:.3}]"),
        format!("{:.3}", measured.calibration.error),
    ]
}

fn cells(name: &str, rest: [String; COLUMNS - 1]) -> [String; COLUMNS] {
    let mut rest = rest.into_iter();
    std::array::from_fn(|at| if at == 0 { name.to_owned() } else { rest.next().unwrap_or_default() })
}
