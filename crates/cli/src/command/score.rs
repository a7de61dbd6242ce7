//! `mcts-gen score`: how likely a policy finds given completions, for people and for checks.

use super::config_args::{ConfigArgs, Keys};
use super::flag::Group;
use super::keys::RUNTIME;
use super::print_line;
use crate::exit::Outcome;
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use espalier_policy::{ModelPolicyError, Scoring, score};
use espalier_rounds::stage::policy_folder::PolicyFolder;
use espalier_tokenizer::Tokenizer;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Texts between two prints.
const BATCH: usize = 32;

/// Flags of `mcts-gen score`.
#[derive(Args)]
pub struct ScoreArgs {
    /// The policy: a Hugging Face model folder
    #[arg(long, value_name = "DIR")]
    policy: PathBuf,
    /// JSON Lines with "prompt" and "completion"; token ids may stand in their places as "prompt_ids" and "token_ids"
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    #[command(flatten)]
    config: ConfigArgs<ScoreArgs>,
}

impl Keys for ScoreArgs {
    const FLAGS: &'static [Group] = &[RUNTIME];
}

/// One line of the input. Other fields, such as those that `complete` writes, are left alone.
#[derive(Deserialize)]
struct Request {
    prompt: Option<String>,
    prompt_ids: Option<Vec<u32>>,
    completion: Option<String>,
    token_ids: Option<Vec<u32>>,
}

/// One line of the output.
#[derive(Serialize)]
struct Line<'a> {
    token_ids: &'a [u32],
    /// Natural, in nats.
    logprobs: Vec<f32>,
    /// Of the state at the last token.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f32>,
}

/// Runs the command.
pub fn run(args: &ScoreArgs) -> Result<Outcome> {
    let config = args.config.resolve()?;
    let folder = PolicyFolder::open(&args.policy)?;
    let requests = read_requests(&args.input)?;
    let (model, tokenizer) = folder.load(&config)?;
    let mut texts = Vec::with_capacity(requests.len());
    for (line, request) in &requests {
        let at = || format!("{}:{line}", args.input.display());
        let text = tokenize(request, &tokenizer).with_context(at)?;
        let context = model.config().max_position_embeddings;
        if text.ids.len() > context {
            bail!("{}: {} tokens are more than the model's context of {context}", at(), text.ids.len());
        }
        texts.push(text);
    }
    let mut out = std::io::stdout().lock();
    for (batch, lines) in texts.chunks(BATCH).zip(requests.chunks(BATCH)) {
        let scored = score(&model, batch).map_err(|error| match &error {
            ModelPolicyError::Text { index, problem } => {
                anyhow!("{}:{}: {problem}", args.input.display(), lines[*index].0)
            }
            _ => error.into(),
        })?;
        for (text, scored) in batch.iter().zip(scored) {
            let token_ids = &text.ids[text.prompt_len..];
            print_line(&mut out, &Line { token_ids, logprobs: scored.logprobs, value: scored.value })?;
        }
    }
    Ok(Outcome::Clean)
}

/// The requests with the numbers of their lines, from 1; empty lines are skipped.
fn read_requests(path: &Path) -> Result<Vec<(usize, Request)>> {
    let text = espalier_files::read_stream_text(path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = espalier_files::without_mark(&text);
    let mut requests = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let request = serde_json::from_str(line);
        requests.push((number, request.with_context(|| format!("{}:{number}", path.display()))?));
    }
    if requests.is_empty() {
        bail!("{} holds nothing to score", path.display());
    }
    Ok(requests)
}

fn tokenize(request: &Request, tokenizer: &Tokenizer) -> Result<Scoring> {
    let mut ids = match (&request.prompt_ids, &request.prompt) {
        (Some(ids), _) => ids.clone(),
        (None, Some(prompt)) => tokenizer.encode_prompt(prompt)?,
        (None, None) => bail!("there is neither prompt nor prompt_ids"),
    };
    let prompt_len = ids.len();
    match (&request.token_ids, &request.completion) {
        (Some(given), _) => ids.extend(given),
        (None, Some(completion)) => {
            let prompt = match &request.prompt {
                Some(prompt) if request.prompt_ids.is_none() => prompt.clone(),
                _ => tokenizer.decode(&ids),
            };
            ids.extend(tokenizer.encode_after(&prompt, &ids, completion)?);
        }
        (None, None) => bail!("there is neither completion nor token_ids"),
    }
    Ok(Scoring { ids, prompt_len })
}
