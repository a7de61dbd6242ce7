//! Which task a policy is asked in: the configuration's, else the policy's own; with its slots, its shots and its words.

use crate::config::RunConfig;
use crate::contract::Identity;
use crate::stage::policy_source::PolicySource;
use crate::stage::shots;
use anyhow::{Context as _, Result, bail};
use espalier_files::fingerprint;
use espalier_search::{About, Expansion, Policy, PolicyError, PolicyStats, Report, StepRequest, Wish, Wishes};
use espalier_task::{ChatWriter, Format, Granularity, Prompting, Task, Turn};
use espalier_tokenizer::{Message, Tokenizer};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What the error of a stored task names.
const STORED: &str = "espalier.json of the policy";

impl RunConfig {
    /// The task without slots, shots and words: what the configuration says, else what the policy was trained on (`own`),
    /// else `instruct`, `plan`.
    ///
    /// # Errors
    /// A file that is no task, and settings that do not go together.
    pub fn task_of(&self, own: Option<&Prompting>) -> Result<Task> {
        if let Some(path) = &self.task {
            if let Some(format) = self.format {
                bail!(
                    "task is {path:?} and format is {format}, but a policy is asked in one task; leave out one of them"
                );
            }
            return Ok(Task::load(Path::new(path), self.granularity)?);
        }
        let (own_format, own_granularity) = match own {
            Some(Prompting::BuiltIn { format, granularity }) => (Some(*format), Some(*granularity)),
            Some(stored @ Prompting::Own { .. }) if self.format.is_none() => {
                let task = stored.task(Path::new(STORED))?;
                if let Some(other) = self.granularity.filter(|asked| *asked != task.granularity()) {
                    bail!(
                        "granularity is {other}, but the policy's own task {} has steps of the kind {}; leave it out, or give \
                         --task or --format",
                        task.name(),
                        task.granularity()
                    );
                }
                return Ok(task);
            }
            Some(Prompting::Own { .. }) | None => (None, None),
        };
        Ok(Task::built_in(
            self.format.or(own_format).unwrap_or(Format::Instruct),
            self.granularity.or(own_granularity).unwrap_or(Granularity::Plan),
        ))
    }

    /// The task of a run's warm start, and of a policy that is made for it: as [`task_of`](Self::task_of), but `xml` where
    /// nothing is said.
    ///
    /// # Errors
    /// As [`task_of`](Self::task_of).
    pub fn task_of_start(&self, own: Option<&Prompting>) -> Result<Task> {
        let is_said = self.task.is_some() || matches!(own, Some(Prompting::Own { .. }));
        if is_said && self.format.is_none() {
            return self.task_of(own);
        }
        RunConfig { format: self.format.or(Some(Format::Xml)), ..self.clone() }.task_of(None)
    }
}

/// The task with what the configuration fills it with, in the words of a tokenizer's model.
///
/// # Errors
/// A slot that the task has not, shots that are not there, and a tokenizer without the chat template that it needs.
pub fn filled(task: &Task, config: &RunConfig, tokenizer: impl FnOnce() -> Result<Arc<Tokenizer>>) -> Result<Task> {
    let task = task.with_slots(&config.slots)?;
    let task = match (task.found_shots(), &config.shots) {
        (0, None) => task,
        (0, Some(folder)) => bail!("shots is {folder:?}, but the task {} shows no found paths", task.name()),
        (_, Some(folder)) => task.with_found(shots::found(Path::new(folder), config.seed)?)?,
        (count, None) => bail!(
            "the task {} shows {count} found paths; say with --shots DIR where the trees of an earlier search are",
            task.name()
        ),
    };
    if !task.is_chat() {
        return Ok(task);
    }
    let tokenizer = tokenizer()?;
    // What is missing is said before anything is asked.
    tokenizer.chat(&[Message::user("?")]).with_context(|| format!("the task {} is a conversation", task.name()))?;
    let write: ChatWriter = Arc::new(move |turns: &[Turn]| {
        let message = |turn: &Turn| Message { role: turn.role.to_owned(), content: turn.text.clone() };
        tokenizer.chat(&turns.iter().map(message).collect::<Vec<_>>()).map_err(|error| error.to_string())
    });
    Ok(task.speaking(write))
}

