//! What values a setting may have, in words and as a test.

use crate::entry::Place;
use crate::error::OutOfRange;
use crate::kind::Name;
use crate::setting::{Setting, shown};

/// The values that a setting of type `T` may have.
pub struct Range<T> {
    words: String,
    holds: Box<dyn Fn(&T) -> bool>,
    names: Vec<Name>,
}

/// A type whose values have a place on the number line, if they are set.
pub trait Bounded {
    /// The place; `None` for a value that is not set.
    fn number(&self) -> Option<f64>;
}

macro_rules! bounded {
    ($($number:ty: $place:expr),*) => {
        $(impl Bounded for $number {
            fn number(&self) -> Option<f64> {
                Some($place(*self))
            }
        })*
    };
}
bounded!(u16: f64::from, u32: f64::from, u64: |n| n as f64, usize: |n| n as f64, f32: f64::from, f64: |n| n);

impl<T: Bounded> Bounded for Option<T> {
    fn number(&self) -> Option<f64> {
        self.as_ref().and_then(T::number)
    }
}

impl<T> Range<T> {
    fn new(words: impl Into<String>, holds: impl Fn(&T) -> bool + 'static) -> Range<T> {
        Range { words: words.into(), holds: Box::new(holds), names: Vec::new() }
    }

    /// The place of `key`, whose values lie in this range, in the table of that index.
    #[doc(hidden)]
    pub fn place<'a>(&self, key: String, documentation: &'a str, table: usize) -> Place<'a> {
        Place { key, documentation, range: self.words.clone(), names: self.names.clone(), table }
    }

    /// Whether `value` may be the value of `key`.
    ///
    /// # Errors
    /// Key, value and range, when it may not.
    pub fn check(&self, key: &str, value: &T) -> Result<(), OutOfRange>
    where
        T: Setting,
    {
        if (self.holds)(value) {
            return Ok(());
        }
        let value = shown(value);
        // A number without end is in none of the ranges, which only the words of some say.
        let finite = if value == "inf" { "finite and " } else { "" };
        Err(OutOfRange::new(key, value, format!("{finite}{}", self.words)))
    }
}

impl<T: Bounded> Range<T> {
    fn of_numbers(words: String, holds: impl Fn(f64) -> bool + 'static) -> Range<T> {
        Range::new(words, move |value: &T| value.number().is_none_or(&holds))
    }
}

/// Every value of the type.
pub fn any<T>() -> Range<T> {
    Range::new("", |_| true)
}

/// Finite numbers from `low` up. What is not set is in every range of numbers.
pub fn at_least<T: Bounded>(low: impl Into<f64>) -> Range<T> {
    let low = low.into();
    Range::of_numbers(format!("at least {low}"), move |number| number >= low && number < f64::INFINITY)
}

/// Finite numbers above `low`.
pub fn above<T: Bounded>(low: impl Into<f64>) -> Range<T> {
    let low = low.into();
    Range::of_numbers(format!("above {low}"), move |number| number > low && number < f64::INFINITY)
}

/// Numbers from `low` to `high`, both included.
pub fn between<T: Bounded>(low: impl Into<f64>, high: impl Into<f64>) -> Range<T> {
    let (low, high) = (low.into(), high.into());
    Range::of_numbers(format!("between {low} and {high}"), move |number| (low..=high).contains(&number))
}

/// Numbers from `low` up to, but without, `high`.
pub fn at_least_and_below<T: Bounded>(low: impl Into<f64>, high: impl Into<f64>) -> Range<T> {
    let (low, high) = (low.into(), high.into());
    Range::of_numbers(format!("at least {low} and below {high}"), move |number| (low..high).contains(&number))
}

/// Numbers above, but without, `low` up to `high`.
pub fn above_and_at_most<T: Bounded>(low: impl Into<f64>, high: impl Into<f64>) -> Range<T> {
    let (low, high) = (low.into(), high.into());
    let holds = move |number| number > low && number <= high;
    Range::of_numbers(format!("above {low} and at most {high}"), holds)
}

/// Values for which `holds` is true, which `words` describe.
pub fn such_that<T>(words: &str, holds: impl Fn(&T) -> bool + 'static) -> Range<T> {
    Range::new(words, holds)
}

/// Texts that are one of `names`, for a choice that no enum lists.
pub fn one_of(names: impl IntoIterator<Item = &'static str>) -> Range<String> {
    let names: Vec<Name> = names.into_iter().map(Name::bare).collect();
    let known = names.clone();
    let holds = move |value: &String| known.iter().any(|known| known.name == value);
    Range { names: names.clone(), ..Range::new(Name::one_of(&names), holds) }
}

/// Lists of texts that are each one of `names`.
pub fn each_of(names: impl IntoIterator<Item = &'static str>) -> Range<Vec<String>> {
    let names: Vec<Name> = names.into_iter().map(Name::bare).collect();
    let known = names.clone();
    let holds = move |values: &Vec<String>| values.iter().all(|value| known.iter().any(|known| known.name == value));
    Range { names: names.clone(), ..Range::new(format!("a list, each {}", Name::one_of(&names)), holds) }
}

/// Lists and texts that are not empty.
pub fn not_empty<T: Setting>() -> Range<T> {
    Range::new("not empty", |value: &T| value.text().is_some_and(|text| !text.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused<T: Setting>(range: &Range<T>, value: T) -> String {
        range.check("key", &value).unwrap_err().to_string()
    }

    #[test]
    fn the_ends_of_a_range_are_as_its_words_say() {
        assert!(at_least(1).check("key", &1_u32).is_ok());
        assert_eq!(refused(&at_least(1), 0_u32), "key is 0, but must be at least 1");
        assert_eq!(refused(&above(0), 0.0_f64), "key is 0, but must be above 0");
        assert!(between(0, 2).check("key", &2.0_f64).is_ok());
        assert_eq!(refused(&between(0, 2), 2.5_f64), "key is 2.5, but must be between 0 and 2");
        assert!(at_least_and_below(0, 1).check("key", &0.0_f32).is_ok());
        assert_eq!(refused(&at_least_and_below(0, 1), 1.0_f32), "key is 1, but must be at least 0 and below 1");
        assert!(above_and_at_most(0, 1).check("key", &1.0_f32).is_ok());
        assert_eq!(refused(&above_and_at_most(0, 1), 0.0_f32), "key is 0, but must be above 0 and at most 1");
    }

    #[test]
    fn no_range_holds_what_is_no_finite_number() {
        assert_eq!(refused(&at_least(0), f64::NAN), "key is NaN, but must be at least 0");
        assert_eq!(refused(&at_least(0), f64::INFINITY), "key is inf, but must be finite and at least 0");
        assert_eq!(refused(&between(0, 1), f32::NAN), "key is NaN, but must be between 0 and 1");
    }

    #[test]
    fn what_is_not_set_is_in_every_range() {
        assert!(at_least(1).check("key", &None::<u32>).is_ok());
        assert_eq!(refused(&at_least(1), Some(0_u32)), "key is 0, but must be at least 1");
    }

    #[test]
    fn texts_are_shown_as_texts_and_empty_lists_as_empty() {
        assert_eq!(refused(&one_of(["a", "b"]), "c".to_owned()), "key is \"c\", but must be one of a, b");
        assert_eq!(refused(&not_empty(), Vec::<String>::new()), "key is empty, but must be not empty");
        let names = || each_of(["a", "b"]);
        assert!(names().check("key", &vec!["b".to_owned()]).is_ok());
        assert_eq!(refused(&names(), vec!["a".into(), "c".into()]), "key is a,c, but must be a list, each one of a, b");
    }
}
