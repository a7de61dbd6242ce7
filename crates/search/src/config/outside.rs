//! Values from elsewhere than the policy's own head, as flags and files spell them.

use super::Evaluation;
use super::names::unknown;
use espalier_settings::OutOfRange;
use std::fmt;
use std::str::FromStr;

/// One or several sources of values, and what their values make.
#[derive(Clone, Debug, PartialEq)]
pub struct Outside {
    /// The sources; at least one.
    pub sources: Vec<Source>,
    /// What is made of their values.
    pub combine: Combine,
}

/// Where values come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A value, reward or process reward model behind a server.
    Server(String),
    /// A verifier, or a policy's value head, in a folder.
    Folder(String),
    /// beta times the log-probability ratio of the policy in a folder and the policy that samples.
    Implicit(String),
    /// The policy that samples, asked whether its last step is right.
    Own,
    /// The mean reward of paths that another policy samples from the state.
    Prover(String),
}

/// What several values make.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Combine {
    /// Their mean, less so many of their standard deviations (population).
    Mean {
        /// Standard deviations.
        less_sd: f64,
    },
    /// The least of them.
    Min,
}

impl Combine {
    /// One value of several, held to [-1, 1]. Of one, the value itself.
    pub fn of(self, values: &[f32]) -> f32 {
        let count = values.len() as f64;
        let mean = values.iter().copied().map(f64::from).sum::<f64>() / count;
        let value = match self {
            Combine::Min => values.iter().copied().map(f64::from).fold(1.0, f64::min),
            Combine::Mean { less_sd } => {
                let variance = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>() / count;
                mean - less_sd * variance.sqrt()
            }
        };
        value.clamp(-1.0, 1.0) as f32
    }
}

impl Source {
    fn read(text: &str) -> Option<Source> {
        let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
        let rest = rest.trim().to_owned();
        match (kind, rest.is_empty()) {
            ("self", true) => Some(Source::Own),
            ("server", false) => Some(Source::Server(rest)),
            ("folder", false) => Some(Source::Folder(rest)),
            ("implicit", false) => Some(Source::Implicit(rest)),
            ("prover", false) => Some(Source::Prover(rest)),
            _ => None,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Server(place) => write!(f, "server:{place}"),
            Source::Folder(place) => write!(f, "folder:{place}"),
            Source::Implicit(place) => write!(f, "implicit:{place}"),
            Source::Own => f.write_str("self"),
            Source::Prover(place) => write!(f, "prover:{place}"),
        }
    }
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.combine, &self.sources[..]) {
            (Combine::Mean { less_sd: 0.0 }, [source]) => return source.fmt(f),
            (Combine::Min, _) => f.write_str("min(")?,
            (Combine::Mean { less_sd: 0.0 }, _) => f.write_str("mean(")?,
            (Combine::Mean { less_sd }, _) => write!(f, "mean-{less_sd}sd(")?,
        }
        for (at, source) in self.sources.iter().enumerate() {
            write!(f, "{}{source}", if at == 0 { "" } else { "," })?;
        }
        f.write_str(")")
    }
}

impl FromStr for Outside {
    type Err = OutOfRange;

    /// Reads one source, or `min(A,B)`, `mean(A,B)`, `mean-C sd(A,B)` of several.
    fn from_str(text: &str) -> Result<Outside, OutOfRange> {
        let refused = || unknown::<Evaluation>("evaluation", text);
        let single = || Some(Outside { sources: vec![Source::read(text)?], combine: Combine::Mean { less_sd: 0.0 } });
        let several = || {
            let (rule, sources) = text.strip_suffix(')')?.split_once('(')?;
            let combine = match rule.trim() {
                "min" => Combine::Min,
                "mean" => Combine::Mean { less_sd: 0.0 },
                rule => {
                    let less_sd = rule.strip_prefix("mean-")?.strip_suffix("sd")?.trim().parse().ok()?;
                    Combine::Mean { less_sd: Some(less_sd).filter(|sd: &f64| sd.is_finite() && *sd >= 0.0)? }
                }
            };
            let sources = sources.split(',').map(|source| Source::read(source.trim())).collect::<Option<Vec<_>>>()?;
            Some(Outside { sources, combine })
        };
        let is_rule = ["min(", "mean(", "mean-"].iter().any(|rule| text.starts_with(rule));
        if is_rule { several() } else { single() }.ok_or_else(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_as_they_are_written() {
        for text in [
            "server:http://localhost:8000/pooling#model",
            "folder:data/verifier",
            "self",
            "implicit:a b",
            "prover:http://h:1",
            "min(folder:a,server:http://h:1)",
            "mean(folder:a,self)",
            "mean-0.5sd(folder:a)",
        ] {
            let outside: Outside = text.parse().expect(text);
            assert_eq!(outside.to_string(), text);
            assert_eq!(text.parse::<Evaluation>().expect(text).to_string(), text);
        }
        for text in
            ["folder:", "self:x", "min()", "min(folder:a,)", "mean-xsd(folder:a)", "mean--1sd(self)", "verifier:a"]
        {
            assert!(text.parse::<Evaluation>().is_err(), "{text}");
        }
    }

    #[test]
    fn values_are_combined_as_by_hand() {
        // Mean 0.2, variance ((0.4)^2 + (0.2)^2 + (0.2)^2) / 3 = 0.08.
        let values = [0.6, 0.0, 0.0];
        assert!((Combine::Mean { less_sd: 0.0 }.of(&values) - 0.2).abs() < 1e-6);
        assert!((Combine::Mean { less_sd: 0.5 }.of(&values) - (0.2 - 0.5 * 0.08_f32.sqrt())).abs() < 1e-6);
        assert_eq!(Combine::Min.of(&values), 0.0);
        assert_eq!(Combine::Mean { less_sd: 9.0 }.of(&[1.0, -1.0]), -1.0, "held to its range");
        assert_eq!(Combine::Mean { less_sd: 2.0 }.of(&[0.25]), 0.25);
    }
}
