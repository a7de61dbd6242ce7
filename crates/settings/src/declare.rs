//! The declaration of a table of settings.

use crate::setting::Setting;
use serde_json::Value;
use std::str::FromStr;

/// Declares a table of settings: of each key its documentation, type, default and range, in one place.
///
/// From the declaration come the struct; `Default`; its serialised form, in which a key that is left out has its default
/// and an unknown one is refused; `check`; and the list of [`Entry`](crate::Entry)s that flags, their help texts and the
/// reference are made of. The first paragraph of a key's documentation is its help text and stands alone: no links. What
/// follows it is for the documentation only.
///
/// A default may be any expression, and that of a table within a table says how it differs there. A range is a function of
/// [`range`](crate::range). What must hold between several keys is said by functions of the struct, after `together:`.
/// `Clone`, `Debug`, `PartialEq` and serde's two traits are derived; others may be.
///
/// ```
/// use espalier_settings::range::{above, at_least};
/// use espalier_settings::{OutOfRange, Reference, settings};
///
/// settings! {
///     /// Optimisation.
///     pub struct Train {
///         /// Peak learning rate.
///         pub learning_rate: f64 = 1e-5, above(0);
///         /// Passes over the examples.
///         ///
///         /// Each sees the examples in another order.
///         pub epochs: u32 = 3, at_least(1);
///         /// Examples that are left out.
///         pub skip: Option<u32> = None;
///     }
///     together: Train::ends;
/// }
///
/// settings! {
///     /// A run.
///     pub struct Run {
///         /// Preference training.
///         pub prefer: Train = Train { learning_rate: 1e-6, ..Train::default() };
///     }
/// }
///
/// impl Train {
///     fn ends(&self) -> Result<(), OutOfRange> {
///         let all = self.skip.is_some_and(|skip| skip >= self.epochs);
///         if all { Err(OutOfRange::new("skip", self.epochs, "less than epochs")) } else { Ok(()) }
///     }
/// }
///
/// let train = Train { epochs: 0, ..Train::default() };
/// assert_eq!(train.check().unwrap_err().to_string(), "epochs is 0, but must be at least 1");
/// let error = Run { prefer: train }.check().unwrap_err().to_string();
/// assert_eq!(error, "prefer.epochs is 0, but must be at least 1");
///
/// let reference = Reference::of(&Run::default());
/// let entry = reference.entry("prefer.learning_rate").unwrap();
/// assert_eq!((entry.default.as_deref(), entry.sentence.as_str()), (Some("1e-6"), "Peak learning rate."));
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[$($about:tt)*])*
        $visibility:vis struct $table:ident {
            $($(#[$($field_about:tt)*])* pub $field:ident: $type:ty = $default:expr $(, $range:expr)?;)*
        }
        $(together: $($rule:path),+;)?
    ) => {
        $(#[$($about)*])*
        #[derive(Clone, Debug, PartialEq, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(default, deny_unknown_fields)]
        $visibility struct $table {
            $($(#[$($field_about)*])* pub $field: $type,)*
        }

        impl ::std::default::Default for $table {
            fn default() -> Self {
                $table { $($field: $default,)* }
            }
        }

        impl $table {
            /// Checks every setting against its range, and what must hold between several.
            ///
            /// # Errors
            /// The first setting that is out of its range.
            #[allow(dead_code, reason = "a table within another is checked by that")]
            $visibility fn check(&self) -> ::std::result::Result<(), $crate::OutOfRange> {
                $crate::Setting::check_at(self, "")
            }
        }

        impl $crate::Setting for $table {
            fn kind() -> $crate::Kind {
                $crate::Kind::Table
            }

            fn text(&self) -> ::std::option::Option<::std::string::String> {
                ::std::option::Option::None
            }

            fn read(text: &str) -> ::std::option::Option<$crate::Value> {
                ::std::option::Option::Some(text.into())
            }

            fn check_at(&self, table: &str) -> ::std::result::Result<(), $crate::OutOfRange> {
                $(
                    let key = $crate::join(table, stringify!($field));
                    let range: $crate::range::Range<$type> = $crate::range_of!($($range)?);
                    range.check(&key, &self.$field)?;
                    $crate::Setting::check_at(&self.$field, &key)?;
                )*
                $($($rule(self).map_err(|error| error.within(table))?;)+)?
                ::std::result::Result::Ok(())
            }

            fn describe(
                value: ::std::option::Option<&Self>,
                place: $crate::Place<'_>,
                tables: &mut ::std::vec::Vec<$crate::Table>,
            ) {
                let defaults = value.cloned().unwrap_or_default();
                let (table, at) = place.open(tables);
                $(
                    let range: $crate::range::Range<$type> = $crate::range_of!($($range)?);
                    let documentation = $crate::documentation!($([$($field_about)*])*);
                    let key = $crate::join(&table, stringify!($field));
                    let place = range.place(key, documentation, at);
                    <$type as $crate::Setting>::describe(::std::option::Option::Some(&defaults.$field), place, tables);
                )*
            }
        }
    };
}

/// The documentation comment among attributes, which is all that a declaration says of a key in words.
#[doc(hidden)]
#[macro_export]
macro_rules! documentation {
    ($([$($attribute:tt)*])*) => { concat!($($crate::documentation_line!($($attribute)*)),*) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! documentation_line {
    (doc = $line:literal) => {
        concat!($line, "\n")
    };
    ($($other:tt)*) => {
        ""
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! range_of {
    () => {
        $crate::range::any()
    };
    ($range:expr) => {
        $range
    };
}

/// A flag's text in one of a type's forms as files hold it; a text in none of them as it is.
#[doc(hidden)]
pub fn read_form<T: Setting + FromStr>(text: &str) -> Option<Value> {
    match text.parse::<T>() {
        Ok(value) => serde_json::to_value(value).ok(),
        Err(_) => Some(text.into()),
    }
}
