//! Names of kinds and endings, as the tables spell them, and their one-byte codes.

use crate::arena::{Ending, Kind};
use arrow::array::{ArrayRef, DictionaryArray, Int8Array, StringArray};
use arrow::datatypes::Int8Type;
use arrow::error::ArrowError;
use std::sync::Arc;

/// An enum that the tables hold by name.
pub(crate) trait Named: Copy + PartialEq + 'static {
    /// Every value with its name, in the order of the codes.
    const ALL: &'static [(Self, &'static str)];

    /// Place in [`Named::ALL`].
    fn code(self) -> i8 {
        Self::ALL.iter().position(|(value, _)| *value == self).unwrap_or_default() as i8
    }

    /// The name in files.
    fn name(self) -> &'static str {
        Self::ALL[self.code() as usize].1
    }

    /// The value of a code.
    fn from_code(code: i8) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).map(|(value, _)| *value)
    }

    /// The value of a name.
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(value, _)| *value)
    }

    /// A dictionary column of these codes.
    fn column(codes: Vec<i8>) -> Result<ArrayRef, ArrowError> {
        let names = StringArray::from_iter_values(Self::ALL.iter().map(|(_, name)| name));
        Ok(Arc::new(DictionaryArray::<Int8Type>::try_new(Int8Array::from(codes), Arc::new(names))?))
    }
}

impl Named for Kind {
    const ALL: &'static [(Kind, &'static str)] =
        &[(Kind::Root, "root"), (Kind::Plan, "plan"), (Kind::Step, "step"), (Kind::Solution, "solution")];
}

impl Named for Ending {
    const ALL: &'static [(Ending, &'static str)] = &[
        (Ending::None, "none"),
        (Ending::Correct, "correct"),
        (Ending::Wrong, "wrong"),
        (Ending::Malformed, "malformed"),
        (Ending::TooDeep, "too_deep"),
        (Ending::Length, "length"),
        (Ending::Exhausted, "exhausted"),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_name_comes_back<T: Named + std::fmt::Debug + serde::Serialize>() {
        for (code, &(value, name)) in T::ALL.iter().enumerate() {
            assert_eq!(value.code() as usize, code);
            assert_eq!(T::from_code(code as i8), Some(value));
            assert_eq!(T::from_name(name), Some(value));
            // The tables, JSON and TOML spell a value alike.
            assert_eq!(serde_json::to_value(value).unwrap(), name);
        }
        assert_eq!(T::from_code(-1), None);
        assert_eq!(T::from_code(T::ALL.len() as i8), None);
        assert_eq!(T::from_name("Plan "), None);
    }

    #[test]
    fn names_of_kinds_and_endings_come_back() {
        every_name_comes_back::<Kind>();
        every_name_comes_back::<Ending>();
    }
}
