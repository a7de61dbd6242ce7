//! From a configuration to judges: the plain comparison of answers, or a panel.

mod member;

use crate::config::{JudgingConfig, RunConfig};
use crate::context::Context;
use crate::contract::Identity;
use crate::stage::starts::Starts;
use anyhow::Result;
use espalier_eval::{FormatJudge, Member, Panel};
use espalier_search::Judge;
use espalier_task::{Problem, Task};
use member::Spec;

/// The judges of a stage.
pub enum Judging<'p> {
    /// Answers are compared with the reference; trees have no columns of judges.
    Plain(FormatJudge),
    /// Several judges, or one that is not `answer`.
    Panel(Panel<'p>),
}

impl<'p> Judging<'p> {
    /// The judges that the configuration, or else the task, names, for these problems. `notice` is told in one line each what
    /// happens to judges that are programs or servers.
    ///
    /// # Errors
    /// A judge that there is not, or that cannot be started here.
    pub fn open(
        config: &JudgingConfig,
        task: &Task,
        problems: impl IntoIterator<Item = &'p Problem> + Clone,
        notice: fn(&str),
    ) -> Result<Judging<'p>> {
        let specs = specs(config, task)?;
        let reading = FormatJudge { task: task.clone() };
        // What is right of several answers is said by a program, not by a comparison.
        let is_compared = |problem: &Problem| problem.kind.is_compared();
        if specs == [Spec::answer()] && problems.clone().into_iter().all(is_compared) {
            return Ok(Judging::Plain(reading));
        }
        let members = specs.iter().enumerate().map(|(at, spec)| {
            let weight = config.weights.get(at).copied().unwrap_or(1.0);
            Ok(Member { name: spec.name.clone(), weight, scorer: spec.open(config, notice)? })
        });
        Ok(Judging::Panel(Panel::new(reading, members.collect::<Result<_>>()?, config.reward, problems)))
    }

    /// The same for trees that start behind these steps.
    #[must_use]
    pub fn behind(self, problems: &'p [Problem], starts: &Starts) -> Judging<'p> {
        match self {
            Judging::Plain(judge) => Judging::Plain(judge),
            Judging::Panel(panel) => {
                let steps = problems
                    .iter()
                    .enumerate()
                    .map(|(index, problem)| (problem.id.as_str(), starts.steps(index).to_vec()));
                Judging::Panel(panel.behind(steps.filter(|(_, steps)| !steps.is_empty())))
            }
        }
    }

    /// The judge of a search.
    pub fn judge(&self) -> &dyn Judge {
        match self {
            Judging::Plain(judge) => judge,
            Judging::Panel(panel) => panel,
        }
    }

    /// Tells what is wrong with judges, if something is. Reasons that were told on the way are not told again.
    pub fn report(&self, context: &Context) {
        self.panel().into_iter().flat_map(Panel::troubles).for_each(|line| context.observer.noticed(&line));
    }

    /// The panel, if there is one.
    pub fn panel(&self) -> Option<&Panel<'p>> {
        match self {
            Judging::Plain(_) => None,
            Judging::Panel(panel) => Some(panel),
        }
    }
}

/// The judges that are meant, in order, their names all different.
fn specs(config: &JudgingConfig, task: &Task) -> Result<Vec<Spec>> {
    let is_default = config.judges == JudgingConfig::default().judges;
    let named = if is_default && !task.judges().is_empty() { task.judges() } else { &config.judges };
    let mut specs: Vec<Spec> = Vec::with_capacity(named.len());
    for text in named {
        let mut spec = Spec::read(text)?;
        let plain = spec.name.clone();
        let mut number = 2;
        while specs.iter().any(|other| other.name == spec.name) {
            spec.name = format!("{plain}_{number}");
            number += 1;
        }
        specs.push(spec);
    }
    Ok(specs)
}

/// What of the judges decides a result: the settings, and what lies in the files that they name. What only decides how fast
/// judgements come, or how long is waited for them, does not.
///
/// # Errors
/// A file that cannot be read.
pub fn identify(identity: Identity, config: &RunConfig, task: &Task) -> Result<Identity> {
    let default = JudgingConfig::default();
    let server = config.judging.server.deciding();
    let judging = JudgingConfig { processes: 0, server, ..config.judging.clone() };
    let mut identity = identity.setting("judging", &judging, &default)?;
    for spec in specs(&config.judging, task)? {
        for (file, content) in spec.files()? {
            identity = identity.input(&format!("judge {} {file}", spec.name), content);
        }
    }
    Ok(identity)
}
