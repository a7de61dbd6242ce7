//! Sampled answers before a verifier.

use crate::config::RunConfig;
use crate::stage::policy_folder::PolicyFolder;
use anyhow::Result;
use espalier_eval::{Answered, path_score};
use espalier_policy::ValuedPath;
use espalier_search::{StepRequest, Stops, Unit};
use espalier_tokenizer::{Continuation, Tokenizer};
use std::borrow::Cow;

/// The answers to one problem, and the tokens of the prompt that they follow.
pub struct Prompted<'a> {
    /// None where the problem could not be asked.
    pub prompt_ids: Vec<u32>,
    /// The answers.
    pub answered: &'a Answered,
}

/// The scores of all answers, in [0, 1], by problem; `None` for one that has no step, or more tokens than the verifier's context.
///
/// A verifier reads the tokens as they were sampled, by the same `tokenizer`, and values the state after each step, as `stops`
/// end it.
///
/// # Errors
/// A folder that cannot be loaded, or has no value head.
pub fn scores(
    problems: &[Prompted],
    verifier: &PolicyFolder,
    tokenizer: &Tokenizer,
    stops: &Stops,
    config: &RunConfig,
) -> Result<Vec<Vec<Option<f64>>>> {
    let mut model = verifier.open_verifier(config)?;
    let context = model.context();
    let mut all = Vec::with_capacity(problems.len());
    for Prompted { prompt_ids, answered } in problems {
        let paths = answered.texts.iter().map(|text| {
            let ids = [prompt_ids.as_slice(), &text.token_ids].concat();
            let ends = step_ends(prompt_ids, &text.token_ids, stops, tokenizer);
            if ids.len() > context { (Vec::new(), Vec::new()) } else { (ids, ends) }
        });
        let paths: Vec<(Vec<u32>, Vec<u32>)> = paths.collect();
        let valued: Vec<ValuedPath> = paths.iter().map(|(ids, ends)| ValuedPath { ids, ends }).collect();
        let scores = model.values(&valued)?.into_iter().map(|values| {
            // The first is that of the question.
            let values: Vec<f64> = values.iter().skip(1).map(|value| value.mean).collect();
            path_score(&values, config.eval.aggregation)
        });
        all.push(scores.collect());
    }
    Ok(all)
}

/// Where the prompt and each step of a sampled path end, in tokens: where a search would have cut it. What follows the last
/// stop string is one step more.
fn step_ends(prompt_ids: &[u32], path_ids: &[u32], stops: &Stops, tokenizer: &Tokenizer) -> Vec<u32> {
    let mut ids = prompt_ids.to_vec();
    let mut ends = vec![ids.len() as u32];
    let mut rest = path_ids;
    while !rest.is_empty() {
        let state = StepRequest {
            ticket: 0,
            tree: 0,
            prefix_ids: Cow::Borrowed(&ids),
            step_ends: Cow::Borrowed(&ends),
            k: 0,
            max_tokens: 0,
            unit: Unit::Step,
            stops: Cow::Borrowed(stops),
            temperature: 0.0,
            seed: 0,
            want_value: true,
        };
        let overhang = state.overhang(|ids| tokenizer.decode(ids));
        let mut step = Continuation::new(&ids, &overhang, tokenizer);
        let last = rest.iter().position(|&token| step.push(token, &stops.step, usize::MAX, tokenizer).is_some());
        let (own, after) = rest.split_at(last.map_or(rest.len(), |last| last + 1));
        ids.extend_from_slice(own);
        ends.push(ids.len() as u32);
        rest = after;
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stops() -> Stops {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        Stops { step: texts(&["</step>", "</solution>"]), path: texts(&["</solution>"]) }
    }

    #[test]
    fn a_sampled_path_is_cut_where_a_search_would_cut_it() {
        let tokenizer = Tokenizer::train_bpe(["<step>6 + 7 = 13</step>"; 3], 300, &["<step>", "</step>"]).unwrap();
        let steps = ["<step>6 + 7</step>", "<step>= 13</step>", "<solution>13</solution>"];
        let prompt = tokenizer.encode_prompt("6 + 7 = ").unwrap();
        let encoded: Vec<Vec<u32>> = steps.iter().map(|step| tokenizer.encode(step).unwrap()).collect();
        let expected: Vec<u32> = std::iter::once(prompt.len())
            .chain(encoded.iter().scan(prompt.len(), |end, step| {
                *end += step.len();
                Some(*end)
            }))
            .map(|end| end as u32)
            .collect();
        let path = encoded.concat();
        assert_eq!(step_ends(&prompt, &path, &stops(), &tokenizer), expected);
        // Cut short, it ends where its tokens do.
        let short = &path[..path.len() - 2];
        let found = step_ends(&prompt, short, &stops(), &tokenizer);
        assert_eq!((&found[..3], found[3]), (&expected[..3], (prompt.len() + short.len()) as u32));
        assert_eq!(step_ends(&prompt, &[], &stops(), &tokenizer), [prompt.len() as u32]);
    }

    #[test]
    fn a_token_that_goes_on_behind_a_stop_string_belongs_to_the_step_that_it_ends() {
        // No tag is a token of its own, so "><" becomes one.
        let tokenizer = Tokenizer::train_bpe(["</step><step>"; 9], 400, &[""; 0]).unwrap();
        let prompt = tokenizer.encode_prompt("6").unwrap();
        let path = tokenizer.encode("<step>a</step><step>b</step>").unwrap();
        let ends = step_ends(&prompt, &path, &stops(), &tokenizer);
        let texts: Vec<String> = ends
            .windows(2)
            .map(|pair| tokenizer.decode(&path[pair[0] as usize - prompt.len()..pair[1] as usize - prompt.len()]))
            .collect();
        assert_eq!(texts.len(), 2, "{texts:?}");
        assert!(texts[0].contains("a</step>") && texts[1].ends_with("b</step>"), "{texts:?}");
        assert_eq!(texts.concat(), "<step>a</step><step>b</step>");
    }
}
