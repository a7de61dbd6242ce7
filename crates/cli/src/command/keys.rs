//! The settings that several commands take as flags, by table. What they mean stands at their declarations.

use super::flag::{Flag, Group, flag, group};

/// Seed and prompts.
pub const COMMON: Group = group(
    "",
    &[
        flag("seed"),
        flag("format"),
        flag("task").apart_from("format"),
        flag("granularity"),
        flag("slots").named("slot"),
        flag("shots"),
    ],
);

/// Seed alone.
pub const SEED: Group = group("", &[flag("seed")]);

/// Where a command runs.
pub const RUNTIME: Group = group("runtime", &[flag("device"), flag("threads"), flag("max_rows"), flag("cache_mib")]);

/// Where a command runs that searches trees.
pub const RUNTIME_OF_SEARCH: Group =
    group("runtime", &[flag("device"), flag("threads"), flag("max_rows"), flag("cache_mib"), flag("in_flight")]);

/// How a tree is searched.
pub const SEARCH: Group = group(
    "search",
    &[
        flag("strategy"),
        flag("simulations"),
        flag("selection"),
        flag("c_puct"),
        flag("c_uct"),
        flag("first_play"),
        flag("gumbel_root"),
        flag("leaves_per_tree"),
        flag("reproducible"),
        flag("k"),
        flag("k_root"),
        flag("temperature"),
        flag("max_step_tokens"),
        flag("max_depth"),
        flag("evaluation"),
    ],
);

/// Limits on the sampled distribution, and precision.
pub const SAMPLING: Group = group(
    "sampling",
    &[flag("top_k"), flag("top_p"), flag("min_p"), flag("repetition_penalty"), flag("precision"), flag("numerics")],
);

/// Who judges.
pub const JUDGING: Group = group(
    "judging",
    &[
        flag("judges").named("judge"),
        flag("reward"),
        flag("weights").named("judge-weights"),
        flag("time_limit_s").named("judge-time-limit-s"),
    ],
);

/// Which pairs are taken from trees.
pub const PAIRS: Group = group(
    "pairs",
    &[
        flag("rule"),
        flag("min_margin"),
        flag("min_visits"),
        flag("judges").named("judges-of-pairs"),
        flag("max_pairs_per_problem"),
        flag("balance"),
        flag("curriculum"),
    ],
);

/// The optimisation of a training stage.
pub const OPTIMISATION: [Flag; 7] = [
    flag("learning_rate"),
    flag("epochs"),
    flag("batch_size"),
    flag("schedule"),
    flag("warmup_fraction"),
    flag("weight_decay"),
    flag("max_grad_norm"),
];

/// What of the model is trained, and how it computes.
pub const MODEL: [Flag; 7] = [
    flag("micro_batch_tokens"),
    flag("freeze"),
    flag("precision"),
    flag("gradient_checkpointing"),
    flag("lora.rank").named("lora-rank"),
    flag("lora.alpha").named("lora-alpha"),
    flag("lora.targets").named("lora-targets"),
];

/// The order of pairs, and what looking at held-out ones leads to.
pub const PAIRWISE: [Flag; 3] = [flag("order"), flag("eval_every"), flag("patience")];
