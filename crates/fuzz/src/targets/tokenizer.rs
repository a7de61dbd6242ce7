//! Readers of a model's text files: the tokenizer, what stands beside it, and chat templates.

use super::{Begun, Target};
use crate::scratch::Scratch;
use espalier_tokenizer::{Continuation, Message, Tokenizer};
use std::path::Path;

const PARTS: &[&str] = &[
    "\"type\":",
    "\"Unigram\"",
    "\"WordPiece\"",
    "\"WordLevel\"",
    "\"Metaspace\"",
    "\"Split\"",
    "{\"Regex\": \"(a+)+$\"}",
    "\"Sequence\"",
    "\"Replace\"",
    "\"Precompiled\"",
    "\"TemplateProcessing\"",
    "\"unk_id\": 0",
    "\"byte_fallback\": true",
    "\"added_tokens\":",
    "\"special\": true",
    "\"normalizer\":",
    "\"Strip\"",
    "\"truncation\":",
    "\"padding\":",
    "\"ByteLevel\"",
    "\"max_input_chars_per_word\":",
    "\"Digits\"",
    "\"CTC\"",
    "\"Fuse\"",
    "\"dropout\": 0.5",
];
const NAMES: &[&str] = &[
    "\"bos_token\":",
    "\"eos_token\":",
    "\"add_bos_token\": true",
    "\"chat_template\":",
    "{\"content\": \"</s>\"}",
    "\"tokenizer_class\": \"LlamaTokenizer\"",
    "\"eos_token_id\": [1, 2]",
    "\"pad_token_id\":",
    "\"added_tokens_decoder\":",
];
const JINJA: &[&str] = &[
    "{% for m in messages %}",
    "{% endfor %}",
    "{% if true %}",
    "{% endif %}",
    "{{ messages[0]['content'] }}",
    "|join",
    "{% set x = 'a' * 9999 %}",
    "{% macro f() %}",
    "{% endmacro %}",
    "{{ f() }}",
    "|length",
    "range(99999999)",
    "loop.index0",
    "raise_exception('no')",
    ".split('x')",
    ".strip()",
    "[::-1]",
    "{%- ",
    " -%}",
    "{# ",
    "|tojson",
    "namespace(a=1)",
    "|replace('', 'aaaa')",
    "{% include 'chat' %}",
    "**99",
    "// 0",
    "% 0",
    "|batch(0)",
    "|slice(0)",
    "|indent(99999)",
    "'%s'|format(1)",
    "~",
    "{% raw %}",
    "|center(9999999)",
    ".format()",
    "{% extends 'chat' %}",
    "{% import 'chat' as c %}",
];

pub(super) const TARGETS: [Target; 4] = [
    Target { name: "tokenizer", share: 10, words: PARTS, begin: tokenizer },
    Target {
        name: "tokenizer-config",
        share: 30,
        words: NAMES,
        begin: |scratch| beside(scratch, "tokenizer_config.json", &NAMED),
    },
    Target {
        name: "generation-config",
        share: 30,
        words: NAMES,
        begin: |scratch| beside(scratch, "generation_config.json", &ENDS),
    },
    Target {
        name: "chat-template",
        share: 30,
        words: JINJA,
        begin: |scratch| beside(scratch, "chat_template.jinja", &TEMPLATES),
    },
];

