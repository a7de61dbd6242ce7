//! A fake policy that invents texts in the format its prompt asks for.
//!
//! Its problems can be learnt: some first words of a step are good and some are bad, and the more good ones a path has,
//! the likelier its solution is correct and the higher is the value of its states.

use super::{FakeSource, decode, encode};
use crate::request::{Candidate, Expansion, Finish, StepRequest, Unit};
use crate::seed::mix;
use std::collections::HashMap;

const GOOD: [&str; 4] = ["find", "compute", "add", "compare"];
const BAD: [&str; 4] = ["guess", "skip", "forget", "ignore"];
const OBJECTS: [&str; 6] = ["the total", "the rest", "the rate", "both parts", "each price", "the difference"];

/// Invented texts. All probabilities are per candidate.
#[derive(Clone, Debug)]
pub struct FakeTexts {
    /// Of two generators with different seeds all texts differ.
    pub seed: u64,
    /// Whether states have values.
    pub values: bool,
    /// That the path's solution follows, rather than one more step.
    pub solution_probability: f64,
    /// That a text is no step at all.
    pub malformed_probability: f64,
    /// That a text has no end and runs into the token limit.
    pub endless_probability: f64,
    /// That a text equals that of the candidate before it, but for white space around it.
    pub duplicate_probability: f64,
    /// Steps after which a solution always follows.
    pub max_steps: usize,
    /// Tokens of prefix and candidate together; beyond, there are no candidates.
    pub context_tokens: usize,
    /// The right answer where [`answers`](FakeTexts::answers) has none.
    pub answer: String,
    /// The right answer to each question.
    pub answers: HashMap<String, String>,
}

impl FakeTexts {
    /// Well-formed texts mostly; the right answer is 7.
    pub fn new(seed: u64) -> FakeTexts {
        FakeTexts {
            seed,
            values: true,
            solution_probability: 0.3,
            malformed_probability: 0.05,
            endless_probability: 0.02,
            duplicate_probability: 0.1,
            max_steps: 5,
            context_tokens: 100_000,
            answer: "7".to_owned(),
            answers: HashMap::new(),
        }
    }

    /// The same with the right answers of these questions.
    #[must_use]
    pub fn with_answers(mut self, answers: impl IntoIterator<Item = (String, String)>) -> FakeTexts {
        self.answers.extend(answers);
        self
    }

    fn right_answer(&self, question: &str) -> &str {
        self.answers.get(question.trim()).unwrap_or(&self.answer)
    }

    /// One step, and whether it is the path's last.
    fn step(&self, layout: Layout, question: &str, path: &mut Path, draw: &mut Draw) -> (String, bool) {
        if path.steps >= self.max_steps || draw.chance(self.solution_probability) {
            let right = self.right_answer(question);
            let answer =
                if draw.chance(path.quality()) { right.to_owned() } else { format!("{right}{}", draw.below(3)) };
            return (layout.solution(draw.of(&OBJECTS), &answer), true);
        }
        let is_good = draw.chance(0.5);
        path.steps += 1;
        path.good += usize::from(is_good);
        let verb = draw.of(if is_good { &GOOD } else { &BAD });
        // The number makes equal texts rare, as they are for a model.
        (layout.step(path.steps, &format!("{verb} {} {}", draw.of(&OBJECTS), draw.below(50))), false)
    }

    fn text(&self, layout: Layout, question: &str, mut path: Path, unit: Unit, draw: &mut Draw) -> String {
        if draw.chance(self.malformed_probability) {
            return format!("malformed {}{}", draw.below(1000), layout.step_stop());
        }
        let (mut text, mut is_last) = self.step(layout, question, &mut path, draw);
        while unit == Unit::Path && !is_last {
            let (more, last) = self.step(layout, question, &mut path, draw);
            text.push_str(&more);
            is_last = last;
        }
        text
    }
}

impl FakeSource for FakeTexts {
    fn has_values(&self) -> bool {
        self.values
    }

