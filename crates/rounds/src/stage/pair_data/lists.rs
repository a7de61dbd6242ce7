//! Ranked lists of siblings as pairs of neighbours, out of which listwise objectives make the lists again.

use super::{LoadedPair, PairData, Reading};
use espalier_trainer::{PreferencePair, SkipReason, SkippedRow};
use espalier_tree::RankedList;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Whether a row is a [`RankedList`], not texts.
pub(super) fn is_list(row: &Map<String, Value>) -> bool {
    row.contains_key("response_ids")
}

/// The pairs of all lists, by their tokens as sampled; a list that is none, or is not ranked, is named.
pub(super) fn pairs_of(rows: Vec<Map<String, Value>>, reading: Reading) -> PairData {
    let mut data = PairData::default();
    for (row, fields) in rows.into_iter().enumerate() {
        let list = serde_json::from_value(Value::Object(fields)).map_err(|error| error.to_string());
        match list.and_then(|list| checked(list).map_err(str::to_owned)) {
            Ok(list) => data.pairs.extend(pairs(&list, row, reading)),
            Err(problem) => data.skipped.push(SkippedRow { row, reason: SkipReason::BadField { problem } }),
        }
    }
    data
}

fn checked(list: RankedList) -> Result<RankedList, &'static str> {
    let steps = list.response_ids.len();
    if list.q.len() != steps || list.visits.len() != steps {
        return Err("its response_ids, q and visits are not equally long");
    }
    if !list.q.is_sorted_by(|a, b| a >= b) {
        return Err("its q does not fall");
    }
    Ok(list)
}

/// Each step with the first that is worse and the last that is better, so that steps of one Q leave none of them out.
fn pairs(list: &RankedList, row: usize, reading: Reading) -> impl Iterator<Item = LoadedPair> {
    let q = &list.q;
    let first_worse = |better: usize| (better + 1..q.len()).find(|&at| q[at] < q[better]);
    let last_better = |worse: usize| (0..worse).rfind(|&at| q[at] > q[worse]);
    let down = (0..q.len()).filter_map(|at| Some((at, first_worse(at)?)));
    let up = (0..q.len()).filter_map(|at| Some((last_better(at)?, at)));
    let places: BTreeSet<(usize, usize)> = down.chain(up).collect();
    places.into_iter().map(move |(chosen, rejected)| {
        let pair = PreferencePair {
            prompt_ids: list.prompt_ids.clone(),
            chosen_ids: list.response_ids[chosen].clone(),
            rejected_ids: list.response_ids[rejected].clone(),
            q_chosen: list.q[chosen],
            q_rejected: list.q[rejected],
            visits_chosen: list.visits[chosen],
            visits_rejected: list.visits[rejected],
            weight: 1.0,
            q_scale: reading.q_scale(list.kind),
            reference: None,
        };
        LoadedPair { row, family: list.problem_id.clone(), pair }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use espalier_tree::Kind;

    fn list(q: &[f32]) -> Map<String, Value> {
        let ids = |count: usize| (0..count as u32).map(|id| vec![id]).collect();
        let list = RankedList {
            problem_id: "p".into(),
            prompt: String::new(),
            prompt_ids: vec![7],
            responses: vec![String::new(); q.len()],
            response_ids: ids(q.len()),
            q: q.to_vec(),
            visits: vec![2; q.len()],
            kind: Kind::Solution,
            depth: 1,
            state_node: 0,
        };
        let Ok(Value::Object(row)) = serde_json::to_value(list) else { panic!("a list is an object") };
        row
    }

    #[test]
    fn every_step_of_a_list_is_in_a_pair() {
        let reading = Reading { solution_q_scale: 0.3, append_eos: true };
        let data = pairs_of(vec![list(&[1.0, 1.0, 0.5, -1.0, -1.0]), list(&[0.0, 1.0])], reading);
        let steps = data.pairs.iter().map(|loaded| (loaded.pair.chosen_ids[0], loaded.pair.rejected_ids[0]));
        assert_eq!(steps.collect::<Vec<_>>(), [(0, 2), (1, 2), (2, 3), (2, 4)]);
        assert_eq!(data.pairs[0].pair.q_scale, 0.3);
        assert_eq!(data.skipped[0].row, 1);
        assert!(data.skipped[0].reason.to_string().contains("q does not fall"));
    }
}
