//! Why a search found nothing: the endings counted, the likeliest cause, and what to change.

use espalier_search::{EndingCounts, last_stop};
use espalier_task::{Fault, Task};
use espalier_tree::{Ending, Tree};

/// Characters of a text that are shown as an example.
const SHOWN: usize = 60;

/// What sampled steps came to.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis {
    endings: EndingCounts,
    /// Malformed texts by their fault, each with the first text that has it.
    faults: Vec<(Fault, u64, String)>,
    /// The first wrong answer, with its reference.
    wrong: Option<(String, String)>,
    /// The end of the first text that was cut.
    cut: Option<String>,
}

impl Diagnosis {
    /// Takes in a finished tree.
    pub fn add_tree(&mut self, tree: &Tree, task: &Task) {
        for id in tree.ids().skip(1) {
            let node = tree.node(id);
            if node.ending == Ending::Wrong && self.wrong.is_none() {
                self.wrong = tree.answer(id).map(|answer| (answer.to_owned(), tree.info.reference_answer.clone()));
            }
            self.add(node.ending, tree.text(id), task);
        }
    }

    /// Takes in a sampled step.
    pub fn add(&mut self, ending: Ending, text: &str, task: &Task) {
        self.endings.count(ending);
        match ending {
            Ending::Length if self.cut.is_none() => self.cut = Some(tail(text)),
            Ending::Malformed => {
                let step = &text[..last_stop(text, task.step_stops()).unwrap_or(text.len())];
                // What a token has of the step before is not here, so a few are better read alone than they were.
                let Err(fault) = task.try_read(step) else { return };
                match self.faults.iter_mut().find(|(known, ..)| is_same(known, &fault)) {
                    Some((_, count, _)) => *count += 1,
                    None => self.faults.push((fault, 1, text.to_owned())),
                }
            }
            _ => {}
        }
    }

    /// How the steps ended.
    pub fn endings(&self) -> &EndingCounts {
        &self.endings
    }

    /// Whether paths ended and none was a solution that is correct or may be.
    pub fn found_nothing(&self) -> bool {
        let EndingCounts { correct, unverified, wrong, malformed, too_deep, length, .. } = self.endings;
        correct + unverified == 0 && wrong + malformed + too_deep + length > 0
    }

    /// The endings counted, the likeliest cause, and what to change: a line each. `max_step_tokens` is what cuts a step.
    pub fn lines(&self, task: &Task, max_step_tokens: usize) -> Vec<String> {
        let counted = format!("no correct solution; of the ends of paths {}", self.counted());
        std::iter::once(counted).chain(self.advice(task, max_step_tokens)).collect()
    }

    /// The likeliest cause, and what to change.
    pub fn advice(&self, task: &Task, max_step_tokens: usize) -> [String; 2] {
        let (cause, change) = self.cause(task, max_step_tokens);
        [format!("likeliest cause: {cause}"), format!("what to change: {change}")]
    }

    /// The ends of paths in words, the most frequent first.
    fn counted(&self) -> String {
        let EndingCounts { wrong, malformed, too_deep, length, .. } = self.endings;
        let mut ends = [
            (malformed, "malformed"),
            (length, "cut by the limit on tokens"),
            (wrong, "wrong"),
            (too_deep, "beyond the depth limit"),
        ];
        ends.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
        let all = wrong + malformed + too_deep + length;
        let words = ends.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} are {name}"));
        format!("({all}) {}", words.collect::<Vec<_>>().join(", "))
    }

    fn cause(&self, task: &Task, max_step_tokens: usize) -> (String, String) {
        let EndingCounts { wrong, malformed, too_deep, length, .. } = self.endings;
        let most = wrong.max(malformed).max(too_deep).max(length);
        let ends = task.step_stops().iter().map(|stop| format!("{stop:?}")).collect::<Vec<_>>().join(" or ");
        if most == length {
            let cut = self.cut.as_deref().unwrap_or_default();
            return (
                format!("steps go on for {max_step_tokens} tokens and none of {ends} ends them, as in \"..{cut}\""),
                if task.is_chat() {
                    "say in the task's system or user how a step ends, let step.end be what the model writes between steps \
                     (such as \"\\n\\n\"), or raise --max-step-tokens"
                        .to_owned()
                } else {
                    "an instruct model does not write ends that it was not taught: give a task of its own (--task) with chat \
                     = true and a step.end that it writes, such as \"\\n\\n\"; or raise --max-step-tokens; look with \
                     mcts-gen task try"
                        .to_owned()
                },
            );
        }
        if most == malformed {
            return self.fault(task, &ends);
        }
        if most == too_deep {
            return (
                "paths have more steps than may follow each other before a solution".to_owned(),
                "raise --max-depth, or let the prompt ask for fewer and larger steps".to_owned(),
            );
        }
        let example = self.wrong.as_ref().map_or_else(String::new, |(answer, reference)| {
            format!(", as {:?} where {:?} is right", short(answer), short(reference))
        });
        (
            format!("solutions are well-formed and have other answers than the references{example}"),
            "see in mcts-gen show whether the answers mean the same in another form; if so, let the prompt ask for the \
             references' form; else take easier problems, a stronger policy, or more --simulations"
                .to_owned(),
        )
    }

    /// The most frequent fault, and what it takes.
    fn fault(&self, task: &Task, ends: &str) -> (String, String) {
        let Some((fault, count, text)) = self.faults.iter().max_by_key(|(_, count, _)| *count) else {
            return (
                "texts read as no step behind what the step before left over".to_owned(),
                "look at them with mcts-gen show".to_owned(),
            );
        };
        let cause = format!("of {} malformed steps, {count}: {fault}, as in {:?}", self.endings.malformed, short(text));
        let change = match fault {
            Fault::NoEnd if task.is_chat() => format!(
                "the model ends its answer itself before {ends}: let solution.end be left out in the task, and step.end be what \
                 it writes between steps"
            ),
            Fault::NoEnd => format!(
                "the model ends its answer itself before {ends}, as instruct models do: give a task of its own (--task) with \
                 chat = true; look with mcts-gen task try"
            ),
            Fault::Empty => "step.end is what the model writes first: let the prompt end with it, or take another step.end"
                .to_owned(),
            Fault::NoBegin(_) | Fault::Heading(_) => {
                "show the form in more shots, or let the task's step.begin and step.heading be what the model writes".to_owned()
            }
            Fault::Foreign(_) => {
                "the model writes what belongs between steps inside of them: show the form in more shots, or train on worked \
                 solutions first (step-train sft --problems)"
                    .to_owned()
            }
            Fault::EarlyAnswer | Fault::NoAnswer(_) => {
                "let the prompt say where the answer stands, or let the task's answer be where the model puts it".to_owned()
            }
            _ => "look at the texts with mcts-gen show".to_owned(),
        };
        (cause, change)
    }
}