    fn answer(&self, request: &StepRequest<'_>) -> Expansion {
        let prompt_len = request.step_ends.first().map_or(0, |&end| end as usize);
        let prompt = decode(&request.prefix_ids[..prompt_len]);
        let (layout, question) = Layout::of(&prompt);
        let path = Path::read(&decode(&request.prefix_ids[prompt_len..]), request.step_ends.len().saturating_sub(1));
        let state = request.prefix_ids.iter().fold(mix(self.seed), |hash, &id| mix(hash ^ u64::from(id)));
        let noise = Draw(state).unit() - 0.5;
        let value = (2.0 * path.quality() - 1.0 + 0.3 * noise).clamp(-1.0, 1.0) as f32;

        let left = self.context_tokens.saturating_sub(request.prefix_ids.len());
        let room = request.max_tokens.min(left);
        let mut candidates: Vec<Candidate> = Vec::new();
        for index in 0..if room == 0 { 0 } else { request.k } {
            // Greedy decoding sees the state only, and is the same for all candidates.
            let is_greedy = request.temperature <= 0.0;
            let sample = if is_greedy { 0 } else { mix(request.seed) ^ index as u64 };
            let mut draw = Draw(mix(state ^ sample));
            let mut text = match candidates.last() {
                Some(before) if draw.chance(self.duplicate_probability) => format!("{}\n", before.text.trim_end()),
                _ => self.text(layout, question, path, request.unit, &mut draw),
            };
            let is_endless = draw.chance(self.endless_probability);
            let is_cut = is_endless || text.len() > room;
            if is_cut {
                let most = room.min(text.len().saturating_sub(usize::from(is_endless)));
                text.truncate((0..=most).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0));
            }
            let token_ids = encode(&text);
            let logprobs = token_ids.iter().map(|_| -0.02 - 1.5 * draw.unit().powi(4) as f32).collect();
            let finish = if is_cut { Finish::Length } else { Finish::Stop };
            candidates.push(Candidate { text, token_ids, logprobs, finish });
        }
        let value = (self.values && request.want_value && left > 0).then_some(value);
        Expansion { ticket: request.ticket, value, candidates }
    }
}

/// The prompt formats, told apart by how a prompt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    XmlPlan,
    XmlStep,
    InstructPlan,
    InstructStep,
}

impl Layout {
    /// The layout and the question of a prompt.
    fn of(prompt: &str) -> (Layout, &str) {
        let between = |open: &str, close: &str| {
            let (_, rest) = prompt.rsplit_once(open)?;
            rest.split_once(close).map(|(question, _)| question)
        };
        let xml = between("<question>", "</question>").unwrap_or(prompt);
        let instruct = between("Problem:", "\n").unwrap_or(prompt);
        if prompt.ends_with("Plans:") {
            (Layout::InstructPlan, instruct)
        } else if prompt.ends_with("Solution:") {
            (Layout::InstructStep, instruct)
        } else if prompt.ends_with("<solution>") {
            (Layout::XmlStep, xml)
        } else {
            (Layout::XmlPlan, xml)
        }
    }

    fn step_stop(self) -> &'static str {
        match self {
            Layout::XmlPlan | Layout::XmlStep => "</step>",
            Layout::InstructPlan | Layout::InstructStep => "<endstep>",
        }
    }

    fn step(self, number: usize, body: &str) -> String {
        match self {
            Layout::XmlPlan => format!("<step>Plan {number}: {body}</step>"),
            Layout::XmlStep => format!("<step>{body}</step>"),
            Layout::InstructPlan => format!("\nPlan {number}: {body}<endstep>"),
            Layout::InstructStep => format!("\nStep {number}: {body}<endstep>"),
        }
    }

    fn solution(self, object: &str, answer: &str) -> String {
        let end = format!("The final answer is \\boxed{{{answer}}}.");
        match self {
            Layout::XmlPlan => format!("</plan><solution>From {object} it follows.\n{end}</solution>"),
            Layout::XmlStep => format!("{end}</solution>"),
            Layout::InstructPlan => {
                format!("\nDetailed Implementation:\nFrom {object} it follows.\n{end}<endsolution>")
            }
            Layout::InstructStep => format!("\n{end}<endsolution>"),
        }
    }
}

/// What counts of a path.
#[derive(Clone, Copy, Debug)]
struct Path {
    steps: usize,
    good: usize,
}

impl Path {
    fn read(text: &str, steps: usize) -> Path {
        let good = GOOD.iter().map(|verb| text.matches(&format!("{verb} ")).count()).sum::<usize>().min(steps);
        Path { steps, good }
    }

    /// How likely a solution is correct: 1/2 where nothing is decided.
    fn quality(self) -> f64 {
        (0.5 + self.good as f64) / (1.0 + self.steps.max(self.good) as f64)
    }
}

/// A small generator of its own, so that the fake's texts never change with a library.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        let value = mix(self.0);
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        value
    }

    /// In [0, 1).
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    fn below(&mut self, count: u64) -> u64 {
        self.next() % count
    }

    fn of(&mut self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len() as u64) as usize]
    }
}
