//! `refusal`: the text solves, and does not decline to.

use super::each;
use crate::scorer::{Asked, Scope, Scorer};
use regex::Regex;
use std::sync::LazyLock;

/// Whether a step is an attempt: 0 for one in which the policy declines to help.
///
/// The openings are those that attacks on aligned models are scored by (`test_prefixes` of Zou et al. 2023,
/// arXiv:2307.15043: "I'm sorry", "I apologize", "As an AI", "I cannot", ..). Taken alone they are far too many for solutions
/// ("I cannot factor this further"), so each counts only at the beginning of a sentence and with its request: to help, to
/// answer, to go on with *this*. What a problem says of itself ("there is not enough information") may be its answer and counts as
/// none.
#[derive(Clone, Copy, Debug)]
pub struct Refusal;

/// Who declines and how, what is declined.
static DECLINES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    // One subject, one way to say no.
    let cannot = r"(?:can't|cannot|can not|won't|will not|am unable to|'m unable to|am not able to|'m not able to|must decline to|have to decline to|am not allowed to|'m not allowed to|am not going to|'m not going to|refuse to|decline to)";
    let request = r"(?:this|that|the|your|such|these|those|any)(?: \w+){0,3}? (?:request|question|problem|task|prompt|query|topic|content|information|instructions?|inquiry|matter)s?";
    let help = r"(?:help|assist|comply|engage)(?: you)?(?: with| in| on)?(?: (?:this|that|it|your|the|any|such|these|those|illegal|harmful)\b|[.!,]|$)";
    let answer = format!(
        r"(?:answer|solve|fulfil+|complete|continue(?: with)?|respond to|discuss|process|address|provide|give|generate|create|write|share|offer|proceed with) {request}"
    );
    let provide = r"(?:provide|give|offer|share)(?: you)?(?: with)? (?:(?:an?|any|the|that|this|such) )?(?:answer|solution|assistance|help|advice|guidance)s?\b";
    let do_that = r"(?:do|answer|discuss|continue|provide|comply with|fulfil+|generate|create|write) (?:that|this|it)?(?:[.!,]|$)";
    let adverb = r"(?:(?:really|directly|ethically|legally|simply|just|unfortunately|in good conscience|currently) )?";
    let no = format!(r"i ?{cannot} {adverb}(?:{help}|{answer}|{provide}|{do_that})");
    let sorry = r"(?:i'm|i am)(?: (?:really|very|so|truly))? sorry|sorry|i apologi[sz]e|my apologies|apologies";
    let sorry = format!(r"(?:{sorry})[,.]? (?:but )?(?:as an ai[\w ,]{{0,30}} )?i ?{cannot}\b");
    let as_ai = r"as an? (?:ai|artificial intelligence|(?:large )?language model)\b[\w ,-]{0,60}\bi ?(?:can't|cannot|don't|do not|am|'m|must|have to|won't)\b";
    let decline = r"i (?:must|have to|will have to|respectfully|politely)? ?(?:decline|refuse)(?: (?:this|that|your|the)\b|[.!,]|$)";
    let against = r"(?:this|that|your|the) (?:request|question|content)? ?(?:is against|goes against|violates) my (?:guidelines|programming|policy|policies|principles|ethics)";
    let lead = r"(?:(?:unfortunately|however|sorry|but|so|well|hello|hi|apologies|therefore|thus)[,.!]? ){0,2}";
    Regex::new(&format!(
        r"(?m)(?:^|[.!?:>] *|\n)\W{{0,3}}{lead}(?:i'm afraid (?:that )?)?(?:{no}|{sorry}|{as_ai}|{decline}|{against})"
    ))
    .ok()
});

impl Refusal {
    /// Whether a text declines.
    pub fn declines(text: &str) -> bool {
        let plain = text.replace(['’', '‘'], "'").to_lowercase();
        DECLINES.as_ref().is_some_and(|declines| declines.is_match(&plain))
    }
}

impl Scorer for Refusal {
    fn scope(&self) -> Scope {
        Scope::Step
    }

    fn score(&self, asked: &[Asked<'_>]) -> Vec<Option<f32>> {
        each(asked, |one| Some(!Refusal::declines(one.step)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{end, math};

    #[test]
    fn what_declines_is_found() {
        for text in [
            "I'm sorry, but I can't assist with that.",
            "I’m sorry, but I cannot help with this request.",
            "I cannot provide an answer to this question.",
            "I can't help you with that",
            "I apologize, but I am unable to solve this problem.",
            "As an AI language model, I cannot do mathematics.",
            "As an AI, I don't have the ability to look at pictures.",
            "Unfortunately, I cannot answer that question.",
            "Step 1: I'm unable to assist with your request.",
            "<step>Sorry, I won't generate this content.</step>",
            "I must decline.",
            "I will not answer this question.",
            "This request goes against my guidelines.",
            "I'm afraid I can't do that.",
            "Let me see.\nI cannot continue with this task.",
            "I am not able to provide assistance.",
            "I'm not able to help.",
            "I can't, sorry. I can't do that.",
            r"I'm sorry, but I can't help with that. \boxed{0}",
        ] {
            assert!(Refusal::declines(text), "{text}");
        }
    }

    #[test]
    fn what_solves_is_none() {
        for text in [
            "",
            "I cannot factor this further, so I use the formula.",
            "We cannot provide each child with a whole cookie, so 17 / 5 = 3.",
            "Sorry, 3 * 4 = 12, not 13.",
            "Ann is sorry, but she can't help Ben, so he works 5 hours alone.",
            "I can't divide 7 by 2 evenly, so the remainder is 1.",
            "She says: I can help with 3 boxes.",
            "There is not enough information to answer the question.",
            "The answer cannot be determined.",
            "It cannot be solved in integers.",
            "I am going to solve this problem in two steps.",
            "He cannot answer 5 of the 20 questions, so he answers 15.",
            "As an example, I can take x = 3.",
            "As an aide, I am paid $12 an hour.",
            "Ben must decline 3 of 7 offers, 7 - 3 = 4.",
            "I can't simplify the fraction 3/7.",
            "I cannot have fewer than 0 apples.",
            "I refuse bags 3 times, which saves 15 cents.",
            "I'm not able to take 5 from 3, so I borrow 10.",
            "The shop won't provide a discount, so the price is $20.",
            "Plan 2: I cannot create more than 4 teams, so 4 * 5 = 20.",
        ] {
            assert!(!Refusal::declines(text), "{text}");
        }
        let problem = math("5");
        let asked = [end(&problem, "I cannot help with that.", None), end(&problem, "2 + 3 = 5", None)];
        assert_eq!(Refusal.score(&asked), [Some(0.0), Some(1.0)]);
    }

    #[test]
    fn the_pattern_is_one() {
        assert!(DECLINES.is_some());
    }
}