/// Adds the task to what decides a result.
///
/// # Errors
/// A prompt that cannot be made.
pub fn described(
    identity: Identity,
    task: &Task,
    tokenizer: impl FnOnce() -> Result<Arc<Tokenizer>>,
) -> Result<Identity> {
    if let Some((format, granularity)) = task.built_in_names() {
        let identity = identity.with("format", format.to_string()).with("granularity", granularity.to_string());
        // The words around a question: another wording is another search.
        return Ok(identity.input("prompts", fingerprint(&task.prompt_of("?")?)?));
    }
    let mut identity = identity.with("task", task.name()).input("task", fingerprint(&task.text())?);
    if task.found_shots() > 0 {
        identity = identity.input("shots", fingerprint(task.shots())?);
    }
    if task.is_chat() {
        identity = identity.input("chat template", fingerprint(&tokenizer()?.chat_source())?);
    }
    Ok(identity)
}

/// The tokens of a task's prompt, before which tokens are put only where the prompt has none itself.
///
/// # Errors
/// A text that the tokenizer does not take.
pub fn prompt_ids(task: &Task, tokenizer: &Tokenizer, prompt: &str) -> Result<Vec<u32>> {
    Ok(if task.is_chat() { tokenizer.encode(prompt)? } else { tokenizer.encode_prompt(prompt)? })
}

/// The policy as it is asked in a task.
///
/// # Errors
/// A tokenizer that cannot be loaded.
pub fn asked<'a>(
    policy: &'a mut (dyn Policy + 'static),
    source: &PolicySource,
    task: &Task,
) -> Result<Box<dyn Policy + 'a>> {
    let tokenizer = if task.is_chat() { Some(source.tokenizer()?) } else { None };
    Ok(Box::new(Asked { policy, tokenizer }))
}

/// A policy with the tokenizer of prompts that have all their special tokens in them, as the text of a conversation has;
/// without one for prompts that it puts its own before.
struct Asked<'a> {
    policy: &'a mut dyn Policy,
    tokenizer: Option<Arc<Tokenizer>>,
}

