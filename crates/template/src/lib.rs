//! Jinja templates that others wrote: the chat template of a downloaded model, the prompt of somebody's task.
//!
//! ```text
//!  source ── dialect ──► compiled ── render(values) ──► a thread of its own ──► text
//!                                                          │ 2^21 steps, 64 bytes each; 10 s; panics caught
//!                                                          └──► TemplateError, in words
//! ```
//! The syntax is Jinja as transformers sets it up: blocks take the line break behind them and the white space before them,
//! texts have Python's methods. A template that loops or grows ends in an error.
//!
//! ```
//! use espalier_template::{Manner, Template};
//! use std::collections::BTreeMap;
//!
//! let template = Template::new("Problem: {{ question }}\nSolution:", Manner::Exact)?;
//! let values = BTreeMap::from([("question", "3 + 4?")]);
//! assert_eq!(template.render(&values)?, "Problem: 3 + 4?\nSolution:");
//!
//! let endless = "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}";
//! let error = Template::new(endless, Manner::Exact)?.render(&values).unwrap_err();
//! assert!(error.to_string().starts_with("it takes more than 2097152 steps"));
//! # Ok::<(), espalier_template::TemplateError>(())
//! ```
#![forbid(unsafe_code)]

mod dialect;
mod json;
mod widths;

use dialect::translated;
use espalier_files::caught;
use json::tojson;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

/// What a template may spend on one text: 1 for a step, or for 64 bytes that it writes or holds. Texts of some megabytes fit.
const FUEL: u64 = 1 << 21;
/// How long one may take, on however busy a machine.
const LONGEST: Duration = Duration::from_secs(10);
/// The name of the one template of an environment; without an extension nothing is escaped for HTML.
const NAME: &str = "template";

/// What is wrong with a template, or with what it was given, in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateError(String);

impl TemplateError {
    fn of(error: &Error) -> TemplateError {
        let text = match error.kind() {
            ErrorKind::OutOfFuel => format!("it takes more than {FUEL} steps, or 64 bytes for each ({error})"),
            _ => error.to_string(),
        };
        TemplateError(text.replace('\n', " "))
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TemplateError {}

/// How a template is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// As Jinja and transformers do: a name without a value is an empty text, and one line break at the end is dropped.
    Lenient,
    /// To the letter: a name without a value is an error, and nothing is dropped.
    Exact,
}

/// A compiled template. A clone shares it.
#[derive(Clone)]
pub struct Template {
    environment: Arc<Environment<'static>>,
    longest: Duration,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").finish_non_exhaustive()
    }
}

impl Template {
    /// Compiles a template.
    ///
    /// # Errors
    /// A text that is no template.
    pub fn new(source: &str, manner: Manner) -> Result<Template, TemplateError> {
        let made = environment(manner).and_then(|mut environment| {
            environment.add_template_owned(NAME, translated(source))?;
            Ok(environment)
        });
        let environment = made.map_err(|error| TemplateError::of(&error))?;
        Ok(Template { environment: Arc::new(environment), longest: LONGEST })
    }

    /// With another limit of time.
    #[must_use]
    pub fn within(self, longest: Duration) -> Template {
        Template { longest, ..self }
    }

    /// The names whose values the template asks for, those of attributes behind a dot: `slots.tag`.
    pub fn names(&self) -> BTreeSet<String> {
        let template = self.environment.get_template(NAME);
        template.map_or_else(|_| BTreeSet::new(), |template| template.undeclared_variables(true).into_iter().collect())
    }

    /// The text of the template with these values, a map. It is made by a thread of its own, which is given up after a
    /// while: lists that are doubled again and again cost time and memory that the budget does not see. What is given up
    /// goes on until the process ends.
    ///
    /// # Errors
    /// What the template refuses or lacks, and one that asks for too much.
    pub fn render(&self, values: &impl Serialize) -> Result<String, TemplateError> {
        let (environment, values) = (Arc::clone(&self.environment), Value::from(Serde(values)));
        let (sender, rendered) = channel();
        std::thread::spawn(move || {
            // A library that panics would leave no answer, which would look like one that is late.
            let text = caught(|| environment.get_template(NAME).and_then(|template| template.render(values)));
            let text = text.map_err(|panic| Error::new(ErrorKind::InvalidOperation, panic)).flatten();
            // Nobody listens any more where the time was over.
            let _ = sender.send(text.map_err(|error| TemplateError::of(&error)));
        });
        let late = || TemplateError(format!("it takes more than {} s", self.longest.as_secs()));
        rendered.recv_timeout(self.longest).unwrap_or_else(|_| Err(late()))
    }
}

/// Jinja as transformers sets it up.
fn environment(manner: Manner) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(manner == Manner::Exact);
    environment.set_syntax(syntax.build()?);
    if manner == Manner::Exact {
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
    }
    environment.set_unknown_method_callback(widths::method);
    environment.add_filter("tojson", tojson);
    let failed = |problem: String| Error::new(ErrorKind::InvalidOperation, problem);
    environment
        .add_function("raise_exception", move |problem: String| -> Result<String, Error> { Err(failed(problem)) });
    environment.add_function("strftime_now", move |format: String| {
        jiff::fmt::strtime::format(&format, &jiff::Zoned::now()).map_err(|error| failed(error.to_string()))
    });
    Ok(environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_before_anything_is_rendered() {
        let template =
            Template::new("{{ question }}{% for s in shots %}{{ s.path }}{% endfor %}{{ slots.tag }}", Manner::Exact);
        let names: Vec<String> = template.unwrap().names().into_iter().collect();
        assert_eq!(names, ["question", "shots", "slots.tag"]);
    }

    #[test]
    fn a_name_without_a_value_is_an_error_where_it_must_be_known() {
        let values = one_value();
        let text = "a{{ nothing }}b";
        assert_eq!(Template::new(text, Manner::Lenient).unwrap().render(&values).unwrap(), "ab");
        let error = Template::new(text, Manner::Exact).unwrap().render(&values).unwrap_err().to_string();
        assert!(error.contains("undefined"), "{error}");
        let error = Template::new("{% if %}", Manner::Lenient).unwrap_err().to_string();
        assert!(error.contains("syntax error") && error.lines().count() == 1, "{error}");
    }

    /// Lists that are doubled cost the budget nothing until they are written or laid flat, and nothing ends that.
    #[test]
    fn what_the_budget_does_not_see_is_given_up_after_its_time() {
        let doubled =
            "{% set ns = namespace(s=['x']) %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}";
        let template = Template::new(doubled, Manner::Lenient).unwrap().within(Duration::from_secs(1));
        let began = std::time::Instant::now();
        // The thread that is given up goes on until the test ends.
        assert_eq!(template.render(&one_value()).unwrap_err().to_string(), "it takes more than 1 s");
        assert!(began.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_text_is_never_escaped_and_loses_at_most_one_line_break_at_its_end() {
        let values = std::collections::BTreeMap::from([("q", "2 < 3 & \"é\"\n")]);
        let of = |manner| Template::new("{{ q }}\n\n", manner).unwrap().render(&values).unwrap();
        assert_eq!(of(Manner::Lenient), "2 < 3 & \"é\"\n\n");
        assert_eq!(of(Manner::Exact), "2 < 3 & \"é\"\n\n\n");
    }

    fn one_value() -> std::collections::BTreeMap<&'static str, u8> {
        std::collections::BTreeMap::from([("known", 1)])
    }
}
