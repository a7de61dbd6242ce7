//! The search stage: problems and a policy in, a folder of tree shards out.

use crate::config::RunConfig;
use crate::context::Context;
use crate::contract::{self, Begun, Identity, Place};
use crate::judging::{self, Judging};
use crate::stage::policy_source::PolicySource;
use crate::stage::shards::is_part;
use crate::stage::shards::{Shards, resume_folder};
use crate::stage::starts::Starts;
use crate::stage::tasks::{asked, described};
use crate::stage::values::{Searched, Values};
use anyhow::{Context as _, Result};
use espalier_eval::{Diagnosis, stops};
use espalier_files::{fingerprint, seed_from};
use espalier_search::{
    Evaluation, SearchConfig, SearchError, SearchEvent, SearchSummary, ServerStats, TreeJob, search_with_events,
};
use espalier_task::{Problem, Task};
use espalier_tree::{ShardInfo, TreeInfo};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::path::Path;

/// What is searched, and where the trees go.
pub struct Search<'a> {
    /// The problems, in order.
    pub problems: &'a [Problem],
    /// The policy.
    pub policy: &'a PolicySource,
    /// The round, for the trees' seeds and rows.
    pub round: u32,
    /// The folder of the shards.
    pub out: &'a Path,
}

/// Raised when equal settings, problems and policies give other trees than before: changes of the search, the judge or the
/// seeds, or the last bits of what a model computes.
const RULES: u32 = 2;

/// `trees/manifest.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SearchManifest {
    /// Trees stored.
    pub trees: u64,
    /// Nodes in them.
    pub nodes: u64,
    /// Simulations run.
    pub simulations: u64,
    /// Tokens sampled into the trees (duplicates of siblings not counted).
    pub tree_tokens: u64,
    /// Tokens sampled by this process, merged duplicates and cut texts included.
    pub sampled_tokens: u64,
    /// Tokens run through the model by this process.
    pub forwarded_tokens: u64,
    /// Tokens in the trees that this process finished: the prompt's and every node's, each once.
    #[serde(default)]
    pub finished_tokens: u64,
    /// Cached states dropped to keep within the memory budget, whose tokens were run again where they were needed.
    #[serde(default)]
    pub evictions: u64,
    /// What this process asked of servers, where they are the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers: Option<ServerStats>,
    /// Trees with at least one correct path.
    pub solved: u64,
    /// Problems without a tree, with the reason.
    pub skipped: Vec<Skipped>,
    /// Solutions of which no judge could speak.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unverified: u64,
    /// Where no tree has a solution that is correct or may be: the endings counted, the likeliest cause, and what to change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnosis: Vec<String>,
    /// Seconds of all processes that worked on it.
    pub wall_s: f64,
    /// Where those of the last one went while trees were searched.
    #[serde(default)]
    pub search: SearchTime,
}

/// Where the time of a search went, without the reading of models and stored trees.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct SearchTime {
    /// Seconds of the search.
    pub wall_s: f64,
    /// Of them in the policy.
    pub policy_s: f64,
    /// In storing finished trees.
    pub store_s: f64,
    /// Waiting for judges that take time, while the policy had nothing to do.
    #[serde(default)]
    pub judge_s: f64,
    /// In everything else: selection, expansion, backing up, scheduling, and judges that take none.
    pub engine_s: f64,
}

impl From<&SearchSummary> for SearchTime {
    fn from(summary: &SearchSummary) -> SearchTime {
        let SearchSummary { wall_s, policy_s, judge_s, store_s, .. } = *summary;
        SearchTime { wall_s, policy_s, store_s, judge_s, engine_s: summary.engine_s() }
    }
}

impl SearchManifest {
    fn in_a_line(&self) -> String {
        let SearchManifest { trees, solved, nodes, tree_tokens, wall_s, .. } = self;
        format!("{trees} trees, {solved} solved, {nodes} nodes, {tree_tokens} tokens in {wall_s:.1} s")
    }

    /// Tokens run through the model for each token in the trees, of what this process did: about 1, since nothing is
    /// computed twice; less where equal siblings were merged, more where states were evicted or trees given up. `None`
    /// if it finished no tree, or servers ran the model.
    pub fn forwarded_per_token(&self) -> Option<f64> {
        (self.finished_tokens > 0 && self.servers.is_none())
            .then(|| self.forwarded_tokens as f64 / self.finished_tokens as f64)
    }
}

