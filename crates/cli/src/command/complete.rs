//! `mcts-gen complete`: continuations of one prompt, for people and for checks.

use super::config_args::{ConfigArgs, Keys};
use super::flag::Group;
use super::keys::{RUNTIME, SAMPLING, SEED};
use super::policy_flags::PolicyFlags;
use super::{number, print_line};
use crate::exit::Outcome;
use anyhow::{Context, Result, bail};
use clap::Args;
use espalier_files::read_stream_text;
use espalier_search::{Candidate, Finish, StepRequest, Stops, Unit, ask_all, last_stop};
use espalier_tokenizer::Message;
use serde::Serialize;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Flags of `mcts-gen complete`.
#[derive(Args)]
pub struct CompleteArgs {
    #[command(flatten)]
    policy: PolicyFlags,
    /// The prompt, as it stands to the last byte; - reads the standard input
    #[arg(long, value_name = "FILE")]
    prompt_file: PathBuf,
    /// Put the prompt as a user's message into the policy's chat template
    #[arg(long)]
    chat: bool,
    /// Samples
    #[arg(short = 'n', value_name = "K", default_value_t = 1)]
    samples: usize,
    /// Most tokens of a sample
    #[arg(long, value_name = "N", default_value_t = 256)]
    max_tokens: usize,
    /// Sampling temperature, before which log-probabilities are taken
    #[arg(long, default_value_t = 1.0, value_parser = number::<f32>)]
    temperature: f32,
    /// Take the likeliest token at every place: temperature 0
    #[arg(long, conflicts_with = "temperature")]
    greedy: bool,
    /// End a sample after this text; may be given several times. The token that it ends in is listed whole
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    #[command(flatten)]
    config: ConfigArgs<CompleteArgs>,
}

impl Keys for CompleteArgs {
    const FLAGS: &'static [Group] = &[SEED, SAMPLING, RUNTIME];
}

/// One line of the output.
#[derive(Serialize)]
struct Line {
    text: String,
    token_ids: Vec<u32>,
    /// Natural, before temperature.
    logprobs: Vec<f32>,
    /// `stop`, at a stop string or the end-of-text token, or `length`.
    ending: &'static str,
}

/// Runs the command.
pub fn run(args: &CompleteArgs) -> Result<Outcome> {
    let config = args.config.resolve()?;
    for (flag, value) in [("-n", args.samples), ("--max-tokens", args.max_tokens)] {
        if value == 0 {
            bail!("{flag} is 0, but must be at least 1");
        }
    }
    let temperature = if args.greedy { 0.0 } else { args.temperature };
    let source = args.policy.source()?;
    let prompt = read_prompt(&args.prompt_file)?;
    let tokenizer = source.tokenizer()?;
    let prefix_ids = if args.chat {
        tokenizer.encode(&tokenizer.chat(&[Message::user(prompt)])?)?
    } else {
        tokenizer.encode_prompt(&prompt)?
    };
    let tokens = prefix_ids.len();
    if tokens == 0 {
        bail!("the prompt {} is empty; there is nothing to continue", args.prompt_file.display());
    }
    let mut opened = source.open(&config, crate::session::print_notice)?;
    let request = StepRequest {
        ticket: 0,
        tree: 0,
        step_ends: vec![tokens as u32].into(),
        prefix_ids: prefix_ids.into(),
        k: args.samples,
        max_tokens: args.max_tokens,
        unit: Unit::Path,
        stops: Cow::Owned(Stops { path: args.stop.clone().into(), ..Stops::default() }),
        temperature,
        seed: config.seed,
        want_value: false,
    };
    let mut out = std::io::stdout().lock();
    let mut samples = 0;
    ask_all(opened.policy()?, [request], |_, answer| {
        for candidate in answer?.candidates {
            samples += 1;
            let ending = match candidate.finish {
                Finish::Stop => "stop",
                Finish::Length => "length",
            };
            let Candidate { mut text, token_ids, logprobs, .. } = candidate;
            // The tokens stay whole; people are shown the text up to the stop that they asked for.
            text.truncate(last_stop(&text, &args.stop).unwrap_or(text.len()));
            print_line(&mut out, &Line { text, token_ids, logprobs, ending })?;
        }
        anyhow::Ok(())
    })?;
    let full = || opened.about().max_context_tokens.filter(|&context| tokens >= context);
    if samples == 0
        && let Some(context) = full()
    {
        bail!("the prompt has {tokens} tokens, which leaves nothing of the model's context of {context}");
    }
    Ok(Outcome::Clean)
}

fn read_prompt(path: &Path) -> Result<String> {
    if path == Path::new("-") {
        return std::io::read_to_string(std::io::stdin()).context("cannot read the prompt from the standard input");
    }
    read_stream_text(path).with_context(|| format!("cannot read the prompt {}", path.display()))
}
