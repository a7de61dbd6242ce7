//! What an experiment came to: a table for the terminal, `report.html` for the browser.

use super::table::aligned;
use anyhow::{Context, Result};
use espalier_files::publish_bytes;
use espalier_rounds::experiment::{Estimate, Row};
use minijinja::{Environment, context};
use std::fmt::Write;
use std::path::Path;

const TEMPLATE: &str = include_str!("experiment.html.jinja");

/// Writes the report: the table, and each estimate with its interval as a picture.
pub fn write_report(path: &Path, rows: &[Row], config: &str) -> Result<()> {
    let mut environment = Environment::new();
    environment.add_template("report.html", TEMPLATE).context("the report's template is broken")?;
    let figure = |of: fn(&Row) -> Option<Estimate>| {
        let named = |row: &Row| of(row).map(|estimate| (row.cell.clone(), estimate));
        intervals(&rows.iter().filter_map(named).collect::<Vec<_>>())
    };
    let page = environment
        .get_template("report.html")?
        .render(context! {
            heads => HEADS,
            rows => rows.iter().map(cells).collect::<Vec<_>>(),
            accuracy => figure(|row| row.in_domain),
            over_baseline => figure(|row| row.over_baseline),
            round_heads => round_heads(rows),
            rounds => rows.iter().map(by_round).collect::<Vec<_>>(),
            out_of_domain => figure(|row| row.out_of_domain),
            config => config,
        })
        .context("cannot fill in the report's template")?;
    Ok(publish_bytes(path, page.as_bytes())?)
}

const WIDTH: f64 = 640.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 16.0;
const LINE: f64 = 22.0;

/// A line for each estimate: a dot at the mean, a bar over the interval, percent on the axis.
fn intervals(estimates: &[(String, Estimate)]) -> String {
    let ends = |estimate: &Estimate| {
        let half = estimate.half.unwrap_or(0.0);
        [estimate.mean - half, estimate.mean + half]
    };
    let all = || estimates.iter().flat_map(|(_, estimate)| ends(estimate)).chain([0.0]);
    let (low, high) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let width = if high > low { high - low } else { 1.0 };
    let at = |value: f64| LEFT + (value - low) / width * (WIDTH - LEFT - RIGHT);
    let height = LINE * (estimates.len() as f64 + 1.5);
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\">");
    // Writing to a String cannot fail, here and below.
    for tick in 0..=4 {
        let value = low + width * f64::from(tick) / 4.0;
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"0\" y2=\"{1:.1}\"/>\
             <text x=\"{0:.1}\" y=\"{2:.1}\" text-anchor=\"middle\">{3:.1} %</text>",
            at(value),
            height - LINE,
            height - 6.0,
            100.0 * value
        );
    }
    for (line, (name, estimate)) in estimates.iter().enumerate() {
        let y = LINE * (line as f64 + 0.5);
        let [from, to] = ends(estimate).map(at);
        let _ = write!(
            svg,
            "<text x=\"0\" y=\"{:.1}\">{name}</text>\
             <line class=\"interval\" x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"4\"/>",
            y + 4.0,
            at(estimate.mean)
        );
    }
    svg + "</svg>"
}

/// In percent, with half the interval's width; with its sign where it is a difference.
fn percent(estimate: Option<Estimate>, sign: bool) -> String {
    let Some(Estimate { mean, half }) = estimate else { return "-".to_owned() };
    let mean = if sign { format!("{:+.1}", 100.0 * mean) } else { format!("{:.1}", 100.0 * mean) };
    half.map_or(mean.clone(), |half| format!("{mean} +-{:.1}", 100.0 * half))
}

/// Heads of the table.
pub const HEADS: [&str; 10] = [
    "cell",
    "seeds",
    "in domain %",
    "- warm start",
    "- baseline",
    "out of domain %",
    "sampled tokens",
    "trained tokens",
    "steps",
    "seconds",
];

/// A row's cells, under [`HEADS`].
pub fn cells(row: &Row) -> [String; 10] {
    [
        row.cell.clone(),
        row.seeds.to_string(),
        percent(row.in_domain, false),
        percent(row.gain, true),
        percent(row.over_baseline, true),
        percent(row.out_of_domain, false),
        format!("{:.0}", row.sampled_tokens),
        format!("{:.0}", row.trained_tokens),
        format!("{:.0}", row.steps),
        format!("{:.0}", row.wall_s),
    ]
}

fn round_heads(rows: &[Row]) -> Vec<String> {
    let rounds = rows.iter().map(|row| row.by_round.len()).max().unwrap_or(0);
    let names = (0..rounds).map(|round| if round == 0 { "warm start".to_owned() } else { format!("round {round}") });
    std::iter::once("in domain %".to_owned()).chain(names).collect()
}

fn by_round(row: &Row) -> Vec<String> {
    std::iter::once(row.cell.clone()).chain(row.by_round.iter().map(|&estimate| percent(estimate, false))).collect()
}

/// The tables for the terminal: what each cell came to, and how, round by round.
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEADS.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    let mut rounds = vec![round_heads(rows)];
    rounds.extend(rows.iter().map(by_round));
    format!("{}\n{}", aligned(&lines), aligned(&rounds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_axis_runs_from_zero_to_the_farthest_end() {
        let svg = intervals(&[("a".to_owned(), Estimate { mean: 0.25, half: Some(0.25) })]);
        assert!(svg.contains("x1=\"150.0\" x2=\"624.0\" y1=\"11.0\""), "{svg}");
        assert!(svg.contains("50.0 %") && svg.contains("cx=\"387.0\""), "{svg}");
        assert!(!intervals(&[]).contains("NaN"));
    }
}
