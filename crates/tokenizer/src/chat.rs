//! Conversations as a model was trained to read them: the Jinja template of its folder.

use crate::error::TokenizerError;
use crate::names::TOKENIZER_CONFIG;
use espalier_files::{read_input, read_input_text};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, context};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

const TEMPLATE_FILE: &str = "chat_template.jinja";
/// What a template may spend on one conversation, which comes with a model from anywhere: 1 for a step, or for 64 bytes
/// that it writes or holds. Conversations of some megabytes fit.
const FUEL: u64 = 1 << 21;
/// How long it may take, on however busy a machine.
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

/// The template and the tokens that it may name.
pub(crate) struct ChatTemplate {
    /// Where it stands.
    path: PathBuf,
    environment: Environment<'static>,
    bos_token: String,
    eos_token: String,
}

impl ChatTemplate {
    /// The template of `chat_template.jinja`, else that of `tokenizer_config.json`; of several the one named `default`.
    pub fn load(folder: &Path) -> Result<Option<ChatTemplate>, TokenizerError> {
        let config_path = folder.join(TOKENIZER_CONFIG);
        let fields: Value = if config_path.exists() {
            let text = read_input(&config_path).map_err(TokenizerError::read(&config_path))?;
            serde_json::from_slice(&text).map_err(|error| TokenizerError::broken(&config_path, error))?
        } else {
            Value::Null
        };
        let own_path = folder.join(TEMPLATE_FILE);
        let (path, source) = if own_path.exists() {
            let source = read_input_text(&own_path).map_err(TokenizerError::read(&own_path))?;
            (own_path, Some(source))
        } else {
            let template = &fields["chat_template"];
            let named = template.as_array().and_then(|all| all.iter().find(|one| one["name"] == "default"));
            let source = template.as_str().or_else(|| named.and_then(|one| one["template"].as_str()));
            (config_path, source.map(str::to_owned))
        };
        let Some(source) = source else { return Ok(None) };
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        // As transformers sets Jinja up.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| TokenizerError::broken(&path, error))?);
        environment.set_unknown_method_callback(unknown_method_callback);
        environment.add_function("raise_exception", |problem: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, problem))
        });
        let added = environment.add_template_owned("chat", source);
        added.map_err(|error| TokenizerError::broken(&path, format!("its chat template: {error}")))?;
        let token = |name: &str| {
            let token = fields[name].as_str().or_else(|| fields[name]["content"].as_str());
            token.unwrap_or_default().to_owned()
        };
        Ok(Some(ChatTemplate { path, environment, bos_token: token("bos_token"), eos_token: token("eos_token") }))
    }

    /// As [`render`](Self::render), for a while: lists that are doubled again and again cost time and memory that the
    /// budget does not see. What is given up goes on until the process ends.
    pub fn render_in_time(self: &Arc<Self>, messages: &[Message]) -> Result<String, TokenizerError> {
        let (template, messages) = (Arc::clone(self), messages.to_vec());
        let (sender, rendered) = channel();
        std::thread::spawn(move || sender.send(template.render(&messages)));
        rendered.recv_timeout(LONGEST).unwrap_or_else(|_| {
            let problem = format!("it takes more than {} s", LONGEST.as_secs());
            Err(TokenizerError::ChatTemplate { path: self.path.clone(), problem })
        })
    }

    /// The conversation, and the beginning of the assistant's next answer.
    fn render(&self, messages: &[Message]) -> Result<String, TokenizerError> {
        let template = self.environment.get_template("chat");
        let rendered = template.and_then(|template| {
            template.render(context! {
                messages => Serde(messages),
                add_generation_prompt => true,
                bos_token => self.bos_token.as_str(),
                eos_token => self.eos_token.as_str(),
            })
        });
        rendered.map_err(|error| {
            let problem = match error.kind() {
                ErrorKind::OutOfFuel => format!("it takes more than {FUEL} steps, or 64 bytes for each ({error})"),
                _ => error.to_string(),
            };
            TokenizerError::ChatTemplate { path: self.path.clone(), problem }
        })
    }
}
