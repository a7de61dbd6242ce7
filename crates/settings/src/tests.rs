//! Claims about declared settings as a whole: form, overlay, list, canonical form.

use crate::range::{at_least, between, each_of, not_empty, one_of};
use crate::{Kind, OutOfRange, Reference, SettingError, choices, deviations, overlay, settings};
use serde_json::{Value, json};
use std::collections::BTreeMap;

choices! {
    /// A rule.
    #[derive(Default)]
    pub enum Rule {
        /// The first
        /// of two.
        ///
        /// More of it.
        #[default]
        Sign = "sign",
        /// The second.
        BestWorst = "best_worst",
    }
}

settings! {
    /// Inner settings.
    pub struct Inner {
        /// A rate.
        pub rate: f64 = 1e-5, at_least(0);
        /// A short number.
        pub share: f32 = 0.7, between(0, 1);
    }
}

settings! {
    /// A window.
    #[derive(Copy)]
    pub struct Window {
        /// Its width.
        pub width: u32 = 20, at_least(1);
    }
}

settings! {
    /// Outer settings.
    pub struct Outer {
        /// A name.
        pub name: String = "run".into(), not_empty();
        /// A rule.
        pub rule: Rule = Rule::Sign;
        /// A rule, or none.
        pub other: Option<Rule> = None;
        /// Named numbers.
        pub numbers: BTreeMap<String, f64> = BTreeMap::new();
        /// One of two.
        pub letter: String = "a".into(), one_of(["a", "b"]);
        /// Some of two.
        pub letters: Vec<String> = vec!["b".into()], each_of(["a", "b"]);
        /// Not written while it is zero.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub limit: Option<u64> = None, at_least(1);
        /// First table.
        pub first: Inner = Inner::default();
        /// Second table.
        pub second: Inner = Inner { rate: 2.0, ..Inner::default() };
        /// A table that may be left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub window: Option<Window> = None;
    }
    together: Outer::rates_rise;
}

impl Outer {
    fn rates_rise(&self) -> Result<(), OutOfRange> {
        let rises = self.first.rate < self.second.rate;
        if rises { Ok(()) } else { Err(OutOfRange::new("second.rate", self.second.rate, "above first.rate")) }
    }
}

fn refused(over: Value) -> String {
    overlay(&Outer::default(), over).unwrap_err().to_string()
}

#[test]
fn keys_that_are_left_out_keep_the_values_below_them() {
    let given = json!({ "second": { "share": 0.25 }, "rule": "best_worst", "numbers": { "beta": 0.1 } });
    let outer = overlay(&Outer::default(), given).unwrap();
    // A table's own default is 1e-5; it is the outer table's that stays.
    assert_eq!(outer.second, Inner { rate: 2.0, share: 0.25 });
    let outer = overlay(&outer, json!({ "numbers": { "gamma": 2.0 }, "letters": ["a"] })).unwrap();
    assert_eq!(outer.numbers, BTreeMap::from([("beta".into(), 0.1), ("gamma".into(), 2.0)]));
    assert_eq!((outer.rule, outer.letters), (Rule::BestWorst, vec!["a".to_owned()]));
}

#[test]
fn an_optional_table_comes_into_being_with_its_own_defaults() {
    let outer = overlay(&Outer::default(), json!({ "window": {} })).unwrap();
    assert_eq!(outer.window, Some(Window { width: 20 }));
    assert_eq!(Outer { window: Some(Window { width: 0 }), ..outer }.check().unwrap_err().key, "window.width");
}

#[test]
fn what_is_no_key_or_of_the_wrong_type_is_named_with_its_tables() {
    let unknown = refused(json!({ "first": { "ratio": 1 } }));
    assert_eq!(unknown, "first.ratio is no setting; first has rate, share");
    assert_eq!(refused(json!({ "first": { "rate": "x" } })), "first.rate is \"x\", but must be a number, at least 0");
    assert_eq!(refused(json!({ "rule": "signs" })), "rule is \"signs\", but must be one of sign, best_worst");
    assert_eq!(refused(json!({ "first": 3 })), "first is 3, but must be a table");
    let error = overlay(&Outer::default(), json!({ "nonesuch": 1 })).unwrap_err();
    let SettingError::Unknown { table, .. } = error else { panic!("{error}") };
    assert_eq!(table, "");
}

