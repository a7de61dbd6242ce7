//! How a problem is put to a model, where a step ends, and what a sampled step is: a task, which is a file.
//!
//! A path is a prompt followed by segments. Each segment is one step and ends in its stop string, so a prompt and the
//! segments of a path, joined, are the text of a state:
//!
//! ```text
//! xml, plan:  <question>Q</question><plan> | <step>Plan 1: ..</step> | .. | </plan><solution>..\boxed{7}</solution>
//! xml, step:  <question>Q</question><solution> | <step>..</step> | .. | The final answer is \boxed{7}.</solution>
//! ```
//!
//! The file, every key with what it is if left out:
//!
//! ```toml
//! name = "mine"                    # the file's name without its end
//! about = ""                       # for people
//! prompt = "{{ question }}\n"      # a Jinja template over question, shots and slots; or
//! # chat = true                    #   a conversation, by the model's own chat template:
//! # system = ""                    #   templates again: nothing,
//! # user = "{{ question }}"        #   the question,
//! # assistant = ""                 #   and how the answer begins
//! shots = []                       # tables of question, plan (a list) and solution; or from a file of worked problems,
//!                                  #   { from = "FILE.jsonl", count = 4 }; or { from = "found", count = 4 }: correct paths
//! answer = "boxed"                 # or choice, last_number, whole, { regex = 'Answer: (.*)' }
//! stop = ["\nProblem:"]            # none: further strings that end a path
//! never = []                       # what no step may have inside, beside ends, stops and tags
//! tags = []                        # what a tokenizer that is made for the task keeps whole
//! judges = []
//!
//! [slots]                          # names with their defaults: {{ slots.tag }} in templates
//!
//! [step]
//! kind = "step"                    # steps of the solution itself; or plan: steps of a plan, then the solution as one step
//! begin = "\n"                     # none; a text, or { text = "\n", regex = '\s' } to be read otherwise than written
//! end = "\n\n"                     # must be given
//! heading = "Step {n}:"            # none
//! max_tokens = 200                 # the setting's
//!
//! [solution]                       # where the path ends
//! begin = ""
//! end = ""                         # the model ends it itself
//! max_tokens = 500
//!
//! [variants.plan]                  # keys that are laid over those above where the granularity is plan; and `step`
//! ```
//! A step whose text marks an answer (boxed, regex) is a solution wherever it ends, if the kind is `step`.

mod border;
mod file;
mod heading;
mod identity;
mod keys;
mod names;
mod place;
mod prompt;
mod reading;
mod shots;
#[cfg(test)]
mod tests;
mod written;

pub use identity::Prompting;
pub use names::{Format, Granularity};
pub use place::AnswerPlace;
pub use prompt::{ChatWriter, Turn};
pub use reading::{Fault, StepText};
pub use shots::Shot;

use border::Border;
use heading::Heading;
use prompt::Words;
use shots::Shots;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use toml::Table;

/// What is asked, and how what follows is read. A clone shares it.
#[derive(Clone)]
pub struct Task {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    name: String,
    about: String,
    built_in: Option<(Format, Granularity)>,
    /// The file's keys, of the chosen variant, with the worked problems of other files in their place.
    source: Table,
    words: Words,
    shots: Shots,
    /// What is shown before a question, in the order in which it is taken.
    pool: Vec<Shot>,
    slots: BTreeMap<String, String>,
    chat: Option<ChatWriter>,
    answer: AnswerPlace,
    step: Step,
    solution: Solution,
    /// What ends a step: its own end, then what ends a path.
    ends: Vec<String>,
    /// What of these ends a path.
    path_ends: Vec<String>,
    /// What may stand in no step.
    foreign: Vec<String>,
    tags: Vec<String>,
    judges: Vec<String>,
}

#[derive(Clone, Debug)]
struct Step {
    kind: Granularity,
    begin: Border,
    end: Border,
    heading: Option<Heading>,
    max_tokens: Option<usize>,
}

#[derive(Clone, Debug)]
struct Solution {
    begin: Border,
    end: Border,
    max_tokens: Option<usize>,
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { name, step, .. } = &*self.inner;
        f.debug_struct("Task").field("name", name).field("kind", &step.kind).finish_non_exhaustive()
    }
}

impl Task {
    /// Its name: a built-in task's, the key `name` of its file, or the file's own.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// What its file says of it to people.
    pub fn about(&self) -> &str {
        &self.inner.about
    }

    /// What its steps before the solution are.
    pub fn granularity(&self) -> Granularity {
        self.inner.step.kind
    }

    /// The judges that its file names, in order; none where those of the program are meant.
    pub fn judges(&self) -> &[String] {
        &self.inner.judges
    }

    /// Where the answer of a solution stands.
    pub fn answer(&self) -> &AnswerPlace {
        &self.inner.answer
    }

    /// Its slots with their defaults.
    pub fn slots(&self) -> &BTreeMap<String, String> {
        &self.inner.slots
    }

    /// Tags that a tokenizer made for this task should keep whole.
    pub fn tags(&self) -> Vec<&str> {
        self.inner.tags.iter().map(String::as_str).collect()
    }

    /// Most tokens of one sampled step, which may turn out to be a solution; `None` where the task does not say.
    pub fn max_step_tokens(&self) -> Option<usize> {
        match (self.inner.step.max_tokens, self.inner.solution.max_tokens, self.granularity()) {
            (Some(step), Some(solution), _) => Some(step.max(solution)),
            (Some(one), None, Granularity::Step) | (None, Some(one), Granularity::Plan) => Some(one),
            _ => None,
        }
    }

    /// Strings that end a step, or a whole path. A sampled text includes the one that it ended in.
    pub fn step_stops(&self) -> &[String] {
        &self.inner.ends
    }

    /// Strings that end a whole path: the end of the solution, or the opening of a next question.
    pub fn path_stops(&self) -> &[String] {
        &self.inner.path_ends
    }
}
