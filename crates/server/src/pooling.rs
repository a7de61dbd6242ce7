//! What vLLM's `/pooling` says of texts: the numbers of reward models, of classifiers, and of values.
//!
//! ```text
//!   {model, input: [text | token ids, ..]} ──► data[i].data: a number, a row of classes, or a row for each token or step
//! ```

use crate::posts::{PostError, Posts};
use serde_json::{Value, json};

const PATH: &str = "/pooling";

/// What is asked about in one request.
#[derive(Clone, Copy, Debug)]
pub enum PoolInput<'a> {
    /// Texts, to which the server adds what its tokenizer adds.
    Texts(&'a [&'a str]),
    /// Token ids, which are taken as they are.
    Tokens(&'a [&'a [u32]]),
}

/// The numbers of one text: one row of it as a whole, or a row of each of its tokens or steps, as the server's model has it. No
/// row is empty, every number is finite.
pub type Pooled = Vec<Vec<f64>>;

impl Posts {
    /// Asks `/pooling` about texts, all in one request; the answers are in their order. Whether the numbers are logits is up to
    /// the server: [`probability`] is for those.
    ///
    /// # Errors
    /// As [`Posts::post`]; [`PostError::Refused`] for an answer that has not the numbers of each text.
    pub fn pool(&self, input: PoolInput<'_>) -> Result<Vec<Pooled>, PostError> {
        let (count, input) = match input {
            PoolInput::Texts(texts) => (texts.len(), json!(texts)),
            PoolInput::Tokens(tokens) => (tokens.len(), json!(tokens)),
        };
        if count == 0 {
            return Ok(Vec::new());
        }
        let answer = self.post(PATH, &json!({ "model": self.model(), "input": input }))?;
        let pooled = results(&answer, count).and_then(|results| {
            let of_text = |one: &Value| rows(&one["data"]).ok_or_else(|| no_number(one));
            results.into_iter().map(of_text).collect()
        });
        pooled.map_err(|problem| PostError::Refused(format!("{PATH}: {problem}")))
    }
}

/// The entries of an answer about `count` texts, in the texts' order: of a list, or of the list `data` or `scores` in an object.
///
/// # Errors
/// What the answer is instead, in a line.
pub fn results(answer: &Value, count: usize) -> Result<Vec<&Value>, String> {
    let listed = answer.as_array().or(answer["data"].as_array()).or(answer["scores"].as_array());
    let listed = listed.ok_or_else(|| format!("its answer has no list of results: {}", shown(answer)))?;
    let mut results: Vec<&Value> = listed.iter().collect();
    if results.len() != count {
        return Err(format!("it answers {count} texts with {} results", results.len()));
    }
    // Servers list them in order; where they are numbered, the numbers count.
    results.sort_by_key(|result| result["index"].as_u64());
    Ok(results)
}

/// What logits say of a class, from 0 to 1: the sigmoid of a single one, the softmax of several. `label` is the class, counted
/// from 0; the last if it is not given, and of no meaning for a single logit. `None` if there is no such class.
pub fn probability(logits: &[f64], label: Option<usize>) -> Option<f64> {
    if let [logit] = *logits {
        // The exponent is never positive, so that nothing overflows.
        return Some(if logit >= 0.0 { 1.0 / (1.0 + (-logit).exp()) } else { logit.exp() / (1.0 + logit.exp()) });
    }
    let chosen = *logits.get(label.unwrap_or(logits.len().checked_sub(1)?))?;
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let all: f64 = logits.iter().map(|logit| (logit - most).exp()).sum();
    Some((chosen - most).exp() / all)
}

/// The error of an answer in which a number was to stand.
pub fn no_number(value: &Value) -> String {
    format!("there is no number in its answer: {}", shown(value))
}

fn rows(data: &Value) -> Option<Pooled> {
    let row = |value: &Value| -> Option<Vec<f64>> {
        let numbers: Option<Vec<f64>> = value.as_array()?.iter().map(Value::as_f64).collect();
        numbers.filter(|numbers| !numbers.is_empty() && numbers.iter().all(|number| number.is_finite()))
    };
    if let Some(number) = data.as_f64() {
        return Some(vec![vec![number]]);
    }
    if let Some(row) = row(data) {
        return Some(vec![row]);
    }
    data.as_array()?.iter().map(row).collect::<Option<Pooled>>().filter(|rows| !rows.is_empty())
}

fn shown(value: &Value) -> String {
    value.to_string().chars().take(160).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logits_are_mapped_without_overflow() {
        // 1 / (1 + e^-2); e^1 / (e^0 + e^1), and the other one.
        let close = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-9;
        assert!(close(probability(&[2.0], None), 0.880_797_077_977_882_3));
        assert!(close(probability(&[2.0], Some(7)), 0.880_797_077_977_882_3));
        assert!(close(probability(&[0.0, 1.0], None), 0.731_058_578_630_004_9));
        assert!(close(probability(&[0.0, 1.0], Some(0)), 0.268_941_421_369_995_1));
        assert!(close(probability(&[-800.0], None), 0.0) && close(probability(&[800.0], None), 1.0));
        assert!(close(probability(&[-1e300, 1e300], None), 1.0));
        assert_eq!((probability(&[], None), probability(&[0.0, 1.0], Some(2))), (None, None));
    }

    #[test]
    fn numbers_are_a_row_of_the_text_or_of_each_step() {
        assert_eq!(rows(&json!(0.5)), Some(vec![vec![0.5]]));
        assert_eq!(rows(&json!([0.5, 1])), Some(vec![vec![0.5, 1.0]]));
        assert_eq!(rows(&json!([[0.5, 1], [2, 3]])), Some(vec![vec![0.5, 1.0], vec![2.0, 3.0]]));
        for bad in
            [json!([]), json!("x"), json!(null), json!([null]), json!([[1.0], 2.0]), json!([[]]), json!([[[1.0]]])]
        {
            assert_eq!(rows(&bad), None, "{bad}");
        }
    }

    #[test]
    fn results_are_in_the_order_of_their_numbers() {
        let turned = json!({ "data": [{ "index": 1, "data": 2 }, { "index": 0, "data": 1 }] });
        let found: Vec<&Value> = results(&turned, 2).unwrap().into_iter().map(|one| &one["data"]).collect();
        assert_eq!(found, [&json!(1), &json!(2)]);
        assert!(results(&turned, 3).unwrap_err().contains("3 texts with 2"));
        assert!(results(&json!({ "error": "x" }), 1).unwrap_err().contains("no list of results"));
    }
}