#[test]
fn the_first_value_out_of_range_is_named_with_its_tables() {
    assert!(Outer::default().check().is_ok());
    let message = |outer: Outer| outer.check().unwrap_err().to_string();
    let second = Inner { share: 1.5, ..Inner::default() };
    assert_eq!(message(Outer { second, ..Outer::default() }), "second.share is 1.5, but must be between 0 and 1");
    let first = Inner { rate: 3.0, ..Inner::default() };
    assert_eq!(message(Outer { first, ..Outer::default() }), "second.rate is 2, but must be above first.rate");
    let letter = "c".to_owned();
    assert_eq!(message(Outer { letter, ..Outer::default() }), "letter is \"c\", but must be one of a, b");
}

#[test]
fn the_list_holds_every_key_with_the_outer_defaults() {
    let reference = Reference::of(&Outer::default());
    let tables: Vec<&str> = reference.tables.iter().map(|table| table.key.as_str()).collect();
    assert_eq!(tables, ["", "first", "second", "window"]);
    let default = |key: &str| reference.entry(key).unwrap().default.clone();
    assert_eq!(default("first.rate").as_deref(), Some("1e-5"));
    assert_eq!(default("second.rate").as_deref(), Some("2"));
    // A float32 is written as short as it can be.
    assert_eq!(default("first.share").as_deref(), Some("0.7"));
    assert_eq!(default("window.width").as_deref(), Some("20"));
    assert_eq!((default("other"), default("letters").as_deref()), (None, Some("b")));
    let Kind::Choice(names) = &reference.entry("rule").unwrap().kind else { panic!("a choice") };
    assert_eq!((names[0].name, names[0].sentence.as_str()), ("sign", "The first of two."));
    let page = reference.markdown();
    assert!(page.contains("| `rate` | `1e-5` | a number, at least 0 | A rate. |\n"), "{page}");
    // Of a table with the same keys only what differs.
    let second = "## `[second]`\n\nSecond table.\n\nAs `[first]`, but for:\n\n| key | default | values | meaning |\n\
                  |---|---|---|---|\n| `rate` | `2` | a number, at least 0 | A rate. |\n\n## `[window]`";
    assert!(page.contains(second), "{page}");
    assert!(page.contains("| `letters` | `b` | a list, each one of a, b | Some of two. |\n"), "{page}");
}

#[test]
fn flags_are_read_as_files_are() {
    let reference = Reference::of(&Outer::default());
    let read = |key: &str, text: &str| (reference.entry(key).unwrap().read)(text);
    assert_eq!(read("first.rate", "1e-3"), Some(json!(0.001)));
    for text in ["NaN", "inf", "fast", ""] {
        assert_eq!(read("first.rate", text), None, "{text}");
    }
    assert_eq!(read("limit", "-1"), None);
    assert_eq!(read("numbers", "beta=0.5"), Some(json!({ "beta": 0.5 })));
    assert_eq!(read("numbers", "beta"), None);
    // The same bits as a float32 in the program.
    let share = overlay(&Inner::default(), json!({ "share": read("first.share", "0.1") })).unwrap().share;
    assert_eq!(share.to_bits(), 0.1_f32.to_bits());
}

#[test]
fn the_canonical_form_holds_only_what_differs() {
    let defaults = Outer::default();
    assert_eq!(deviations(&defaults, &defaults).unwrap(), BTreeMap::new());
    let second = Inner { rate: 0.1 + 0.2, ..defaults.second.clone() };
    let window = Some(Window { width: 20 });
    let outer = Outer { second, other: Some(Rule::Sign), window, ..defaults.clone() };
    let found = deviations(&outer, &defaults).unwrap();
    let text = serde_json::to_string(&found).unwrap();
    assert_eq!(text, r#"{"other":"sign","second.rate":0.30000000000000004,"window.width":20}"#);
    assert_eq!(found["second.rate"].as_f64().unwrap().to_bits(), (0.1_f64 + 0.2).to_bits());
    // What the defaults have and the settings lack is said too.
    assert_eq!(deviations(&defaults, &outer).unwrap()["window"], Value::Null);
    assert_eq!(deviations(&2, &1).unwrap(), BTreeMap::from([(String::new(), json!(2))]));
}

#[test]
fn a_new_key_with_its_default_leaves_the_canonical_form() {
    let old = deviations(&json!({ "a": 1, "t": { "b": 2 } }), &json!({ "a": 0, "t": { "b": 2 } })).unwrap();
    let new =
        deviations(&json!({ "a": 1, "t": { "b": 2, "new": true } }), &json!({ "a": 0, "t": { "b": 2, "new": true } }));
    assert_eq!(new.unwrap(), old);
}
