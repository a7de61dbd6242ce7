#!/usr/bin/env python3
"""Compares a policy here with Hugging Face transformers: log-probabilities, greedy continuations, saved folders.

    python3 scripts/parity.py run --mcts-gen target/release/mcts-gen [--policy DIR]
    python3 scripts/parity.py same FOLDER FOLDER

`run` makes a random small model of each architecture (or takes the folder --policy), and asks `mcts-gen score` and
`mcts-gen complete --greedy` for what transformers computes too: the log-probability of each token of a text, the whole
distribution after it, and the likeliest continuation. `same` loads two folders in transformers and compares their logits
bit for bit. It needs torch and transformers; exit code 0 when all is equal, 1 when something differs, 3 without them.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

try:
    import torch
    import transformers
except ImportError as error:
    print(f"parity: {error}; python3 -m pip install torch transformers", file=sys.stderr)
    sys.exit(3)

TOLERANCE = 1e-4
VOCABULARY = 96
NEW = 32

SHAPE = dict(
    vocab_size=VOCABULARY, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=6,
    num_key_value_heads=2, max_position_embeddings=256, bos_token_id=None, eos_token_id=None, pad_token_id=None,
)
LLAMA3 = dict(rope_type="llama3", rope_theta=500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32)
YARN = dict(rope_type="yarn", rope_theta=1000.0, factor=4.0, original_max_position_embeddings=64)
PLAIN = dict(rope_type="default", rope_theta=1000.0)

MODELS = {
    "llama": lambda: transformers.LlamaConfig(**SHAPE, rope_parameters=PLAIN),
    "llama, tied, biases, llama3 scaling": lambda: transformers.LlamaConfig(
        **SHAPE, tie_word_embeddings=True, attention_bias=True, rope_parameters=LLAMA3),
    "llama, yarn scaling": lambda: transformers.LlamaConfig(**SHAPE, rope_parameters=YARN),
    "mistral, window of 9": lambda: transformers.MistralConfig(**SHAPE, sliding_window=9, rope_parameters=PLAIN),
    "qwen2": lambda: transformers.Qwen2Config(**SHAPE, rope_parameters=PLAIN),
    "qwen2, tied, yarn scaling": lambda: transformers.Qwen2Config(
        **SHAPE, tie_word_embeddings=True, rope_parameters=YARN),
    "qwen3": lambda: transformers.Qwen3Config(**SHAPE, head_dim=16, rope_parameters=PLAIN),
}


def load(folder):
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager")
    return model.eval()


def make(config, seed, folder):
    """A random model, and a tokenizer to which the text "7 12" is the ids 7 and 12."""
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for key, tensor in model.named_parameters():
            # Away from zeros and ones, so that a norm or a bias that is forgotten shows.
            tensor.copy_((1.0 if key.endswith("norm.weight") else 0.0) + 0.25 * torch.randn(tensor.shape))
    model.save_pretrained(folder)
    words = {str(id): id for id in range(VOCABULARY)}
    (folder / "tokenizer.json").write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": words, "unk_token": "0"},
    }))


def ask(mcts_gen, *arguments):
    command = [str(mcts_gen), *map(str, arguments), "--threads", "1"]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return [json.loads(line) for line in output.splitlines()]


def compare(name, mcts_gen, folder, prompt, ids, completion, others):
    """Prints a line; whether all is equal. `others` are tokens that might follow all of the text."""
    model = load(folder)
    text = torch.tensor([ids + completion])
    with torch.no_grad():
        expected = model(text).logits[0].log_softmax(-1)
        greedy = model.generate(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long),
                                do_sample=False, max_new_tokens=NEW)[0, len(ids):].tolist()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        requests = [dict(prompt_ids=ids, token_ids=completion)]
        requests += [dict(prompt_ids=ids + completion, token_ids=[token]) for token in others]
        (scratch / "input.jsonl").write_text("".join(json.dumps(request) + "\n" for request in requests))
        (scratch / "prompt.txt").write_text(prompt)
        scored = ask(mcts_gen, "score", "--policy", folder, "--input", scratch / "input.jsonl")
        [sample] = ask(mcts_gen, "complete", "--policy", folder, "--prompt-file", scratch / "prompt.txt", "--greedy",
                       "--max-tokens", NEW)
    rows = expected[len(ids) - 1:-1].gather(1, torch.tensor(completion)[:, None])[:, 0]
    difference = max(
        (rows - torch.tensor(scored[0]["logprobs"])).abs().max().item(),
        (expected[-1, others] - torch.tensor([line["logprobs"][0] for line in scored[1:]])).abs().max().item(),
    )
    equal = sum(1 for _ in takewhile_equal(greedy, sample["token_ids"]))
    good = difference < TOLERANCE and sample["token_ids"] == greedy
    print(f"{'ok  ' if good else 'FAIL'} {name}: log-probabilities of {len(completion)} tokens and of {len(others)} that "
          f"may follow differ by {difference:.1e} at most; {equal} of {len(greedy)} greedy tokens are equal")
    return good


def takewhile_equal(left, right):
    for one, other in zip(left, right):
        if one != other:
            return
        yield one


def run(arguments):
    if arguments.policy:
        tokenizer = transformers.AutoTokenizer.from_pretrained(arguments.policy)
        prompt = "Question: Natalia sold 48 clips in April, and half as many in May. How many clips did she sell?\nAnswer:"
        completion = " She sold 48 / 2 = 24 clips in May, so 48 + 24 = 72 clips altogether."
        others = list(range(0, len(tokenizer), len(tokenizer) // 64))
        ids, more = tokenizer(prompt).input_ids, tokenizer(completion, add_special_tokens=False).input_ids
        return compare(str(arguments.policy), arguments.mcts_gen, arguments.policy, prompt, ids, more, others)
    good = True
    for seed, (name, config) in enumerate(MODELS.items()):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            make(config(), seed, folder)
            torch.manual_seed(100 + seed)
            ids, more = torch.randint(VOCABULARY, (40,)).tolist(), torch.randint(VOCABULARY, (60,)).tolist()
            prompt = " ".join(map(str, ids))
            good &= compare(name, arguments.mcts_gen, folder, prompt, ids, more, list(range(VOCABULARY)))
    return good


def same(arguments):
    one, other = (load(folder) for folder in arguments.folders)
    torch.manual_seed(0)
    ids = torch.randint(one.config.vocab_size, (2, 24))
    with torch.no_grad():
        good = torch.equal(one(ids).logits, other(ids).logits)
    print(f"{'ok  ' if good else 'FAIL'} logits of {arguments.folders[0]} and {arguments.folders[1]}")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("run")
    command.add_argument("--mcts-gen", type=pathlib.Path, required=True, help="the executable")
    command.add_argument("--policy", type=pathlib.Path, help="a model folder, instead of random models")
    command.set_defaults(run=run)
    command = commands.add_parser("same")
    command.add_argument("folders", type=pathlib.Path, nargs=2)
    command.set_defaults(run=same)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    sys.exit(0 if arguments.run(arguments) else 1)


if __name__ == "__main__":
    main()
