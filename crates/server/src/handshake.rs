//! What a server is and can do, before it is trusted with a run.
//!
//! A few greedy tokens of one prompt tell whether the server takes ids, which tokens it lists, whether its tokenizer is
//! the one given, and whether its log-probabilities are the model's own: those of the distribution at a temperature would
//! make wrong priors and, silently, wrong losses.

use crate::call::{Caller, Failure};
use crate::candidate::{Dialect, Model, checked};
use crate::error::ServerError;
use crate::tokens::{Tokens, Unreadable};
use crate::wire::{self, Ask, Completion, Models, Prompt};
use std::time::{Duration, Instant};

const PROBE: &str = "Once upon a time there was a little";
const PROBE_TOKENS: usize = 12;
/// The temperature of the second look at the same tokens.
const TEMPERATURE: f32 = 0.5;
/// Log-probabilities of one token that differ by more (nats, or this share) are not those of the same distribution;
/// bfloat16 and other batches make differences of some hundredths.
const TOLERANCE: f32 = 0.15;

/// What the servers said of themselves.
#[derive(Debug)]
pub(crate) struct Found {
    pub model: String,
    /// Longest prefix and continuation together.
    pub context: Option<usize>,
}

/// The model's name and context, as one server lists them. `wanted` is the name that the user gave.
pub(crate) fn find_model(caller: &Caller, url: &str, wanted: Option<&str>) -> Result<Found, Failure> {
    let listed = match caller.get(&format!("{url}/models")) {
        Ok(body) => read_models(&body)?,
        // Some servers of one model have no list.
        Err(Failure::Fatal(problem)) if problem.starts_with("404") => match wanted {
            Some(_) => Vec::new(),
            None => return Err(Failure::Fatal(format!("{problem}; name the model: {url}#MODEL"))),
        },
        Err(failure) => return Err(failure),
    };
    choose_model(&listed, url, wanted)
}

/// The models of a body.
pub(crate) fn read_models(body: &[u8]) -> Result<Vec<wire::Model>, Failure> {
    let models = serde_json::from_slice::<Models>(body);
    Ok(models.map_err(|error| Failure::passing(format!("its list of models cannot be read: {error}")))?.data)
}

/// The model that is wanted, or the only one there is.
pub(crate) fn choose_model(listed: &[wire::Model], url: &str, wanted: Option<&str>) -> Result<Found, Failure> {
    let names = || listed.iter().map(|model| model.id.as_str()).collect::<Vec<_>>().join(", ");
    let found = match wanted {
        Some(wanted) => listed.iter().find(|model| model.id == wanted),
        None => match listed {
            [one] => Some(one),
            _ => {
                return Err(Failure::Fatal(format!(
                    "it has {} models; name one: {url}#MODEL ({})",
                    listed.len(),
                    names()
                )));
            }
        },
    };
    match (found, wanted) {
        (Some(model), _) => Ok(Found { model: model.id.clone(), context: model.context() }),
        (None, Some(wanted)) if listed.is_empty() => Ok(Found { model: wanted.to_owned(), context: None }),
        (None, wanted) => {
            Err(Failure::Fatal(format!("it has no model {:?}, but {}", wanted.unwrap_or_default(), names())))
        }
    }
}

/// Finds out the dialect of one server.
pub(crate) fn find_dialect(caller: &Caller, url: &str, model: &mut Model) -> Result<Dialect, Failure> {
    let ids = model.tokenizer.encode_prompt(PROBE).map_err(|error| Failure::Fatal(error.to_string()))?;
    let mut probe = Probe { caller, url, model, ids };
    let first = probe.first()?;
    let tokens = probe.tokens(&first)?;
    probe.check_tokenizer(&first, &tokens)?;
    probe.check_temperature(&tokens)?;
    probe.model.dialect.lists_stops = probe.lists_stops(&tokens)?;
    Ok(probe.model.dialect)
}

