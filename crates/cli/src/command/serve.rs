//! `mcts-gen serve`: a policy behind OpenAI's API, for clients and for other machines of ours.

use super::config_args::{ConfigArgs, Keys};
use super::flag::{Group, flag, group};
use super::keys::{COMMON, RUNTIME_OF_SEARCH, SAMPLING};
use super::policy_flags::PolicyFlags;
use crate::exit::{Outcome, print_result};
use anyhow::{Context, Result, bail};
use clap::Args;
use espalier_eval::Solving;
use espalier_rounds::config::RunConfig;
use espalier_rounds::stage::policy_source::PolicySource;
use espalier_rounds::stage::search::settings;
use espalier_rounds::stage::tasks::asked;
use espalier_search::{Evaluation, Policy, SearchConfig, StopWhen};
use espalier_server::serve::{Found, Question, Searcher, ServeConfig, Server};
use espalier_task::Task;
use espalier_tokenizer::Message;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The environment variable that holds the key of clients.
const API_KEY: &str = "ESPALIER_API_KEY";

/// Flags of `mcts-gen serve`.
#[derive(Args)]
pub struct ServeArgs {
    #[command(flatten)]
    policy: PolicyFlags,
    /// The address to listen at; one that other machines reach wants a key
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    host: IpAddr,
    /// The port; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 8000)]
    port: u16,
    /// What clients have to send as bearer token; the environment variable ESPALIER_API_KEY does not show it to others
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// The model's name for clients [default: the folder's]
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Requests taken in at a time; those beyond are told to come again
    #[arg(long, value_name = "N", default_value_t = 256)]
    queue: usize,
    /// Answer chat by a tree search of the policy's task, led by the value head, which sees no reference
    #[arg(long)]
    search: bool,
    /// With --search: most tokens sampled for one answer; a request may ask for fewer (search_tokens)
    #[arg(long, value_name = "N", default_value_t = 4096, requires = "search", value_parser = clap::value_parser!(u64).range(1..))]
    search_tokens: u64,
    #[command(flatten)]
    config: ConfigArgs<ServeArgs>,
}

impl Keys for ServeArgs {
    const FLAGS: &'static [Group] = &[
        COMMON,
        RUNTIME_OF_SEARCH,
        SAMPLING,
        group(
            "search",
            &[
                flag("strategy"),
                flag("simulations"),
                flag("c_puct"),
                flag("k"),
                flag("k_root"),
                flag("temperature"),
                flag("max_step_tokens"),
                flag("max_depth"),
                flag("evaluation"),
            ],
        ),
    ];
}

/// Runs the command until it is stopped.
pub fn run(args: &ServeArgs) -> Result<Outcome> {
    let config = args.config.resolve()?;
    let source = args.policy.source()?;
    let tokenizer = source.tokenizer()?;
    let key = args.api_key.clone().or_else(|| std::env::var(API_KEY).ok().filter(|key| !key.trim().is_empty()));
    let searcher: Option<Arc<dyn Searcher>> = if args.search {
        if let Evaluation::Outside(outside) = &config.search.evaluation {
            bail!(
                "--evaluation is {outside}, but a server searches with the values of its own policy; take value_head, rollouts:N or zero"
            );
        }
        let task = source.task(&config)?;
        Some(Arc::new(TaskSearcher {
            source: source.clone(),
            task,
            config: config.clone(),
            tokens: args.search_tokens,
        }))
    } else {
        None
    };
    // Before the policy is loaded, which takes long.
    let server = Server::bind(ServeConfig {
        address: SocketAddr::new(args.host, args.port),
        api_key: key,
        sampling: config.sampling.clone(),
        max_requests: args.queue,
        max_searches: config.runtime.in_flight,
        stops_on_signals: true,
        ..ServeConfig::new(args.name.clone().unwrap_or_else(|| source.name()))
    })?;
    let mut opened = source.open(&config, crate::session::print_notice)?;
    let policy = opened.policy()?;
    // Only now: who reads this may end it at once.
    let server = server.when_ready(|address| print_result(format_args!("serving at http://{address}/v1\n")));
    server.run(policy, tokenizer, searcher).context("the server has ended")?;
    Ok(Outcome::Clean)
}

/// Answers the last message of a conversation as a problem of the policy's task.
struct TaskSearcher {
    source: PolicySource,
    task: Task,
    config: RunConfig,
    tokens: u64,
}

impl Searcher for TaskSearcher {
    fn answer(&self, question: &Question, policy: &mut (dyn Policy + 'static)) -> Result<Found, String> {
        let message = question.messages.last().ok_or("there is no question")?;
        let own = settings(&self.config, &self.task, policy.about().has_value_head);
        let search = SearchConfig {
            temperature: question.temperature.unwrap_or(own.temperature),
            max_step_tokens: question.max_tokens.map_or(own.max_step_tokens, |most| most.min(own.max_step_tokens)),
            stop_when: StopWhen { sampled_tokens: Some(question.search_tokens), ..own.stop_when },
            ..own.clone()
        };
        let solving = Solving { task: &self.task, search, tree: question.tree, seed: question.seed };
        let mut policy = asked(policy, &self.source, &self.task).map_err(|error| format!("{error:#}"))?;
        let prompt = self.task.prompt_of(&message.content).map_err(|error| error.to_string())?;
        let prompt_tokens = policy.tokenize(&prompt).map_err(|error| error.reason())?.len();
        let solved = solving.solve(&message.content, &mut *policy)?;
        let Some(chosen) = solved.chosen else {
            return Err(format!(
                "the search has found no solution in {} tokens; allow more (search_tokens)",
                solved.sampled_tokens
            ));
        };
        let tokens = chosen.tokens as usize;
        Ok(Found { text: chosen.text, tokens, sampled_tokens: solved.sampled_tokens, prompt_tokens })
    }

    fn refuses(&self, messages: &[Message]) -> Option<String> {
        match messages {
            [one] if one.role == "user" => None,
            [one] => Some(format!("has one of the role {:?}, but a search answers a user's question", one.role)),
            several => Some(format!("has {} messages, but a search answers one, the user's question", several.len())),
        }
    }

    fn max_tokens(&self) -> u64 {
        self.tokens
    }
}
