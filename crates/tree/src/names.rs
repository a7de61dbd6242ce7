//! Kinds and endings in the tables: columns of names, and one-byte codes.

use crate::arena::{Ending, Kind};
use arrow::array::{ArrayRef, DictionaryArray, Int8Array, StringArray};
use arrow::datatypes::Int8Type;
use arrow::error::ArrowError;
use espalier_settings::Choice;
use std::sync::Arc;

/// An enum that the tables hold by name.
pub(crate) trait Named: Choice {
    /// Place in [`Choice::ALL`].
    fn code(self) -> i8 {
        Self::ALL.iter().position(|(value, ..)| *value == self).unwrap_or_default() as i8
    }

    /// The value of a code.
    fn from_code(code: i8) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).map(|(value, ..)| *value)
    }

    /// The value of a name.
    fn from_name(name: &str) -> Option<Self> {
        Self::of_name(name).ok()
    }

    /// A dictionary column of these codes.
    fn column(codes: Vec<i8>) -> Result<ArrayRef, ArrowError> {
        let names = StringArray::from_iter_values(Self::ALL.iter().map(|(_, name, _)| name));
        Ok(Arc::new(DictionaryArray::<Int8Type>::try_new(Int8Array::from(codes), Arc::new(names))?))
    }
}

impl Named for Kind {}
impl Named for Ending {}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_name_comes_back<T: Named + std::fmt::Debug + serde::Serialize>() {
        for (code, &(value, name, _)) in T::ALL.iter().enumerate() {
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
