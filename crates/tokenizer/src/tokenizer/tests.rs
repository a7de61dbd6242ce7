use super::*;
use std::fs;

const TAGS: [&str; 4] = ["<step>", "</step>", "<question>", "</question>"];

fn texts() -> Vec<String> {
    let nouns = ["apples", "coins", "books"];
    (0..60)
        .map(|i| {
            format!(
                "<question>Anna has {i} {}, then {} more.</question><step>{i} + {} = {}</step>",
                nouns[i % 3],
                i * 7,
                i * 7,
                i * 8
            )
        })
        .collect()
}

fn trained() -> Tokenizer {
    Tokenizer::train_bpe(texts(), 290, &TAGS).unwrap()
}

#[test]
fn any_text_survives() {
    let tokenizer = trained();
    for text in
        ["", " ", "Anna has 12 apples", "\n\t  x  \u{e9}\u{20ac}\u{1f980}", "<step>a</step></ste", "<|endoftext|>"]
    {
        assert_eq!(tokenizer.decode(&tokenizer.encode(text).unwrap()), text);
    }
}

#[test]
fn digits_and_special_tokens_are_single_tokens() {
    let tokenizer = trained();
    let ids = tokenizer.encode("<step>305 + 71</step>").unwrap();
    let tokens: Vec<String> = ids.iter().map(|&id| tokenizer.decode(&[id])).collect();
    assert_eq!(tokens, ["<step>", "3", "0", "5", " +", " ", "7", "1", "</step>"]);
    assert_eq!(tokenizer.token_id("</step>"), Some(2));
    // No token of the trained vocabulary holds a digit and something else, or a piece of a tag.
    for id in 5..tokenizer.vocab_size() as u32 {
        let token = tokenizer.decode(&[id]);
        assert!(token.chars().count() == 1 || !token.contains(|c: char| c.is_ascii_digit()), "{token:?}");
        assert!(!token.contains("step") && !token.contains("question"), "{token:?}");
    }
    // Merges were learned at all.
    assert!(tokenizer.encode("<question>Anna has").unwrap().len() < 5);
}

#[test]
fn training_is_reproducible_and_keeps_to_its_size() {
    let tokenizer = trained();
    assert_eq!(tokenizer.files, trained().files);
    assert_eq!((tokenizer.vocab_size(), tokenizer.eos_ids()), (290, &[0][..]));
    // So few texts do not fill a large vocabulary.
    assert!(Tokenizer::train_bpe(["abab"], 5000, &TAGS).unwrap().vocab_size() < 270);
    let error = Tokenizer::train_bpe(texts(), 260, &TAGS).unwrap_err().to_string();
    assert_eq!(error, "tokenizer: vocab_size is 260, but special tokens and bytes alone are 261");
    assert!(Tokenizer::train_bpe(texts(), 290, &[""]).is_err());
}

#[test]
fn a_part_of_a_character_is_shown_as_such() {
    let tokenizer = trained();
    let ids = tokenizer.encode("\u{20ac}").unwrap();
    assert!(ids.len() > 1, "a character that no text held is bytes");
    assert_eq!(tokenizer.decode(&ids[..1]), "\u{fffd}");
    assert_eq!(tokenizer.decode(&[999_999]), "");
}

#[test]
fn a_saved_tokenizer_is_the_tokenizer() {
    let folder = tempfile::tempdir().unwrap();
    trained().save(folder.path()).unwrap();
    let again = Tokenizer::load(folder.path()).unwrap();
    let text = texts().concat();
    assert_eq!(again.encode(&text).unwrap(), trained().encode(&text).unwrap());
    assert_eq!((again.vocab_size(), again.eos_ids()), (290, &[0][..]));
    // Files of others are carried along unchanged.
    fs::write(folder.path().join("chat_template.jinja"), "{{ messages }}").unwrap();
    fs::write(folder.path().join("tokenizer_config.json"), r#"{"eos_token": {"content": "</step>"}, "x": 1}"#).unwrap();
    let copy = tempfile::tempdir().unwrap();
    Tokenizer::load(folder.path()).unwrap().save(copy.path()).unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja"] {
        let bytes = |folder: &tempfile::TempDir| fs::read(folder.path().join(file)).unwrap();
        assert_eq!(bytes(&folder), bytes(&copy), "{file}");
    }
}

