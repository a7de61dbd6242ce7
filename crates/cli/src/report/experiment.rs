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
        let named =
            |row: &Row| of(row).map(|estimate| (format!("{} {}", row.granularity, row.method.name()), estimate));
        intervals(&rows.iter().filter_map(named).collect::<Vec<_>>())
    };
    let page = environment
        .get_template("report.html")?
        .render(context! {
            heads => HEADS,
            rows => rows.iter().map(cells).collect::<Vec<_>>(),
            accuracy => figure(|row| row.in_domain),
            gain => figure(|row| row.gain),
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
    "step",
    "method",
    "blocks",
    "in domain %",
    "- sft",
    "- rejection_sft",
    "out of domain %",
    "examples",
    "tokens",
    "train s",
];

/// A row's cells, under [`HEADS`].
pub fn cells(row: &Row) -> [String; 10] {
    [
        row.granularity.to_string(),
        row.method.name().to_owned(),
        row.blocks.to_string(),
        percent(row.in_domain, false),
        percent(row.gain, true),
        percent(row.gain_on_rejection, true),
        percent(row.out_of_domain, false),
        format!("{:.0}", row.examples),
        format!("{:.0}", row.tokens),
        format!("{:.0}", row.wall_s),
    ]
}

/// The table for the terminal.
pub fn table(rows: &[Row]) -> String {
    let mut lines = vec![HEADS.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    aligned(&lines)
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
