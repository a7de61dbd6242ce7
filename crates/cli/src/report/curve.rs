//! Line charts as inline SVG.

use std::fmt::Write;

/// One line of a chart: points (x, y), and for each point an optional interval.
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// (x, y).
    pub points: Vec<(f64, f64)>,
    /// (low, high) for each point; empty when there are none.
    pub intervals: Vec<(f64, f64)>,
}

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 28.0;
const BOTTOM: f64 = 32.0;
/// Colours that readers with colour-blindness tell apart (Okabe and Ito).
const COLOURS: [&str; 4] = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"];

/// A chart of several series over one pair of axes.
pub fn chart(x_name: &str, series: &[Series]) -> String {
    let xs = || series.iter().flat_map(|series| series.points.iter().map(|point| point.0));
    let ys = || {
        series.iter().flat_map(|series| {
            let ends = series.intervals.iter().flat_map(|&(low, high)| [low, high]);
            series.points.iter().map(|point| point.1).chain(ends)
        })
    };
    let (x_low, x_high) = range(xs());
    let (y_low, y_high) = range(ys());
    let x_at = |x: f64| LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT);
    let y_at = |y: f64| HEIGHT - BOTTOM - (y - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM);

    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\">");
    // Writing to a String cannot fail, here and below.
    for tick in 0..=4 {
        let y = y_low + (y_high - y_low) * f64::from(tick) / 4.0;
        let at = y_at(y);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            at + 4.0,
            number(y)
        );
    }
    for (x, anchor) in [(x_low, "start"), (x_high, "end")] {
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
            x_at(x),
            HEIGHT - BOTTOM + 16.0,
            number(x)
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{x_name}</text>",
        f64::midpoint(LEFT, WIDTH - RIGHT),
        HEIGHT - 4.0
    );
    for (index, series) in series.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let line: Vec<String> = series.points.iter().map(|&(x, y)| format!("{:.1},{:.1}", x_at(x), y_at(y))).collect();
        let _ = write!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
            line.join(" ")
        );
        for (&(x, y), &(low, high)) in series.points.iter().zip(&series.intervals) {
            let _ = write!(
                svg,
                "<circle cx=\"{0:.1}\" cy=\"{1:.1}\" r=\"3\" fill=\"{colour}\"/>\
                 <line stroke=\"{colour}\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{2:.1}\" y2=\"{3:.1}\"/>",
                x_at(x),
                y_at(y),
                y_at(low),
                y_at(high)
            );
        }
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"16\" fill=\"{colour}\">{}</text>",
            LEFT + 150.0 * index as f64,
            series.name
        );
    }
    svg.push_str("</svg>");
    svg
}

/// Lowest and highest, never equal, so that a constant curve has a place.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values
        .filter(|value| value.is_finite())
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    match (low.is_finite(), high > low) {
        (false, _) => (0.0, 1.0),
        (true, false) => (low - 0.5, high + 0.5),
        (true, true) => (low, high),
    }
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e6 { format!("{value}") } else { format!("{value:.3}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corners_of_the_data_are_the_corners_of_the_axes() {
        let series = Series { name: "s".into(), points: vec![(0.0, 1.0), (10.0, 3.0)], intervals: Vec::new() };
        let svg = chart("step", &[series]);
        assert!(svg.contains("points=\"56.0,228.0 548.0,28.0\""), "{svg}");
    }

    #[test]
    fn nothing_and_a_constant_have_a_chart() {
        let constant = Series { name: "c".into(), points: vec![(1.0, 2.0)], intervals: vec![(2.0, 2.0)] };
        for svg in [chart("x", &[]), chart("x", &[constant])] {
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