#[test]
fn all_tokens_that_end_a_text_are_known() {
    let folder = tempfile::tempdir().unwrap();
    trained().save(folder.path()).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let ids = || Tokenizer::load(folder.path()).map(|tokenizer| tokenizer.eos_ids().to_vec());
    write("generation_config.json", r#"{"eos_token_id": [9, 4]}"#);
    write("config.json", r#"{"eos_token_id": 7}"#);
    assert_eq!(ids().unwrap(), [0, 4, 7, 9]);
    write("tokenizer_config.json", r#"{"eos_token": {"content": "</step>"}}"#);
    assert_eq!(ids().unwrap(), [2, 4, 7, 9]);
    write("tokenizer_config.json", r#"{"eos_token": "</s>"}"#);
    let error = ids().unwrap_err().to_string();
    assert!(error.ends_with("eos_token \"</s>\" is not in tokenizer.json"), "{error}");
    write("tokenizer_config.json", "{}");
    write("config.json", r#"{"eos_token_id": "x"}"#);
    assert!(ids().unwrap_err().to_string().contains("eos_token_id \"x\" is no token id"));
    fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    assert!(matches!(ids().unwrap_err(), TokenizerError::Read { .. }));
}

/// The folder of a trained tokenizer with another tokenizer_config.json.
fn folder_with(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    trained().save(folder.path()).unwrap();
    fs::write(folder.path().join("tokenizer_config.json"), config).unwrap();
    folder
}

#[test]
fn what_stands_before_a_prompt_is_the_folders_choice() {
    let plain = trained().encode("3 + 4").unwrap();
    assert_eq!(trained().encode_prompt("3 + 4").unwrap(), plain);
    let config = r#"{"bos_token": "<question>", "add_bos_token": true}"#;
    let folder = folder_with(config);
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    assert_eq!(tokenizer.encode_prompt("3 + 4").unwrap(), [&[3], plain.as_slice()].concat());
    // A post-processor of tokenizer.json that puts a token before and one behind: only the first starts a prompt.
    let path = folder.path().join("tokenizer.json");
    let mut file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    file["post_processor"] = json!({
        "type": "TemplateProcessing",
        "single": [
            { "SpecialToken": { "id": "<step>", "type_id": 0 } },
            { "Sequence": { "id": "A", "type_id": 0 } },
            { "SpecialToken": { "id": "</step>", "type_id": 0 } },
        ],
        "pair": [],
        "special_tokens": {
            "<step>": { "id": "<step>", "ids": [1], "tokens": ["<step>"] },
            "</step>": { "id": "</step>", "ids": [2], "tokens": ["</step>"] },
        },
    });
    fs::write(&path, file.to_string()).unwrap();
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    assert_eq!(tokenizer.encode_prompt("3 + 4").unwrap(), [&[1], plain.as_slice()].concat());
    assert_eq!(tokenizer.encode("3 + 4").unwrap(), plain);
}

#[test]
fn chats_are_written_by_the_folders_template() {
    // Whitespace control, a method of Python's strings, the special tokens, and a refusal.
    let template = "{% for m in messages %}\n    {% if m['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}\n\
                    {{ bos_token }}{{ m.role.upper() }}: {{ m['content'].strip() }}{{ eos_token }}\n{% endfor %}\n\
                    {% if add_generation_prompt %}ASSISTANT:{% endif %}";
    let config = json!({ "bos_token": { "content": "<question>" }, "eos_token": "</step>", "chat_template": template });
    let folder = folder_with(&config.to_string());
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    assert_eq!(tokenizer.chat(&[Message::user(" 1 + 1? ")]).unwrap(), "<question>USER: 1 + 1?</step>\nASSISTANT:");
    let system = Message { role: "system".into(), content: "be brief".into() };
    assert!(tokenizer.chat(&[system]).unwrap_err().to_string().contains("no system"));
    // A file of its own wins.
    fs::write(folder.path().join("chat_template.jinja"), "{{ messages|length }}").unwrap();
    assert_eq!(Tokenizer::load(folder.path()).unwrap().chat(&[Message::user("a"), Message::user("b")]).unwrap(), "2");
    assert!(trained().chat(&[Message::user("a")]).unwrap_err().to_string().contains("chat_template"));
}

#[test]
fn tokens_that_only_the_configuration_names_are_tokens() {
    let before = trained();
    let decoder = json!({ "291": { "content": "<|b|>" }, "290": { "content": "<|a|>", "special": true } });
    let config = json!({ "eos_token": "</step>", "added_tokens_decoder": decoder });
    let folder = folder_with(&config.to_string());
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    let next = before.vocab_size() as u32;
    assert_eq!(tokenizer.encode("<|b|><|a|>").unwrap(), [next + 1, next]);
    assert_eq!(
        (tokenizer.vocab_size(), tokenizer.own_vocab_size()),
        (before.vocab_size() + 2, before.own_vocab_size())
    );
    assert_eq!(tokenizer.decode(&[next, next + 1]), "<|a|><|b|>");
    assert_ne!(tokenizer.fingerprint(), Tokenizer::load(folder_with("{}").path()).unwrap().fingerprint());
    let broken = json!({ "added_tokens_decoder": { "x": { "content": "<|b|>" } } });
    let error = Tokenizer::load(folder_with(&broken.to_string()).path()).unwrap_err().to_string();
    assert!(error.contains("\"x\" is no id"), "{error}");
}

/// A tokenizer of single characters and some words, which writes a space as "▁" and one before each text; `normalizer` and
/// `pre_tokenizer` say how.
fn sentence_piece(normalizer: &Value, pre_tokenizer: &Value) -> Tokenizer {
    let mut vocab = serde_json::Map::new();
    let words = [
        "<unk>", "<s>", "▁", "<", "/", ">", "s", "t", "e", "p", "1", "\n", "a", ".", "0", "st", "ep", "step", "▁a",
        "▁<",
    ];
    for (id, word) in words.iter().enumerate() {
        vocab.insert((*word).to_owned(), id.into());
    }
    let merges = [["s", "t"], ["e", "p"], ["st", "ep"], ["▁", "a"], ["▁", "<"]];
    let file = json!({
        "version": "1.0", "added_tokens": [], "normalizer": normalizer, "pre_tokenizer": pre_tokenizer,
        "post_processor": { "type": "TemplateProcessing",
            "single": [{ "SpecialToken": { "id": "<s>", "type_id": 0 } }, { "Sequence": { "id": "A", "type_id": 0 } }],
            "pair": [{ "Sequence": { "id": "A", "type_id": 0 } }, { "Sequence": { "id": "B", "type_id": 1 } }],
            "special_tokens": { "<s>": { "id": "<s>", "ids": [1], "tokens": ["<s>"] } } },
        "decoder": { "type": "Sequence", "decoders": [
            { "type": "Replace", "pattern": { "String": "▁" }, "content": " " }, { "type": "Fuse" },
            { "type": "Strip", "content": " ", "start": 1, "stop": 0 }] },
        "model": { "type": "BPE", "unk_token": "<unk>", "vocab": vocab, "merges": merges },
    });
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(TOKENIZER), file.to_string()).unwrap();
    Tokenizer::load(folder.path()).unwrap()
}

/// Llama 2's way, and that of newer SentencePiece tokenizers.
fn sentence_pieces() -> [Tokenizer; 2] {
    let replace = json!({ "type": "Replace", "pattern": { "String": " " }, "content": "▁" });
    let prepend = json!({ "type": "Prepend", "prepend": "▁" });
    let metaspace = json!({ "type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false });
    [
        sentence_piece(&json!({ "type": "Sequence", "normalizers": [prepend, replace] }), &Value::Null),
        sentence_piece(&Value::Null, &metaspace),
    ]
}

/// Ids of the texts, each encoded behind those before it.
fn one_after_another(tokenizer: &Tokenizer, texts: &[&str]) -> Vec<u32> {
    let mut ids = tokenizer.encode_prompt(texts[0]).unwrap();
    for at in 1..texts.len() {
        ids.extend(tokenizer.encode_after(&texts[..at].concat(), &ids, texts[at]).unwrap());
    }
    ids
}

#[test]
fn texts_one_after_another_have_the_ids_of_the_whole() {
    let texts = ["a.", "<step>a 1</step>", "<step> a</step>", "\n0"];
    let [prepend, metaspace] = sentence_pieces();
    for tokenizer in [prepend, metaspace, trained()] {
        let ids = one_after_another(&tokenizer, &texts);
        assert_eq!(ids, tokenizer.encode_prompt(&texts.concat()).unwrap());
        assert_eq!(tokenizer.decode(&ids[tokenizer.prompt_start().len()..]), texts.concat());
    }
}

#[test]
fn a_text_encoded_alone_would_begin_with_a_space_that_nobody_wrote() {
    for tokenizer in sentence_pieces() {
        let before = tokenizer.encode("a.").unwrap();
        let alone = tokenizer.encode("<step>").unwrap();
        assert_eq!(tokenizer.decode(&[&before[..], &alone].concat()), "a. <step>");
        let after = tokenizer.encode_after("a.", &before, "<step>").unwrap();
        assert_eq!(tokenizer.decode(&[before, after].concat()), "a.<step>");
    }
}

#[test]
fn no_token_spans_two_texts() {
    let tokenizer = Tokenizer::train_bpe(["a"], 300, &["><"]).unwrap();
    let ids = one_after_another(&tokenizer, &["<plan>", "<step>a</step>", "<step>"]);
    let apart = ["<plan>", "<step>a</step>", "<step>"].map(|text| tokenizer.encode(text).unwrap()).concat();
    assert_eq!(ids, apart);
    // Where the whole cannot be asked, the space is still not written.
    for tokenizer in sentence_pieces() {
        let before = [tokenizer.token_id("s").unwrap(), tokenizer.token_id("t").unwrap()];
        let after = tokenizer.encode_after("st", &before, "ep").unwrap();
        assert_eq!(after, [tokenizer.token_id("ep").unwrap()]);
    }
}

#[test]
fn a_regular_expression_without_end_is_an_error_of_its_text() {
    let folder = tempfile::tempdir().unwrap();
    trained().save(folder.path()).unwrap();
    let path = folder.path().join(TOKENIZER);
    let mut file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    file["pre_tokenizer"] = json!({
        "type": "Split", "pattern": { "Regex": "(a+)+$|(([a-zA-Z]+)*)*x" }, "behavior": "Isolated", "invert": false,
    });
    fs::write(&path, file.to_string()).unwrap();
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    let error = tokenizer.encode(&format!("{}!", "a".repeat(40))).unwrap_err().to_string();
    assert!(error.contains("retry-limit-in-match"), "{error}");
    assert!(!espalier_files::catches_panics());
    assert_eq!(tokenizer.decode(&tokenizer.encode("aaa").unwrap()), "aaa", "other texts are read");
}