struct Probe<'a> {
    caller: &'a Caller,
    url: &'a str,
    model: &'a mut Model,
    ids: Vec<u32>,
}

impl Probe<'_> {
    /// The greedy continuation, in the richest form that the server takes.
    fn first(&mut self) -> Result<Completion, Failure> {
        let mut refused = None;
        for (takes_ids, takes_extras) in [(true, true), (false, true), (true, false), (false, false)] {
            self.model.dialect = Dialect { takes_ids, takes_extras, lists_stops: true };
            match self.ask(0.0, &[]) {
                // The first refusal is of the form that servers mostly know, so it says most.
                Err(Failure::Refused(problem)) => refused = refused.or(Some(problem)),
                answer => return answer,
            }
        }
        Err(Failure::Fatal(format!("it refuses completions: {}", refused.unwrap_or_default())))
    }

    fn ask(&self, temperature: f32, stop: &[String]) -> Result<Completion, Failure> {
        let prompt: Prompt = self.model.prompt(&self.ids);
        let mut extras = self.model.extras(self.ids.len() + PROBE_TOKENS);
        if let Some(extras) = &mut extras {
            // The likeliest token at any temperature.
            extras.top_k = if temperature > 0.0 { 1 } else { self.model.tokenizer.vocab_size() };
            (extras.min_p, extras.repetition_penalty, extras.repeat_penalty) = (0.0, 1.0, 1.0);
        }
        let ask = Ask {
            model: &self.model.name,
            prompt: &prompt,
            n: 1,
            max_tokens: PROBE_TOKENS,
            temperature,
            top_p: 1.0,
            seed: 0,
            logprobs: 1,
            stop,
            extras,
        };
        complete(self.caller, self.url, &ask)
    }

    fn tokens(&self, answer: &Completion) -> Result<Tokens, Failure> {
        self.model.reader.read(&answer.choices[0], &[]).map_err(|unreadable| match unreadable {
            Unreadable::Malformed(problem) => Failure::Fatal(problem),
            Unreadable::Ambiguous(problem) => Failure::Fatal(format!("{problem}; {}", self.other_tokenizer())),
        })
    }

    fn other_tokenizer(&self) -> String {
        format!("the tokenizer given does not seem to be that of {:?}", self.model.name)
    }

    fn check_tokenizer(&self, answer: &Completion, tokens: &Tokens) -> Result<(), Failure> {
        let counted = answer.usage.as_ref().and_then(|usage| usage.prompt_tokens);
        if let Some(counted) = counted.filter(|&counted| counted != self.ids.len()) {
            return Err(Failure::Fatal(format!(
                "it reads {PROBE:?} as {counted} tokens, the tokenizer given as {}; {}",
                self.ids.len(),
                self.other_tokenizer()
            )));
        }
        let ends = self.model.tokenizer.eos_ids();
        let ids: Vec<u32> = tokens.ids.iter().copied().filter(|id| !ends.contains(id)).collect();
        let (ours, theirs) = (self.model.tokenizer.decode(&ids), &answer.choices[0].text);
        let plain = |text: &str| text.replace(char::REPLACEMENT_CHARACTER, "").trim().to_owned();
        let ends: String = self.model.tokenizer.decode(&tokens.ids[ids.len()..]);
        if plain(&ours) != plain(theirs) && plain(&format!("{ours}{ends}")) != plain(theirs) {
            return Err(Failure::Fatal(format!(
                "it writes its tokens as {theirs:?}, the tokenizer given as {ours:?}; {}",
                self.other_tokenizer()
            )));
        }
        Ok(())
    }

    /// The same tokens at another temperature must have the same log-probabilities.
    fn check_temperature(&self, tokens: &Tokens) -> Result<(), Failure> {
        let again = self.tokens(&self.ask(TEMPERATURE, &[])?)?;
        let same = tokens.ids.iter().zip(&again.ids).take_while(|(a, b)| a == b).count();
        let pairs = tokens.logprobs[..same].iter().zip(&again.logprobs);
        let differs = |&(&a, &b): &(&f32, &f32)| (a - b).abs() > TOLERANCE * a.abs().max(1.0);
        match pairs.clone().find(differs) {
            Some((a, b)) => Err(Failure::Fatal(format!(
                "its log-probabilities change with the temperature ({a} at 1, {b} at {TEMPERATURE}), but must be those \
                 of the model itself (SGLang: set SGLANG_RETURN_ORIGINAL_LOGPROB=1; vLLM: --logprobs-mode raw_logprobs)"
            ))),
            None => Ok(()),
        }
    }

    /// Whether the tokens of a stop string are listed: one that lies within the greedy continuation is set.
    fn lists_stops(&self, tokens: &Tokens) -> Result<bool, Failure> {
        let texts = tokens.ids.iter().map(|&id| self.model.tokenizer.decode(&[id]).trim().to_owned());
        let Some(stop) = texts.skip(1).find(|text| text.chars().any(char::is_alphanumeric) && text.is_ascii()) else {
            return Ok(false);
        };
        let stops = [stop];
        let stopped = self.ask(0.0, &stops)?;
        match self.model.reader.read(&stopped.choices[0], &stops) {
            Ok(listed) => Ok(self.model.tokenizer.decode(&listed.ids).contains(&stops[0])),
            Err(_) => Ok(false),
        }
    }
}

