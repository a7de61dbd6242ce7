//! The prompt of a task: a template's text, or a conversation in the words of the model's own chat template.

use super::keys::Keys;
use super::shots::{Shot, Shots};
use super::{Inner, Task};
use crate::error::TaskError;
use crate::problem::Problem;
use espalier_settings::OutOfRange;
use espalier_template::{Manner, Template, TemplateError};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The user's message where a conversation's file has none.
const USER: &str = "{{ question }}";

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// `system` or `user`.
    pub role: &'static str,
    /// Its text.
    pub text: String,
}

/// Writes a conversation up to where the assistant's answer begins, as the model was trained to read it; or says why not.
pub type ChatWriter = Arc<dyn Fn(&[Turn]) -> Result<String, String> + Send + Sync>;

/// How a question is put.
#[derive(Clone, Debug)]
pub(super) enum Words {
    /// One text.
    Prompt(Template),
    /// A conversation.
    Chat {
        system: Option<Template>,
        user: Template,
        /// The beginning of the assistant's answer.
        assistant: Option<Template>,
    },
}

/// What templates may ask for.
#[derive(Serialize)]
struct Values<'a> {
    question: &'a str,
    shots: Vec<&'a Shot>,
    slots: BTreeMap<&'a str, &'a str>,
}

impl Words {
    pub fn of(keys: &mut Keys, slots: &BTreeMap<String, String>) -> Result<Words, OutOfRange> {
        let is_chat = keys.flag("chat")?;
        let prompt = keys.text("prompt")?;
        let [system, user, assistant] = [keys.text("system")?, keys.text("user")?, keys.text("assistant")?];
        if !is_chat {
            let given = [("system", &system), ("user", &user), ("assistant", &assistant)];
            if let Some((key, Some(text))) = given.into_iter().find(|(_, text)| text.is_some()) {
                return Err(keys.wrong(key, format!("{text:?}"), "left out, or chat = true"));
            }
            let wanted = "a template with {{ question }} in it, or chat = true";
            let source = prompt.ok_or_else(|| keys.wrong("prompt", "left out", wanted))?;
            let template = template(keys, "prompt", &source, slots)?;
            if !template.names().contains("question") {
                return Err(keys.wrong("prompt", "without {{ question }}", wanted));
            }
            return Ok(Words::Prompt(template));
        }
        if let Some(prompt) = prompt {
            return Err(keys.wrong(
                "prompt",
                format!("{prompt:?}"),
                "left out where chat = true; user is the question's",
            ));
        }
        let optional =
            |key, source: Option<String>| source.map(|source| template(keys, key, &source, slots)).transpose();
        let (system, assistant) = (optional("system", system)?, optional("assistant", assistant)?);
        let user = template(keys, "user", user.as_deref().unwrap_or(USER), slots)?;
        let asks = |template: &Template| template.names().contains("question");
        if !asks(&user) && !system.as_ref().is_some_and(asks) {
            return Err(keys.wrong("user", "without {{ question }}", "a template with {{ question }} in it"));
        }
        Ok(Words::Chat { system, user, assistant })
    }
}

/// A template that asks for nothing that there is not.
fn template(keys: &Keys, key: &str, source: &str, slots: &BTreeMap<String, String>) -> Result<Template, OutOfRange> {
    let made = Template::new(source, Manner::Exact);
    let template = made.map_err(|error| keys.wrong(key, "no template", format!("one ({error})")))?;
    for name in template.names() {
        let known = match name.split_once('.') {
            Some(("slots", slot)) => slots.contains_key(slot.split('.').next().unwrap_or_default()),
            Some((first, _)) => first == "shots" || first == "question" || first == "range",
            None => ["question", "shots", "slots", "range", "namespace", "dict", "raise_exception"].contains(&&*name),
        };
        if !known {
            let slots: Vec<String> = slots.keys().map(|name| format!("slots.{name}")).collect();
            let wanted =
                format!("one of question, shots{}{}", if slots.is_empty() { "" } else { ", " }, slots.join(", "));
            return Err(keys.wrong(
                key,
                format!("a template that asks for {name}"),
                format!("one that asks for {wanted}"),
            ));
        }
    }
    Ok(template)
}

impl Task {
    /// The text that sampling starts from.
    ///
    /// # Errors
    /// A template that fails or asks for too much, and a conversation whose model's chat template is not known
    /// ([`speaking`](Task::speaking)).
    pub fn prompt(&self, problem: &Problem) -> Result<String, TaskError> {
        self.inner.prompt(&problem.question, &problem.slots)
    }

    /// As [`prompt`](Task::prompt), of a question alone.
    ///
    /// # Errors
    /// As [`prompt`](Task::prompt).
    pub fn prompt_of(&self, question: &str) -> Result<String, TaskError> {
        self.inner.prompt(question, &BTreeMap::new())
    }

    /// Whether the prompt is a conversation. Its text has all special tokens in it: none is put before it.
    pub fn is_chat(&self) -> bool {
        matches!(self.inner.words, Words::Chat { .. })
    }

    /// The task for a model that reads conversations so.
    #[must_use]
    pub fn speaking(&self, chat: ChatWriter) -> Task {
        Task { inner: Arc::new(Inner { chat: Some(chat), ..(*self.inner).clone() }) }
    }
}

impl Inner {
    fn prompt(&self, question: &str, own: &BTreeMap<String, String>) -> Result<String, TaskError> {
        let failed = |reason: String| TaskError::Task { place: self.name.clone(), reason };
        let rendered = |template: &Template, key: &str, values: &Values| {
            template.render(values).map_err(|error: TemplateError| failed(format!("{key}: {error}")))
        };
        let slot = |(name, default): (&'_ String, &'_ String)| -> (String, String) {
            (name.clone(), own.get(name).unwrap_or(default).clone())
        };
        let filled: BTreeMap<String, String> = self.slots.iter().map(slot).collect();
        let slots = filled.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let values = Values { question, shots: self.shots_for(question), slots };
        match &self.words {
            Words::Prompt(prompt) => rendered(prompt, "prompt", &values),
            Words::Chat { system, user, assistant } => {
                let mut turns = Vec::new();
                if let Some(system) = system {
                    turns.push(Turn { role: "system", text: rendered(system, "system", &values)? });
                }
                turns.push(Turn { role: "user", text: rendered(user, "user", &values)? });
                let write =
                    self.chat.as_ref().ok_or_else(|| failed("chat needs the chat template of a policy".into()))?;
                let mut text = write(&turns).map_err(failed)?;
                if let Some(assistant) = assistant {
                    text += &rendered(assistant, "assistant", &values)?;
                }
                Ok(text)
            }
        }
    }

    /// What is shown before a question; of found paths, never its own.
    fn shots_for(&self, question: &str) -> Vec<&Shot> {
        match self.shots {
            Shots::None | Shots::Given(_) => self.pool.iter().collect(),
            Shots::Found(count) => self.pool.iter().filter(|shot| shot.question != question).take(count).collect(),
        }
    }
}
