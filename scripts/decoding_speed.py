#!/usr/bin/env python3
"""Times sampling side by side: transformers, llama.cpp's server, and the policy here.

    python3 scripts/decoding_speed.py --policy data/smollm2 --gguf smollm2-f32.gguf --bench "cargo bench --bench decoding --"

Each samples 48 tokens after prompts of 134 tokens, in float32 (and here in bfloat16 too): 4 prompts with 5 siblings each
(--prompts, --siblings), all at once. They take turns (--rounds), and medians are printed: tokens by wall time and by
processor time. It needs torch and transformers for the first, llama-cpp-python[server] and a float32 GGUF of the same
weights for the second; a part that is missing is left out and named. `--make-gguf QUANTISED` writes such a file at --gguf
from a quantised one. All use as many threads as the process has cores (`taskset -c 0` for one).
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

PROMPT, NEW = 134, 48


def prompt_ids(index):
    """The bench's own prompts."""
    return [100 + (place * 7 + index) % 150 for place in range(PROMPT)]


class Transformers:
    name = "transformers.generate"

    def __init__(self, args):
        import torch
        import transformers

        torch.set_num_threads(args.threads)
        self.torch, self.args = torch, args
        self.model = transformers.AutoModelForCausalLM.from_pretrained(args.policy, dtype=torch.float32).eval()
        self.ids = torch.tensor([prompt_ids(index) for index in range(args.prompts)])

    def run(self):
        cpu, wall = time.process_time(), time.monotonic()
        with self.torch.no_grad():
            out = self.model.generate(
                self.ids, attention_mask=self.torch.ones_like(self.ids), do_sample=True, temperature=1.0, top_k=0,
                num_return_sequences=self.args.siblings, min_new_tokens=NEW, max_new_tokens=NEW, pad_token_id=0)
        tokens = out.shape[0] * (out.shape[1] - PROMPT)
        return tokens, time.monotonic() - wall, time.process_time() - cpu

    def close(self):
        pass


class Server:
    name = "llama.cpp server (llama-cpp-python)"

    def __init__(self, args):
        self.args, self.url = args, f"http://127.0.0.1:{args.port}/v1"
        command = [sys.executable, "-m", "llama_cpp.server", "--model", args.gguf, "--port", str(args.port),
                   "--n_ctx", "1024", "--n_threads", str(args.threads), "--n_threads_batch", str(args.threads),
                   "--type_k", "0", "--type_v", "0", "--verbose", "false"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        tokenizer = json.loads((pathlib.Path(args.policy) / "tokenizer.json").read_text())
        spelled = {token: spelling for spelling, token in tokenizer["model"]["vocab"].items()}
        characters = byte_characters()
        self.prompts = [
            bytes(characters[c] for id in prompt_ids(index) for c in spelled[id]).decode("utf-8", "replace")
            for index in range(args.prompts)
        ]
        for _ in range(600):
            if self.process.poll() is not None:
                raise RuntimeError("llama_cpp.server ended at once")
            try:
                self.opener.open(self.url + "/models").read()
                return
            except urllib.error.URLError:
                time.sleep(0.2)
        raise RuntimeError("llama_cpp.server did not start")

    def complete(self, job):
        prompt, seed = job
        body = dict(prompt=prompt, max_tokens=NEW, temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, repeat_penalty=1.0,
                    seed=seed)
        request = urllib.request.Request(
            self.url + "/completions", json.dumps(body).encode(), {"content-type": "application/json"})
        return json.load(self.opener.open(request))["usage"]["completion_tokens"]

    def run(self):
        jobs = [(prompt, seed) for prompt in self.prompts for seed in range(self.args.siblings)]
        cpu, wall = self.processor_s(), time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
            tokens = sum(pool.map(self.complete, jobs))
        return tokens, time.monotonic() - wall, self.processor_s() - cpu

    def processor_s(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.terminate()
        self.process.wait()


class Ours:
    name = "espalier"
    flags = ["--precision", "float32"]

    def __init__(self, args):
        shape = ["--policy", args.policy, "--prompts", str(args.prompts), "--siblings", str(args.siblings)]
        self.command = [*shlex.split(args.bench), *shape, *self.flags]

    def run(self):
        out = subprocess.run(self.command, capture_output=True, text=True)
        found = re.search(r"(\d+) tokens in ([\d.]+) s, ([\d.]+) s of processor", out.stdout)
        if not found:
            raise RuntimeError(f"the bench printed {out.stdout!r} {out.stderr[-300:]!r}")
        return int(found[1]), float(found[2]), float(found[3])

    def close(self):
        pass


class OursInHalf(Ours):
    name = "espalier, bfloat16"
    flags = ["--precision", "bfloat16"]


class OursFast(Ours):
    name = "espalier, --numerics fast"
    flags = ["--numerics", "fast"]


def byte_characters():
    """The bytes behind the characters of byte-level BPE."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {**{chr(byte): byte for byte in plain}, **{chr(256 + place): byte for place, byte in enumerate(others)}}


def make_gguf(source, out):
    import llama_cpp

    options = llama_cpp.llama_model_quantize_default_params()
    options.ftype, options.allow_requantize = llama_cpp.LLAMA_FTYPE_ALL_F32, True
    if llama_cpp.llama_model_quantize(source.encode(), out.encode(), options) != 0:
        sys.exit(f"llama.cpp cannot convert {source}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", required=True, help="Hugging Face folder")
    parser.add_argument("--gguf", help="the same weights in float32")
    parser.add_argument("--make-gguf", metavar="QUANTISED", help="write --gguf from this file first")
    parser.add_argument("--bench", default="cargo bench --bench decoding --", help="the bench's command")
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--siblings", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port", type=int, default=8099)
    args = parser.parse_args()
    args.threads = len(os.sched_getaffinity(0))
    if args.make_gguf:
        make_gguf(args.make_gguf, args.gguf)

    parts, times = [], {}
    for kind in [Transformers, Server, Ours, OursInHalf, OursFast]:
        if kind is Server and not args.gguf:
            print(f"{kind.name}: left out, no --gguf")
            continue
        try:
            part = kind(args)
            part.run()
        except (ImportError, OSError, RuntimeError) as error:
            print(f"{kind.name}: left out, {error}")
            continue
        parts.append(part)
    try:
        for _ in range(args.rounds):
            for part in parts:
                times.setdefault(part.name, []).append(part.run())
    finally:
        for part in parts:
            part.close()
    print(f"{args.prompts} prompts of {PROMPT} tokens, {args.siblings} siblings of {NEW} tokens each, "
          f"float32 if not said otherwise, {args.threads} threads, median of {args.rounds}; load {os.getloadavg()[0]:.1f}")
    for name, runs in times.items():
        by_wall = statistics.median(tokens / wall for tokens, wall, _ in runs)
        by_cpu = statistics.median(tokens / cpu for tokens, _, cpu in runs)
        print(f"{name:<36} {by_wall:8.1f} tokens/s {by_cpu:8.1f} tokens/s of processor time ({runs[0][0]} tokens)")


if __name__ == "__main__":
    main()
