//! `report.html`: every round's curves and tables, in one file that needs no other.

use super::curve::{Series, chart};
use super::table::{HEADS, cells, interval};
use anyhow::{Context, Result};
use espalier_files::publish_bytes;
use espalier_rounds::run::folder::RunFolder;
use espalier_rounds::run::manifest::RoundManifest;
use minijinja::{Environment, context};
use std::fs;
use std::path::Path;

const TEMPLATE: &str = include_str!("report.html.jinja");

/// Writes the report of the finished rounds.
pub fn write(run: &RunFolder, rounds: &[RoundManifest]) -> Result<()> {
    let mut environment = Environment::new();
    environment.add_template("report.html", TEMPLATE).context("the report's template is broken")?;
    let page = environment
        .get_template("report.html")?
        .render(context! {
            name => run.config()?.name,
            heads => HEADS,
            rows => rounds.iter().map(cells).collect::<Vec<_>>(),
            accuracy => accuracy(rounds),
            families => families(rounds),
            losses => losses(run, rounds)?,
            config => fs::read_to_string(run.config_path()).context("cannot read the run's configuration")?,
        })
        .context("cannot fill in the report's template")?;
    Ok(publish_bytes(&run.report(), page.as_bytes())?)
}

fn accuracy(rounds: &[RoundManifest]) -> String {
    let series = ["in_domain", "out_of_domain"].map(|name| {
        let scores: Vec<_> = rounds
            .iter()
            .filter_map(|round| {
                let group = round.eval.groups.iter().find(|group| group.name == name)?;
                Some((f64::from(round.round), group.all))
            })
            .collect();
        Series {
            name: name.replace('_', " "),
            points: scores.iter().map(|(round, score)| (*round, score.accuracy)).collect(),
            intervals: scores.iter().map(|(_, score)| (score.low, score.high)).collect(),
        }
    });
    chart("round", &series)
}

/// A row a family (and a number of steps): its name, then its accuracy after each round.
fn families(rounds: &[RoundManifest]) -> Vec<Vec<String>> {
    let Some(first) = rounds.first() else { return Vec::new() };
    let mut rows = Vec::new();
    for (index, group) in first.eval.groups.iter().enumerate() {
        let after = |pick: &dyn Fn(&espalier_eval::GroupScore) -> Option<String>| {
            rounds
                .iter()
                .map(move |round| round.eval.groups.get(index).and_then(pick).unwrap_or_default())
                .collect::<Vec<_>>()
        };
        for family in group.families.keys() {
            let mut row = vec![format!("{}: {family}", group.name.replace('_', " "))];
            row.extend(after(&|group| group.families.get(family).map(interval)));
            rows.push(row);
        }
        for steps in group.difficulties.keys() {
            let mut row = vec![format!("{}: {steps} steps", group.name.replace('_', " "))];
            row.extend(after(&|group| group.difficulties.get(steps).map(interval)));
            rows.push(row);
        }
    }
    rows
}

/// A chart of the loss of every training stage: its title, its SVG.
fn losses(run: &RunFolder, rounds: &[RoundManifest]) -> Result<Vec<[String; 2]>> {
    let mut figures = Vec::new();
    for round in rounds {
        for stage in round.training.keys() {
            let path = run.round(round.round).join("train").join(stage).join("metrics.jsonl");
            if path.exists() {
                let points = curve_of(&path, "loss")?;
                let series = Series { name: "loss".into(), points, intervals: Vec::new() };
                let title = format!("Round {}: {}", round.round, stage.replace('_', " "));
                figures.push([title, chart("optimiser step", &[series])]);
            }
        }
    }
    Ok(figures)
}

/// (step, value) of one metric.
fn curve_of(path: &Path, name: &str) -> Result<Vec<(f64, f64)>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut points = Vec::new();
    for (row, line) in text.lines().enumerate() {
        let metrics: serde_json::Value =
            serde_json::from_str(line).with_context(|| format!("{} line {} is not JSON", path.display(), row + 1))?;
        if let (Some(step), Some(value)) = (metrics["step"].as_f64(), metrics[name].as_f64()) {
            points.push((step, value));
        }
    }
    Ok(points)
}