impl Policy for Asked<'_> {
    fn about(&self) -> About {
        self.policy.about()
    }

    fn stats(&self) -> PolicyStats {
        self.policy.stats()
    }

    fn tokenize(&self, prompt: &str) -> Result<Vec<u32>, PolicyError> {
        match &self.tokenizer {
            Some(tokenizer) => tokenizer.encode(prompt).map_err(PolicyError::new),
            None => self.policy.tokenize(prompt),
        }
    }

    fn submit(&mut self, request: StepRequest<'_>) -> Result<(), PolicyError> {
        self.policy.submit(request)
    }

    fn pending(&self) -> usize {
        self.policy.pending()
    }

    fn poll(&mut self) -> Result<Vec<Expansion>, PolicyError> {
        self.policy.poll()
    }

    fn poll_for(&mut self, at_most: Duration) -> Result<Vec<Expansion>, PolicyError> {
        self.policy.poll_for(at_most)
    }

    fn forget(&mut self, tree: u64) {
        self.policy.forget(tree);
    }

    fn can(&self, wish: Wish) -> bool {
        self.policy.can(wish)
    }

    fn submit_with(&mut self, request: StepRequest<'_>, wishes: &Wishes) -> Result<(), PolicyError> {
        self.policy.submit_with(request, wishes)
    }

    fn reports(&mut self) -> Vec<Report> {
        self.policy.reports()
    }

    fn cut_short(&mut self, ticket: u64) {
        self.policy.cut_short(ticket);
    }

    fn reclaim(&mut self, answer: Expansion) {
        self.policy.reclaim(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use espalier_settings::Choice;

    fn no_tokenizer() -> Result<Arc<Tokenizer>> {
        bail!("nobody speaks")
    }

    /// Outputs of before tasks were files are found to be the same stages: SHA-256 of the prompt of `?` as JSON.
    #[test]
    fn the_identities_of_the_built_in_tasks_stay_as_they_were() {
        let prompts = [
            "fd71b3078f097389d0d65936321b7c3282e8d088cda05be609c4383b2193da5f",
            "da66296e313f17ec8a6cc917932ba458f49ab626c0bb0172c45c6264ba15b3f6",
            "dcd979d8c530dd3837e08924b9d27a9c9197ce34fa871992ef4f6df4e094851c",
            "51f75e57990ccfd9fc4664b55c76197a48170881114d72da892e2217116ad64b",
        ];
        let names = Format::values().flat_map(|format| Granularity::values().map(move |one| (format, one)));
        for ((format, granularity), prompt) in names.zip(prompts) {
            let config = RunConfig { format: Some(format), granularity: Some(granularity), ..RunConfig::default() };
            let task = filled(&config.task_of(None).unwrap(), &config, no_tokenizer).unwrap();
            let old = Identity::new("search", 2)
                .with("format", format.name())
                .with("granularity", granularity.name())
                .input("prompts", prompt.to_owned());
            assert_eq!(described(Identity::new("search", 2), &task, no_tokenizer).unwrap(), old);
        }
    }

    #[test]
    fn the_configuration_wins_over_the_policy_and_the_policy_over_the_default() {
        let xml = Prompting::BuiltIn { format: Format::Xml, granularity: Granularity::Step };
        let own = Prompting::Own { task: "name = 'mine'\nprompt = '{{ question }}'\n[step]\nend = ';'".to_owned() };
        let of = |format, granularity, own| {
            let config = RunConfig { format, granularity, ..RunConfig::default() };
            let named = |task: Task| format!("{} {}", task.name(), task.granularity());
            let of_start = config.task_of_start(own).map(named).map_err(|error| error.to_string());
            (config.task_of(own).map(named).map_err(|error| error.to_string()), of_start)
        };
        let both = |name: &str, start: &str| (Ok(name.to_owned()), Ok(start.to_owned()));
        assert_eq!(of(None, None, None), both("instruct plan", "xml plan"));
        // A warm start is in xml whatever the policy was trained on, as it ever was, but for a task of its own.
        assert_eq!(of(None, None, Some(&xml)), both("xml step", "xml plan"));
        assert_eq!(of(None, Some(Granularity::Plan), Some(&xml)), both("xml plan", "xml plan"));
        assert_eq!(of(Some(Format::Instruct), None, Some(&xml)), both("instruct step", "instruct plan"));
        assert_eq!(of(None, None, Some(&own)), both("mine step", "mine step"));
        assert_eq!(of(Some(Format::Xml), None, Some(&own)), both("xml plan", "xml plan"));
        let (error, _) = of(None, Some(Granularity::Plan), Some(&own));
        assert!(
            error
                .unwrap_err()
                .starts_with("granularity is plan, but the policy's own task mine has steps of the kind step")
        );
    }

    #[test]
    fn what_a_task_shows_and_is_filled_with_decides_its_stages() {
        let text = "prompt = '{{ slots.a }}{{ question }}'\n[slots]\na = ''\n[step]\nend = ';'";
        let task = Task::parse("mine.toml", text, None, Path::new("")).unwrap();
        let identity = |a: &str| {
            let config = RunConfig { slots: [("a".to_owned(), a.to_owned())].into(), ..RunConfig::default() };
            described(Identity::new("search", 1), &filled(&task, &config, no_tokenizer).unwrap(), no_tokenizer).unwrap()
        };
        assert_eq!(identity("x").inputs["task"], fingerprint(&identity_text(&task, "x")).unwrap());
        assert_ne!(identity("x"), identity("y"));
        let config = RunConfig { slots: [("b".to_owned(), String::new())].into(), ..RunConfig::default() };
        assert!(filled(&task, &config, no_tokenizer).unwrap_err().to_string().contains("no slot \"b\"; it has a"));
        let config = RunConfig { shots: Some("trees".into()), ..RunConfig::default() };
        assert!(filled(&task, &config, no_tokenizer).unwrap_err().to_string().contains("shows no found paths"));
        let found =
            Task::parse("f.toml", &format!("shots = {{ from = 'found', count = 1 }}\n{text}"), None, Path::new(""));
        let error = filled(&found.unwrap(), &RunConfig::default(), no_tokenizer).unwrap_err().to_string();
        assert!(error.contains("the task f shows 1 found paths; say with --shots DIR"), "{error}");
    }

    fn identity_text(task: &Task, a: &str) -> String {
        task.with_slots(&[("a".to_owned(), a.to_owned())].into()).unwrap().text()
    }
}
