//! Conversations as a model was trained to read them: the Jinja template of its folder.

mod dialect;
mod json;
#[cfg(test)]
mod tests;
mod widths;

use crate::beside::{SPECIAL_TOKENS_MAP, TOKENIZER_CONFIG, fields_of, token_in};
use crate::error::TokenizerError;
use dialect::translated;
use espalier_files::{caught, read_input_text};
use json::tojson;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, context};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

const TEMPLATE_FILE: &str = "chat_template.jinja";
/// What a template may spend on one conversation, which comes with a model from anywhere: 1 for a step, or for 64 bytes
/// that it writes or holds. Conversations of some megabytes fit.
const FUEL: u64 = 1 << 21;
/// How long one may take, on however busy a machine.
const LONGEST: Duration = Duration::from_secs(10);

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// Its text.
    pub content: String,
}

impl Message {
    /// A user's message.
    pub fn user(content: impl Into<String>) -> Message {
        Message { role: "user".to_owned(), content: content.into() }
    }
}

/// Roles of special tokens that templates may name, as transformers hands them over.
const TOKENS: [&str; 7] = ["bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"];

/// The template and the tokens that it may name.
pub(crate) struct ChatTemplate {
    /// Where it stands.
    path: PathBuf,
    environment: Environment<'static>,
    /// What the template itself has wrong, which is said when it is needed first: many who load a folder never chat.
    broken: Option<String>,
    /// How long it may take.
    longest: Duration,
    /// Special tokens by their roles.
    tokens: BTreeMap<&'static str, String>,
}

impl ChatTemplate {
    /// The template of `chat_template.jinja`, else that of `tokenizer_config.json`; of several the one named `default`.
    pub fn load(folder: &Path) -> Result<Option<ChatTemplate>, TokenizerError> {
        let (config, map) = (fields_of(&folder.join(TOKENIZER_CONFIG))?, fields_of(&folder.join(SPECIAL_TOKENS_MAP))?);
        let own_path = folder.join(TEMPLATE_FILE);
        let (path, source) = if own_path.exists() {
            let source = read_input_text(&own_path).map_err(TokenizerError::read(&own_path))?;
            (own_path, Some(source))
        } else {
            let template = &config["chat_template"];
            let named = template.as_array().and_then(|all| all.iter().find(|one| one["name"] == "default"));
            let source = template.as_str().or_else(|| named.and_then(|one| one["template"].as_str()));
            (folder.join(TOKENIZER_CONFIG), source.map(str::to_owned))
        };
        let Some(source) = source else { return Ok(None) };
        let mut environment = environment().map_err(|error| TokenizerError::broken(&path, error))?;
        let added = environment.add_template_owned("chat", translated(&source));
        let broken = added.err().map(|error| error.to_string());
        let token = |role: &'static str| {
            let token = token_in(&config, role).or_else(|| token_in(&map, role))?;
            Some((role, token.to_owned()))
        };
        let tokens = TOKENS.into_iter().filter_map(token).collect();
        Ok(Some(ChatTemplate { path, environment, broken, longest: LONGEST, tokens }))
    }

    /// As [`render`](Self::render), for a while: lists that are doubled again and again cost time and memory that the
    /// budget does not see. What is given up goes on until the process ends.
    pub fn render_in_time(self: &Arc<Self>, messages: &[Message]) -> Result<String, TokenizerError> {
        let (template, messages) = (Arc::clone(self), messages.to_vec());
        let (sender, rendered) = channel();
        std::thread::spawn(move || sender.send(template.render(&messages)));
        rendered.recv_timeout(self.longest).unwrap_or_else(|_| {
            let problem = format!("it takes more than {} s", self.longest.as_secs());
            Err(TokenizerError::ChatTemplate { path: self.path.clone(), problem })
        })
    }

    /// The conversation, and the beginning of the assistant's next answer.
    fn render(&self, messages: &[Message]) -> Result<String, TokenizerError> {
        if let Some(problem) = &self.broken {
            return Err(TokenizerError::ChatTemplate { path: self.path.clone(), problem: problem.clone() });
        }
        let template = self.environment.get_template("chat");
        // A library that panics would leave no answer, which would look like one that is late.
        let rendered = caught(|| {
            template.and_then(|template| {
                template.render(context! {
                    messages => Serde(messages),
                    add_generation_prompt => true,
                    // Nothing is there, which is not the same as a name that nobody knows.
                    tools => (),
                    documents => (),
                    ..Serde(&self.tokens)
                })
            })
        });
        let rendered = rendered.map_err(|panic| Error::new(ErrorKind::InvalidOperation, panic)).flatten();
        rendered.map_err(|error| {
            let problem = match error.kind() {
                ErrorKind::OutOfFuel => format!("it takes more than {FUEL} steps, or 64 bytes for each ({error})"),
                _ => error.to_string(),
            };
            TokenizerError::ChatTemplate { path: self.path.clone(), problem }
        })
    }
}

/// Jinja as transformers sets it up.
fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_fuel(Some(FUEL));
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
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