/// Whether a server answers a request that cannot be what it fails at.
pub(crate) fn is_well(caller: &Caller, url: &str, model: &Model) -> bool {
    let Ok(ids) = model.tokenizer.encode_prompt(PROBE) else { return false };
    let ask = Ask {
        model: &model.name,
        prompt: &model.prompt(&ids),
        n: 1,
        max_tokens: 1,
        temperature: 0.0,
        top_p: 1.0,
        seed: 0,
        logprobs: 1,
        stop: &[],
        extras: model.extras(ids.len() + 1),
    };
    complete(caller, url, &ask).is_ok()
}

/// Sends a body once.
pub(crate) fn complete(caller: &Caller, url: &str, ask: &Ask) -> Result<Completion, Failure> {
    let body = serde_json::to_vec(ask).map_err(|error| Failure::Fatal(error.to_string()))?;
    read_completion(&caller.post(&format!("{url}/completions"), &body)?)
}

/// The answer of a body.
pub(crate) fn read_completion(body: &[u8]) -> Result<Completion, Failure> {
    let answer = serde_json::from_slice(body)
        .map_err(|error| Failure::passing(format!("its answer is not what it should be: {error}")))?;
    checked(answer)
}

/// Calls `find` for every server until one answers and all have been asked, or until patience ends. `None` for servers
/// that are away.
pub(crate) fn meet<T>(
    urls: &[String],
    patience: Duration,
    notice: &dyn Fn(&str),
    mut find: impl FnMut(&str) -> Result<T, Failure>,
) -> Result<Vec<Option<T>>, ServerError> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(100);
    loop {
        let mut found = Vec::new();
        let mut away = Vec::new();
        for url in urls {
            match find(url) {
                Ok(one) => found.push(Some(one)),
                Err(Failure::Passing { problem, .. } | Failure::Unusable(problem)) => {
                    found.push(None);
                    away.push(format!("{url}: {problem}"));
                }
                Err(failure) => {
                    return Err(ServerError::Server { url: url.clone(), problem: failure.problem().to_owned() });
                }
            }
        }
        let away = away.join("; ");
        if found.iter().any(Option::is_some) {
            if !away.is_empty() {
                notice(&format!("{away}; starting without"));
            }
            return Ok(found);
        }
        if began.elapsed() + pause > patience {
            return Err(ServerError::Unreachable(away));
        }
        if pause == Duration::from_millis(100) {
            notice(&format!("{away}; trying again for {} s", patience.as_secs()));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_secs(2));
    }
}
