//! Conversations as a model was trained to read them: the Jinja template of its folder.

#[cfg(test)]
mod tests;

use crate::beside::{SPECIAL_TOKENS_MAP, TOKENIZER_CONFIG, fields_of, token_in};
use crate::error::TokenizerError;
use espalier_files::read_input_text;
use espalier_template::{Manner, Template, TemplateError};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const TEMPLATE_FILE: &str = "chat_template.jinja";

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
    /// As it stands there.
    pub source: String,
    /// What the template itself has wrong is said when it is needed first: many who load a folder never chat.
    template: Result<Template, TemplateError>,
    /// Special tokens by their roles.
    tokens: BTreeMap<&'static str, String>,
}

/// What a template is given.
#[derive(Serialize)]
struct Values<'a> {
    messages: &'a [Message],
    add_generation_prompt: bool,
    // Nothing is there, which is not the same as a name that nobody knows.
    tools: (),
    documents: (),
    #[serde(flatten)]
    tokens: &'a BTreeMap<&'static str, String>,
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
        let token = |role: &'static str| {
            let token = token_in(&config, role).or_else(|| token_in(&map, role))?;
            Some((role, token.to_owned()))
        };
        let tokens = TOKENS.into_iter().filter_map(token).collect();
        let template = Template::new(&source, Manner::Lenient);
        Ok(Some(ChatTemplate { path, source, template, tokens }))
    }

    /// The conversation, and the beginning of the assistant's next answer.
    pub fn render(&self, messages: &[Message]) -> Result<String, TokenizerError> {
        let values = Values { messages, add_generation_prompt: true, tools: (), documents: (), tokens: &self.tokens };
        let rendered = self.template.as_ref().map_err(Clone::clone).and_then(|template| template.render(&values));
        rendered.map_err(|error| TokenizerError::ChatTemplate { path: self.path.clone(), problem: error.to_string() })
    }
}
