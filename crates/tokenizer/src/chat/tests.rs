use crate::{Message, Tokenizer, TokenizerError};
use serde_json::{Value, json};
use std::fs;
use tempfile::TempDir;

/// A tokenizer's folder with a template.
fn folder(template: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    Tokenizer::train_bpe(["a"], 300, &["<s>"]).unwrap().save(folder.path()).unwrap();
    fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
    folder
}

/// The conversation of one user's message by a template, with files beside it.
fn chat(template: &str, beside: &[(&str, Value)]) -> Result<String, TokenizerError> {
    let folder = folder(template);
    for (name, content) in beside {
        fs::write(folder.path().join(name), content.to_string()).unwrap();
    }
    Tokenizer::load(folder.path()).unwrap().chat(&[Message::user("2 < 3 & \"é\"")])
}

#[test]
fn what_transformers_knows_is_known() {
    let cases = [
        ("{% generation %}{{ messages[0].content }}{% endgeneration %}", "2 < 3 & \"é\""),
        ("{% if tools is not none or documents is not none %}tools{% endif %}none", "none"),
        ("{{ tools is defined }}{{ nothing is defined }}{{ pad_token is defined }}", "TrueFalseTrue"),
        ("{{ messages[0]|tojson }}", r#"{"role": "user", "content": "2 < 3 & \"é\""}"#),
        ("{% for k, v in {'zeta': 1, 'alpha': 2}.items() %}{{ k }}={{ v }};{% endfor %}", "zeta=1;alpha=2;"),
        ("{{ '%s: %d' % (messages[0].role, 7) }}{{ '<%s>' % messages[0]['role'] }}", "user: 7<user>"),
    ];
    for (template, expected) in cases {
        assert_eq!(chat(template, &[]).unwrap(), expected, "{template}");
    }
    let day = chat("{{ strftime_now('%Y-%m-%d') }}", &[]).unwrap();
    assert!(day.len() == 10 && day.starts_with("20") && day.matches('-').count() == 2, "{day}");
    assert!(chat("{{ strftime_now('%!') }}", &[]).is_err());
}

#[test]
fn special_tokens_stand_in_either_file() {
    let map = ("special_tokens_map.json", json!({ "bos_token": { "content": "<b>" }, "eos_token": "<e>" }));
    let config = ("tokenizer_config.json", json!({ "eos_token": "<s>" }));
    assert_eq!(chat("{{ bos_token }}{{ eos_token }}{{ sep_token }}", &[map, config]).unwrap(), "<b><s>");
}

#[test]
fn a_broken_template_is_an_error_of_the_chat_alone() {
    let error = chat("{% if %}", &[]).unwrap_err().to_string();
    assert!(error.contains("chat_template.jinja") && error.contains("syntax error"), "{error}");
}

#[test]
fn a_format_that_the_library_panics_at_is_an_error() {
    // A character of several bytes in the name of a value.
    let error = chat("{{ '%(é)s'|format(1) }}", &[]).unwrap_err().to_string();
    assert!(error.contains("chat_template.jinja") && error.contains("char boundary"), "{error}");
    assert!(!espalier_files::catches_panics());
}

#[test]
fn templates_that_ask_for_too_much_are_refused() {
    let greedy = [
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "{{ 'a\nb' | indent(1000000000) }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ '{:>10000000000000}'.format(1) }}",
        "{{ '{:.10000000000000f}'.format(1.5) }}",
        "{{ ('a' * 9999) | replace('a', 'a' * 9999) | replace('a', 'a' * 9999) | replace('a', 'a' * 9999) }}",
        "{{ ('a' * 9999).replace('a', 'a' * 9999).replace('a', 'a' * 9999).replace('a', 'a' * 9999) }}",
        "{{ ('x' * 99999).join(range(99999) | map('string')) }}",
        "{{ 'x' * 1000000000 }}",
        "{{ ['x'] * 1000000000 }}",
        "{{ range(1000000000) | list | length }}",
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for a in range(99999) %}{{ 'x' * 99999 }}{% endfor %}",
        "{{ (range(99999) | list | tojson * 999) | upper | lower | title | trim('9') }}",
        "{{ messages | batch(1000000000, 'x') | list }}",
        "{{ range(9) | slice(1000000000) | list }}",
    ];
    for template in greedy {
        let error = chat(template, &[]).map(|text| text.len()).unwrap_err().to_string();
        assert!(error.contains("chat_template.jinja") && !error.ends_with(" s"), "{template}: {error}");
    }
    let folder = folder("{% for m in messages %}{{ m.content | trim | replace('b', 'c') }}{% endfor %}");
    let long = "ab ".repeat(1_000_000);
    let written = Tokenizer::load(folder.path()).unwrap().chat(&[Message::user(&long)]).unwrap();
    assert_eq!(written, long.replace('b', "c").trim(), "3 MB are not too much");
}
