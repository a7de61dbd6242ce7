//! Closed choices: enums whose values have names in flags, files and tables.

use crate::entry::sentence;
use crate::error::OutOfRange;
use crate::kind::Name;

/// An enum that is known by its values' names; [`choices!`](crate::choices) declares one.
pub trait Choice: Copy + PartialEq + Send + Sync + 'static {
    /// The name of the type.
    const TYPE: &'static str;

    /// Every value with its name and its documentation, in the order of declaration.
    const ALL: &'static [(Self, &'static str, &'static str)];

    /// The value's name.
    fn name_of(self) -> &'static str {
        Self::ALL.iter().find(|(value, ..)| *value == self).map_or("", |(_, name, _)| name)
    }

    /// The value of a name.
    ///
    /// # Errors
    /// The name, and those that there are.
    fn of_name(name: &str) -> Result<Self, OutOfRange> {
        let found = Self::ALL.iter().find(|(_, known, _)| *known == name);
        let unknown = || OutOfRange::new(words(Self::TYPE), format!("{name:?}"), Name::one_of(&Self::names()));
        found.map(|(value, ..)| *value).ok_or_else(unknown)
    }

    /// All values, in the order of declaration.
    fn values() -> impl Iterator<Item = Self> {
        Self::ALL.iter().map(|(value, ..)| *value)
    }

    /// All names with what they mean.
    fn names() -> Vec<Name> {
        let named = |&(_, name, documentation)| Name { name, sentence: sentence(documentation) };
        Self::ALL.iter().map(named).collect()
    }
}

/// `PairRule` as `pair rule`.
fn words(name: &str) -> String {
    let spaced = name.chars().enumerate().flat_map(|(at, letter)| {
        let space = (at > 0 && letter.is_uppercase()).then_some(' ');
        space.into_iter().chain(letter.to_lowercase())
    });
    spaced.collect()
}

/// Declares an enum of named values.
///
/// The names are those of flags, of JSON and TOML, and of `Display` and `FromStr`; the documentation of a value is its help
/// text. `Clone`, `Copy`, `Debug`, `PartialEq`, `Eq` and `Hash` are derived; others may be, and attributes of serde for the
/// whole enum have no meaning, since it is written by its names.
///
/// ```
/// espalier_settings::choices! {
///     /// How the learning rate falls.
///     pub enum Schedule {
///         /// Stays at the peak.
///         Constant = "constant",
///         /// Falls in half a cosine.
///         Cosine = "cosine",
///     }
/// }
///
/// assert_eq!("cosine".parse::<Schedule>(), Ok(Schedule::Cosine));
/// assert_eq!(serde_json::to_string(&Schedule::Constant)?, "\"constant\"");
/// let error = "sine".parse::<Schedule>().unwrap_err().to_string();
/// assert_eq!(error, "schedule is \"sine\", but must be one of constant, cosine");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[macro_export]
macro_rules! choices {
    (
        $(#[$($about:tt)*])*
        $visibility:vis enum $choice:ident {
            $($(#[$($value_about:tt)*])* $value:ident = $name:literal),+ $(,)?
        }
    ) => {
        $(#[$($about)*])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $visibility enum $choice {
            $($(#[$($value_about)*])* $value),+
        }

        impl $choice {
            /// The name in flags, files and tables.
            #[allow(dead_code, reason = "not every enum's names are asked for")]
            $visibility fn name(self) -> &'static str {
                $crate::Choice::name_of(self)
            }
        }

        impl $crate::Choice for $choice {
            const TYPE: &'static str = stringify!($choice);

            const ALL: &'static [(Self, &'static str, &'static str)] =
                &[$(($choice::$value, $name, $crate::documentation!($([$($value_about)*])*))),+];
        }

        impl ::std::fmt::Display for $choice {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad($crate::Choice::name_of(*self))
            }
        }

        impl ::std::str::FromStr for $choice {
            type Err = $crate::OutOfRange;

            fn from_str(name: &str) -> ::std::result::Result<Self, Self::Err> {
                $crate::Choice::of_name(name)
            }
        }

        impl ::serde::Serialize for $choice {
            fn serialize<S: ::serde::Serializer>(&self, to: S) -> ::std::result::Result<S::Ok, S::Error> {
                to.serialize_str($crate::Choice::name_of(*self))
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $choice {
            fn deserialize<D: ::serde::Deserializer<'de>>(from: D) -> ::std::result::Result<Self, D::Error> {
                let name = <::std::string::String as ::serde::Deserialize>::deserialize(from)?;
                $crate::Choice::of_name(&name).map_err(::serde::de::Error::custom)
            }
        }

        impl $crate::Setting for $choice {
            fn kind() -> $crate::Kind {
                $crate::Kind::Choice(<Self as $crate::Choice>::names())
            }

            fn text(&self) -> ::std::option::Option<::std::string::String> {
                ::std::option::Option::Some($crate::Choice::name_of(*self).to_owned())
            }

            fn read(text: &str) -> ::std::option::Option<$crate::Value> {
                ::std::option::Option::Some(text.into())
            }
        }
    };
}

/// Lets settings have values of a type that is written and read in several forms by `Display` and `FromStr`.
///
/// ```
/// # use std::{fmt, num, str};
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Size(u32);
/// # impl fmt::Display for Size {
/// #     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { write!(f, "size:{}", self.0) }
/// # }
/// # impl str::FromStr for Size {
/// #     type Err = num::ParseIntError;
/// #     fn from_str(text: &str) -> Result<Size, Self::Err> { text.trim_start_matches("size:").parse().map(Size) }
/// # }
/// espalier_settings::forms!(Size: "size:N");
/// assert_eq!(espalier_settings::Setting::text(&Size(3)).as_deref(), Some("size:3"));
/// ```
#[macro_export]
macro_rules! forms {
    ($type:ty: $words:literal) => {
        impl $crate::Setting for $type {
            fn kind() -> $crate::Kind {
                $crate::Kind::Form($words)
            }

            fn text(&self) -> ::std::option::Option<::std::string::String> {
                ::std::option::Option::Some(::std::string::ToString::to_string(self))
            }

            fn read(text: &str) -> ::std::option::Option<$crate::Value> {
                $crate::read_form::<Self>(text)
            }
        }
    };
}