/// Whether two faults are of one kind, whatever text they name.
fn is_same(one: &Fault, other: &Fault) -> bool {
    std::mem::discriminant(one) == std::mem::discriminant(other)
}

fn short(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}..", &text[..end]),
        None => text.to_owned(),
    }
}

/// The end of a text, in one line.
fn tail(text: &str) -> String {
    let start = text.char_indices().rev().nth(SHOWN).map_or(0, |(start, _)| start);
    text[start..].escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use espalier_task::{Format, Granularity};
    use std::path::Path;

    fn of(task: &Task, ends: &[(Ending, &str)]) -> Diagnosis {
        let mut diagnosis = Diagnosis::default();
        ends.iter().for_each(|(ending, text)| diagnosis.add(*ending, text, task));
        diagnosis
    }

    #[test]
    fn nothing_is_found_only_where_no_solution_is_right_or_may_be() {
        let task = Task::built_in(Format::Xml, Granularity::Plan);
        assert!(!of(&task, &[]).found_nothing(), "nothing was looked for");
        assert!(!of(&task, &[(Ending::None, "x"), (Ending::Exhausted, "x")]).found_nothing());
        assert!(of(&task, &[(Ending::None, "x"), (Ending::Wrong, "x")]).found_nothing());
        for ending in [Ending::Correct, Ending::Unverified] {
            assert!(!of(&task, &[(Ending::Wrong, "x"), (ending, "x")]).found_nothing());
        }
    }

    #[test]
    fn the_most_frequent_ending_names_the_cause() {
        let task = Task::built_in(Format::Instruct, Granularity::Step);
        let diagnosis =
            of(&task, &[(Ending::Length, "and so on\nand on"), (Ending::Length, "x"), (Ending::Wrong, "y")]);
        let lines = diagnosis.lines(&task, 99);
        assert_eq!(
            lines[0],
            "no correct solution; of the ends of paths (3) 2 are cut by the limit on tokens, 1 are wrong"
        );
        assert!(lines[1].contains("99 tokens and none of \"<endstep>\" or \"<endsolution>\""), "{lines:?}");
        assert!(lines[1].ends_with("\"..and so on\\nand on\""), "{lines:?}");
        assert!(lines[2].contains("chat = true") && lines.iter().all(|line| !line.contains('\n')), "{lines:?}");
        let deep = of(&task, &[(Ending::TooDeep, "x")]).lines(&task, 9);
        assert!(deep[2].contains("--max-depth"), "{deep:?}");
    }

    #[test]
    fn malformed_steps_are_counted_by_their_faults() {
        let task = Task::built_in(Format::Xml, Granularity::Plan);
        let no_end = [(Ending::Malformed, "Sure! 7"), (Ending::Malformed, "The answer is 7")];
        let heading = (Ending::Malformed, "<step>Add</step><");
        let lines = of(&task, &[no_end[0], heading, no_end[1]]).lines(&task, 9);
        assert!(lines[1].contains("of 3 malformed steps, 2: it has neither the end of a step"), "{lines:?}");
        assert!(lines[2].contains("as instruct models do"), "{lines:?}");
        let lines = of(&task, &[heading, heading, no_end[1]]).lines(&task, 9);
        assert!(lines[1].contains("2: it is not one heading \"Plan 1:\""), "{lines:?}");
        let chat = "chat = true\nanswer = 'last_number'\n[step]\nend = ';'\n[solution]\nend = '!'";
        let chat = Task::parse("c.toml", chat, None, Path::new("")).unwrap();
        let lines = of(&chat, &no_end).lines(&chat, 9);
        assert!(lines[2].contains("let solution.end be left out"), "{lines:?}");
    }
}