const NAMED: [&str; 2] = [
    r#"{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</solution>", "bos_token": {"content": "<step>"}, "chat_template": "{{ bos_token }}{% for message in messages %}{{ message.content }}{{ eos_token }}{% endfor %}"}"#,
    r#"{"add_bos_token": true, "bos_token": "<step>", "chat_template": [{"name": "default", "template": "{{ messages[0]['content'] | trim }}"}]}"#,
];
const ENDS: [&str; 2] =
    [r#"{"eos_token_id": [0, 2], "pad_token_id": 0, "temperature": 0.6}"#, r#"{"bos_token_id": 1, "eos_token_id": 2}"#];
const TEMPLATES: [&str; 4] = [
    "{% for message in messages %}{{ '<|' + message['role'] + '|>' }}\n{{ message['content'] | trim }}{{ eos_token }}\n{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}",
    "{% set ns = namespace(seen=false) %}{%- for m in messages -%}{% if m.role == 'user' and not ns.seen %}{% set ns.seen = true %}[INST] {{ m.content.split('</s>')[-1].lstrip('\\n') }} [/INST]{% elif loop.last %}{{ raise_exception('no') }}{% endif %}{%- endfor -%}",
    "{%- macro turn(role, text) -%}{{ '%s: %s' | format(role, text) }}{%- endmacro -%}{{ bos_token }}{{ turn('user', messages[0]['content']) }}{{ messages | tojson }}",
    "{{ messages[::-1] | map(attribute='content') | join('\n') | upper | replace('A', 'b') }}{{ range(3) | list | length }}",
];

fn trained(folder: &Path) {
    let texts = ["<step>6 + 7 = 13, so 12 apples and 3 pears.</step>"; 3];
    let trained = Tokenizer::train_bpe(texts, 300, &["<step>", "</step>", "</solution>"]);
    trained.and_then(|tokenizer| tokenizer.save(folder)).expect("a tokenizer can be trained and saved");
}

/// What is done with every tokenizer that is read.
fn exercise(folder: &Path) -> bool {
    let Ok(tokenizer) = Tokenizer::load(folder) else { return false };
    let texts = ["<step>6 + 7", " é\u{0}😀\u{202e}\n\n  x", "", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"];
    for text in texts {
        let Ok(ids) = tokenizer.encode_prompt(text) else { continue };
        drop((tokenizer.decode(&ids), tokenizer.encode_after(text, &ids, "</step> more")));
        let mut row = Continuation::new(&ids, "", &tokenizer);
        let stops = ["</step>".to_owned()];
        for id in [0, 1, 70, u32::MAX, 299, 2] {
            row.push(id, &stops, 4, &tokenizer);
        }
        row.into_parts(&tokenizer);
    }
    let system = Message { role: "system".into(), content: "Be brief. {{ x }}".into() };
    let chat = [system, Message::user("What is 3 + 4?\n"), Message { role: "assistant".into(), content: "7".into() }];
    let chats = [tokenizer.chat(&chat), tokenizer.chat(&chat[1..2]), tokenizer.chat(&[])];
    drop((tokenizer.fingerprint(), tokenizer.eos_id(), tokenizer.token_id("<step>")));
    let has_template = folder.join("chat_template.jinja").exists();
    !has_template || chats.iter().any(Result::is_ok)
}

fn tokenizer(scratch: Scratch) -> Begun {
    trained(scratch.path());
    let bpe = scratch.take("tokenizer.json");
    let pieces = |model: &str| {
        format!(
            r#"{{"version": "1.0", "truncation": null, "padding": null, "added_tokens": [{{"id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}}], "normalizer": {{"type": "Sequence", "normalizers": [{{"type": "Prepend", "prepend": "▁"}}, {{"type": "Replace", "pattern": {{"String": " "}}, "content": "▁"}}]}}, "pre_tokenizer": {{"type": "Split", "pattern": {{"Regex": "\\d{{1,3}}|\\s+"}}, "behavior": "Isolated", "invert": false}}, "post_processor": {{"type": "TemplateProcessing", "single": [{{"SpecialToken": {{"id": "<s>", "type_id": 0}}}}, {{"Sequence": {{"id": "A", "type_id": 0}}}}], "pair": [{{"Sequence": {{"id": "A", "type_id": 0}}}}, {{"Sequence": {{"id": "B", "type_id": 1}}}}], "special_tokens": {{"<s>": {{"id": "<s>", "ids": [0], "tokens": ["<s>"]}}}}}}, "decoder": {{"type": "Sequence", "decoders": [{{"type": "ByteFallback"}}, {{"type": "Fuse"}}, {{"type": "Strip", "content": " ", "start": 1, "stop": 0}}]}}, "model": {model}}}"#
        )
    };
    let unigram = r#"{"type": "Unigram", "unk_id": 1, "vocab": [["<s>", 0.0], ["<unk>", 0.0], ["▁", -1.0], ["a", -2.5], ["6", -3.0], ["▁+", -2.0]], "byte_fallback": false}"#;
    let words = r#"{"type": "WordLevel", "vocab": {"<s>": 0, "<unk>": 1, "6": 2, "▁+": 3}, "unk_token": "<unk>"}"#;
    std::fs::remove_file(scratch.file("tokenizer_config.json")).expect("a file that was saved");
    std::fs::remove_file(scratch.file("generation_config.json")).expect("a file that was saved");
    Begun::new([bpe, pieces(unigram).into(), pieces(words).into()], move |input| {
        scratch.put("tokenizer.json", input);
        exercise(scratch.path())
    })
}

/// A file beside a tokenizer that is right.
fn beside(scratch: Scratch, name: &'static str, seeds: &[&'static str]) -> Begun {
    trained(scratch.path());
    Begun::new(seeds.iter().copied(), move |input| {
        scratch.put(name, input);
        exercise(scratch.path())
    })
}