/// A problem that could not be searched.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Skipped {
    /// The problem's id.
    pub problem_id: String,
    /// Why it was skipped.
    pub reason: String,
}

impl Search<'_> {
    /// What the tree of a problem is told of it.
    fn tree_info(&self, config: &RunConfig, index: u64) -> TreeInfo {
        let problem = &self.problems[index as usize];
        TreeInfo {
            run_id: config.name.clone(),
            round: self.round,
            problem_id: problem.id.clone(),
            question: problem.question.clone(),
            reference_answer: problem.answer.clone(),
            tree_seed: seed_from(&[&config.seed, &self.round, &problem.id, &index]),
        }
    }
}

/// Searches all problems that have no tree yet and publishes the shards.
pub fn run(search: &Search, context: &Context) -> Result<SearchManifest> {
    let config = context.config;
    let task = search.policy.task(config)?;
    let values = Values::look(config, search.policy)?;
    let starts = Starts::draw(&config.starts, search.problems, &task, config.seed, search.round)?;
    let judging =
        Judging::open(&config.judging, &task, search.problems, context.notice)?.behind(search.problems, &starts);
    let mut opened = search.policy.open(config, context.notice)?;
    let about = opened.about().clone();
    let settings = settings(config, &task, about.has_value_head);
    let identity = identity(search, config, &settings, &task, about.policy_hash.clone())?;
    let identity = starts.identify(values.identify(identity, config)?, &config.starts)?;
    let resume = resume_folder(search.out);
    let place = Place::folder(search.out, is_part, std::slice::from_ref(&resume));
    let mut work = match contract::begin(place, identity, context)? {
        Begun::Done(done) => return Ok(done),
        Begun::Work(work) => work,
    };

    let info = ShardInfo {
        config: toml::to_string(&config.deciding()?).context("cannot encode the configuration")?,
        policy_hash: about.policy_hash,
        program_version: context.program.version.clone(),
        git_revision: context.program.revision.clone(),
        judges: judging.panel().map(|panel| panel.names().to_vec()).unwrap_or_default(),
    };
    let mut shards = Shards::open(search.out, info, config.storage.shard_trees, search.problems.len())?;
    let total = search.problems.len() as u64;
    let already = shards.finished();
    let todo: Vec<u64> = (0..total).filter(|&index| !shards.has(index)).collect();
    let tree_info = |index: u64| search.tree_info(config, index);
    let start = |index: u64| starts.steps(index as usize).concat();
    // A prompt that cannot be made is its problem's fault alone.
    let unasked = RefCell::new(Vec::new());
    let jobs = todo.iter().filter_map(|&index| {
        let problem = &search.problems[index as usize];
        let prompt = task.prompt(problem).map_err(|error| unasked.borrow_mut().push((index, error.to_string())));
        let prompt = prompt.ok()? + &start(index);
        Some(TreeJob { index, info: tree_info(index), prompt })
    });

    context.observer.began(&format!("round {}: search", search.round), total);
    context.observer.advanced(already, total, "");
    let mut done = already;
    let mut finished_tokens = 0;
    let (stops, in_flight) = (stops(&task), config.runtime.in_flight);
    let searched = Searched { info: &tree_info, start: &start, judge: Some(judging.judge()) };
    let sources = values.open(searched, search.policy, config, context.notice)?;
    let mut policy = asked(opened.policy()?, search.policy, &task)?;
    let on_event = |event: SearchEvent| {
        let stored = match event {
            SearchEvent::Finished { index, tree } => {
                done += 1;
                finished_tokens += tree.ids().map(|id| tree.token_ids(id).len() as u64).sum::<u64>();
                context.observer.advanced(done, total, "");
                shards.add(index, &tree).and_then(|()| Ok(work.note()?))
            }
            SearchEvent::Skipped(skip) => shards.skip(skip.index, &skip.reason),
            SearchEvent::Advanced(_) => Ok(()),
        };
        stored.map_err(|error| SearchError::Sink(error.into()))
    };
    let (summary, stats) = sources.with(policy.as_mut(), |policy| {
        let summary = search_with_events(&settings, in_flight, &stops, jobs, policy, judging.judge(), on_event);
        Ok((summary.context("the search stopped")?, policy.stats()))
    })?;
    for (index, reason) in unasked.into_inner() {
        shards.skip(index, &reason)?;
    }
    let skipped = shards.skips().iter().map(|(index, reason)| Skipped {
        problem_id: search.problems[*index as usize].id.clone(),
        reason: reason.clone(),
    });
    let skipped = skipped.collect();

    let (counts, diagnosis) = counted(search.out, &task)?;
    let found_nothing = diagnosis.found_nothing();
    let manifest = SearchManifest {
        trees: counts.trees,
        nodes: counts.nodes,
        simulations: counts.simulations,
        tree_tokens: counts.tokens,
        sampled_tokens: stats.tokens_sampled,
        forwarded_tokens: stats.tokens_forwarded,
        finished_tokens,
        evictions: stats.evictions,
        servers: stats.servers,
        solved: counts.solved,
        skipped,
        unverified: diagnosis.endings().unverified,
        diagnosis: if found_nothing { diagnosis.lines(&task, settings.max_step_tokens) } else { Vec::new() },
        wall_s: work.wall_s(),
        search: (&summary).into(),
    };
    shards.close()?;
    let result = manifest.in_a_line();
    work.finish(&manifest, &result)?;
    context.observer.finished(&result);
    judging.report(context);
    manifest.diagnosis.iter().for_each(|line| context.observer.noticed(line));
    Ok(manifest)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What lies in the stored trees.
fn counted(folder: &Path, task: &Task) -> Result<(Counts, Diagnosis)> {
    let (mut counts, mut diagnosis) = (Counts::default(), Diagnosis::default());
    for tree in espalier_tree::read_trees(folder)? {
        let tree = tree?;
        counts.add(&tree);
        diagnosis.add_tree(&tree, task);
    }
    Ok((counts, diagnosis))
}

/// What decides the trees.
fn identity(
    search: &Search,
    config: &RunConfig,
    settings: &SearchConfig,
    task: &Task,
    policy_hash: String,
) -> Result<Identity> {
    let defaults = RunConfig::default();
    let identity = described(Identity::new("search", RULES), task, || search.policy.tokenizer())?;
    let identity = judging::identify(identity, config, task)?;
    Ok(identity
        .with("name", config.name.as_str())
        .with("seed", config.seed)
        .with("round", search.round)
        .setting("search", settings, &SearchConfig::default())?
        .setting("sampling", &config.sampling, &defaults.sampling)?
        .setting("storage.shard_trees", &config.storage.shard_trees, &defaults.storage.shard_trees)?
        .input("problems", fingerprint(search.problems)?)
        .input("policy", policy_hash))
}

/// The search's settings for this task and policy: steps are no longer than the task's, and a policy without a value head is
/// searched without leaf values.
pub fn settings(config: &RunConfig, task: &Task, has_value_head: bool) -> SearchConfig {
    let lacks_head = config.search.evaluation == Evaluation::ValueHead && !has_value_head;
    let evaluation = if lacks_head { Evaluation::Zero } else { config.search.evaluation.clone() };
    let max_step_tokens = task.max_step_tokens().unwrap_or(usize::MAX).min(config.search.max_step_tokens);
    SearchConfig { evaluation, max_step_tokens, ..config.search.clone() }
}

/// Sums over the stored trees, so that the numbers are the same whether or not the search was interrupted.
#[derive(Default)]
struct Counts {
    trees: u64,
    nodes: u64,
    simulations: u64,
    tokens: u64,
    solved: u64,
}

impl Counts {
    fn add(&mut self, tree: &espalier_tree::Tree) {
        use espalier_tree::{Ending, NodeId};
        self.trees += 1;
        self.nodes += tree.len() as u64;
        self.simulations += tree.ids().filter(|&id| tree.node(id).is_expanded()).count() as u64;
        self.tokens += tree.ids().skip(1).map(|id| tree.token_ids(id).len() as u64).sum::<u64>();
        let solved = tree.ids().any(|id: NodeId| tree.node(id).ending == Ending::Correct);
        self.solved += u64::from(solved);
    }
}
