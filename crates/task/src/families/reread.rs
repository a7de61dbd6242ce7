//! A second reading of the questions, for tests: solves them from their words alone, without the derivation that they were
//! told from. It knows the sentences, not how they came about.

use std::collections::HashMap;

/// The answer to a question of the family; `None` if a sentence is not understood.
pub(super) fn solve(family: &str, question: &str) -> Option<i64> {
    let sentences: Vec<Vec<&str>> = question
        .split_inclusive(['.', '?'])
        .map(|sentence| sentence.split([' ', ',', '.', '?']).filter(|word| !word.is_empty()).collect())
        .collect();
    let (ask, told) = sentences.split_last()?;
    match family {
        "buying" | "groups" | "bus" | "savings" => running_amount(told, ask),
        "rates" => rates(told),
        "comparisons" => comparisons(told, ask),
        "ages" => ages(told, ask),
        "mixtures" => mixtures(told),
        _ => None,
    }
}

fn numbers(sentence: &[&str]) -> Vec<i64> {
    sentence.iter().filter_map(|word| word.parse().ok()).collect()
}

fn says(sentence: &[&str], word: &str) -> bool {
    sentence.contains(&word)
}

fn any(sentence: &[&str], words: &[&str]) -> bool {
    words.iter().any(|word| says(sentence, word))
}

/// Stories of one amount that goes up and down.
fn running_amount(told: &[Vec<&str>], ask: &[&str]) -> Option<i64> {
    let mut amount = 0;
    let mut missing_from = None;
    for sentence in told {
        match (&numbers(sentence)[..], says(sentence, "each")) {
            ([rate, time], _) if says(sentence, "week") => amount += rate * time,
            ([count, price], true) if says(sentence, "dollars") => amount -= count * price,
            ([count, each], true) => amount += count * each,
            ([fare], true) => amount *= fare,
            ([on, off], false) => amount += on - off,
            ([parts], false) if says(sentence, "shared") => amount /= parts,
            ([price], false) if says(sentence, "wants") => missing_from = Some(*price),
            ([number], false) if any(sentence, &["sells", "loses", "sold", "lost", "leave", "home", "spends"]) => {
                amount -= number;
            }
            // `Sam gives her 3 apples.` and `She gives 3 apples to Sam.`
            ([number], false) if says(sentence, "gives") && says(sentence, "to") => amount -= number,
            ([number], false) => amount += number,
            _ => return None,
        }
    }
    Some(if says(ask, "need") { missing_from? - amount } else { amount })
}

fn rates(told: &[Vec<&str>]) -> Option<i64> {
    let (mut amount, mut rate) = (0, 0);
    for sentence in told {
        match numbers(sentence)[..] {
            [each] if says(sentence, "each") => rate = each,
            [first, then] if says(sentence, "works") => amount += rate * first + rate * then,
            [each, time] => amount += each * time,
            [number] if says(sentence, "friend") => amount += number,
            [number] if any(sentence, &["sell", "sells", "spend", "spends"]) => amount -= number,
            _ => return None,
        }
    }
    Some(amount)
}

fn comparisons(told: &[Vec<&str>], ask: &[&str]) -> Option<i64> {
    let mut owned: HashMap<&str, i64> = HashMap::new();
    for sentence in told {
        let [number] = numbers(sentence)[..] else { return None };
        let (who, other) = (sentence[0], owned.get(sentence[sentence.len() - 1]).copied());
        let amount = match () {
            () if says(sentence, "more") => other? + number,
            () if says(sentence, "fewer") => other? - number,
            () if says(sentence, "times") => other? * number,
            () => number,
        };
        owned.insert(who, amount);
    }
    let asked: Vec<i64> = ask.iter().filter_map(|word| owned.get(word).copied()).collect();
    if says(ask, "more") { Some(asked[0] - asked[1]) } else { Some(asked.iter().sum()) }
}

fn ages(told: &[Vec<&str>], ask: &[&str]) -> Option<i64> {
    let mut ages: HashMap<&str, i64> = HashMap::new();
    for sentence in told {
        let other = ages.get(sentence[sentence.len() - 1]).copied();
        let (who, age) = match numbers(sentence)[..] {
            [years, age] if sentence[0] == "In" => (sentence[3], age - years),
            [years, age] if says(sentence, "ago") => (sentence[3], age + years),
            [years] if says(sentence, "older") => (sentence[0], other? + years),
            [years] if says(sentence, "younger") => (sentence[0], other? - years),
            [times] if says(sentence, "times") => (sentence[0], other? * times),
            [age] => (sentence[0], age),
            _ => return None,
        };
        ages.insert(who, age);
    }
    let asked: i64 = ask.iter().filter_map(|word| ages.get(word)).sum();
    match numbers(ask)[..] {
        [years] if says(ask, "ago") => Some(asked - years),
        [years] => Some(asked + years),
        _ => Some(asked),
    }
}

fn mixtures(told: &[Vec<&str>]) -> Option<i64> {
    let (mut portion, mut cups) = (0, 0);
    for sentence in told {
        let numbers = numbers(sentence);
        match (numbers.len(), numbers.iter().sum::<i64>()) {
            (2 | 3, sum) if says(sentence, "needs") => portion = sum,
            (1 | 2, sum) if says(sentence, "makes") => cups = portion * sum,
            (1, number) if says(sentence, "adds") => cups += number,
            (1, number) if says(sentence, "uses") => cups -= number,
            (1, number) if says(sentence, "shares") => cups /= number,
            _ => return None,
        }
    }
    Some(cups)
}
