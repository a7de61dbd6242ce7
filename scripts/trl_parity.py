#!/usr/bin/env python3
"""Trains the same policy on the same pairs with TRL's DPOTrainer and with `step-train prefer`, and compares them.

    python3 scripts/trl_parity.py --policy data/smollm2 --problems data/run/problems/warm_start.jsonl loss
    python3 scripts/trl_parity.py --policy data/smollm2 --problems data/run/problems/warm_start.jsonl speed

`loss`: 32 pairs in order, batches of 4, 8 steps of AdamW, float32, for the losses sigmoid, ipo, hinge and robust; prints
the loss of each step and exits with 1 if one differs by more than 1e-4.
`speed`: 16 pairs as trees give them (4 states of about 150 tokens, 2 right and 2 wrong steps of about 20 tokens below each,
every right one against every wrong one), one epoch; prints seconds a pair and the peak memory of each program.

It needs `pip install torch==2.13.0 trl==1.16.0` and target/release/step-train. Problems are JSON Lines with worked
solutions, as `step-train init` writes them.
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOSSES = {  # TRL's name: ours, and TRL's label_smoothing
    "sigmoid": ("dpo", 0.0), "ipo": ("ipo", 0.0), "hinge": ("hinge", 0.0), "robust": ("robust", 0.1),
}
TOLERANCE = 1e-4


def steps_of(problems, at, text, number):
    """Two right continuations and two wrong ones: what is right as it is and reworded; with wrong numbers, and another
    problem's. `text` takes them from a problem's worked solution, `number` is the pattern of what is made wrong."""
    right = " " + text(problems[at]["solution"])
    reworded = " So: " + right.strip()
    wrong = re.sub(number, lambda found: f"= {int(found[1]) + 3}", right)
    other = " " + text(problems[(at + 1) % len(problems)]["solution"])
    return [right, reworded], [wrong, other]


def few_shot(problems, at, count):
    shots = [problems[(at + 7 * k + 11) % len(problems)] for k in range(count)]
    texts = [f"Question: {shot['question']}\nAnswer: {shot['solution']['solution']}\n\n" for shot in shots]
    return "".join(texts) + f"Question: {problems[at]['question']}\nAnswer:"


def loss_pairs(problems, count=32):
    pairs = []
    for at in range(count):
        right, wrong = steps_of(problems, at, lambda worked: worked["solution"], r"= (\d+)(?=\.)")
        pairs.append({"prompt": few_shot(problems, at, 0), "chosen": right[at % 2], "rejected": wrong[at // 2 % 2]})
    return pairs


def tree_pairs(problems, tokenizer, states=4):
    """Pairs of plan steps, whose prompt is about 150 tokens and whose steps are about 20."""
    length = lambda text: len(tokenizer(text)["input_ids"])
    pairs = []
    for at in range(len(problems)):
        prompt = next((few_shot(problems, at, n) for n in range(6) if length(few_shot(problems, at, n)) >= 140), "")
        right, wrong = steps_of(problems, at, lambda worked: worked["plan"][0], r"= (\d+)")
        if 140 <= length(prompt) <= 165 and all(14 <= length(step) <= 28 for step in right + wrong):
            pairs += [{"prompt": prompt, "chosen": w, "rejected": l} for w in right for l in wrong]
        if len(pairs) == 4 * states:
            return pairs
    sys.exit(f"only {len(pairs)} pairs of the wanted lengths; give more problems")


def run_trl(job):
    """In a process of its own, so that its peak memory is its own."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import DPOConfig, DPOTrainer

    torch.set_num_threads(job["threads"])
    tokenizer = AutoTokenizer.from_pretrained(job["policy"])
    model = AutoModelForCausalLM.from_pretrained(job["policy"], dtype=torch.float32)
    config = DPOConfig(
        output_dir=job["work"], loss_type=[job["loss"]], beta=0.1, label_smoothing=job["smoothing"],
        per_device_train_batch_size=job["batch"], num_train_epochs=1, learning_rate=job["rate"],
        lr_scheduler_type="linear", warmup_steps=0, weight_decay=0.0, max_grad_norm=1.0, max_length=None,
        logging_steps=1, logging_first_step=True, save_strategy="no", report_to=[], bf16=False, fp16=False, seed=0,
        use_cpu=True, disable_tqdm=True, gradient_checkpointing=False, dataloader_num_workers=0,
    )

    class InOrder(DPOTrainer):
        def _get_train_sampler(self, *_):
            return torch.utils.data.SequentialSampler(self.train_dataset)

    data = Dataset.from_list(job["pairs"])
    trainer = InOrder(model=model, args=config, train_dataset=data, processing_class=tokenizer)
    ids = [[row["prompt_ids"], row["chosen_ids"], row["rejected_ids"]] for row in trainer.train_dataset]
    began = time.monotonic()
    trainer.train()
    seconds = time.monotonic() - began
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    pathlib.Path(job["out"]).write_text(json.dumps({"losses": losses, "seconds": seconds, "ids": ids}))


def peak(command, **options):
    """Runs a command; gives its peak resident memory in bytes."""
    child = subprocess.Popen(command, **options)
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{command[0]} failed")
    return usage.ru_maxrss * 1024


def trl(work, job):
    job = {**job, "work": str(work / "trl"), "out": str(work / "trl.json")}
    (work / "job.json").write_text(json.dumps(job))
    environment = {**os.environ, "OMP_NUM_THREADS": str(job["threads"]), "TOKENIZERS_PARALLELISM": "false"}
    memory = peak([sys.executable, __file__, "--worker", str(work / "job.json")], env=environment,
                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL if not os.environ.get("VERBOSE") else None)
    return json.loads((work / "trl.json").read_text()), memory


def ours(work, job, name, smoothing, extra):
    pairs, out = work / "pairs.jsonl", work / "ours"
    pairs.write_text("".join(json.dumps(pair) + "\n" for pair in job["pairs"]))
    settings = work / "prefer.toml"
    order = "as_given" if "order" in extra else "shuffled"
    settings.write_text(f'[prefer.train]\norder = "{order}"\nsave_every_s = 1e9\n')
    command = [
        str(ROOT / "target/release/step-train"), "prefer", "--policy", job["policy"], "--pairs", str(pairs), "--out",
        str(out), "--loss", name, "--set", "beta=0.1", "--epochs", "1", "--batch-size", str(job["batch"]),
        "--learning-rate", str(job["rate"]), "--schedule", "linear", "--warmup-fraction", "0", "--max-grad-norm", "1",
        "--threads", str(job["threads"]), "--config", str(settings),
    ]
    if smoothing:
        command += ["--set", f"label_smoothing={smoothing}"]
    memory = peak(command, stderr=subprocess.DEVNULL if not os.environ.get("VERBOSE") else None)
    folder = work / "ours-train"
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    manifest = json.loads((folder / "manifest.json").read_text())
    return [line["loss"] for line in lines], manifest, memory


def loss(policy, problems, threads):
    job = {"policy": policy, "pairs": loss_pairs(problems), "threads": threads, "batch": 4, "rate": 1e-5}
    worst = 0.0
    for name, (own, smoothing) in LOSSES.items():
        with tempfile.TemporaryDirectory() as folder:
            work = pathlib.Path(folder)
            theirs, _ = trl(work, {**job, "loss": name, "smoothing": smoothing})
            mine, _, _ = ours(work, job, own, smoothing, {"order"})
        if len(theirs["losses"]) != len(mine):
            sys.exit(f"{name}: {len(theirs['losses'])} steps of TRL, {len(mine)} here")
        difference = max(abs(a - b) for a, b in zip(theirs["losses"], mine))
        worst = max(worst, difference)
        print(f"{name:8} TRL  " + " ".join(f"{value:9.6f}" for value in theirs["losses"]))
        print(f"{own:8} here " + " ".join(f"{value:9.6f}" for value in mine) + f"   largest difference {difference:.1e}",
              flush=True)
    if worst > TOLERANCE:
        sys.exit(f"a loss differs by {worst:.1e}, more than {TOLERANCE}")


def matmul_peak(threads):
    """The machine's float32 matrix product now, in FLOP/s: the best of some."""
    import torch

    torch.set_num_threads(threads)
    a, b = torch.rand(2048, 2048), torch.rand(2048, 2048)
    best = 0.0
    for _ in range(8):
        began = time.monotonic()
        a @ b
        best = max(best, 2 * 2048**3 / (time.monotonic() - began))
    return best


def speed(policy, problems, threads):
    from transformers import AutoConfig, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(policy)
    pairs = tree_pairs(problems, tokenizer)
    job = {"policy": policy, "pairs": pairs, "threads": threads, "batch": 4, "rate": 1e-6}
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        theirs, their_memory = trl(work, {**job, "loss": "sigmoid", "smoothing": 0.0})
        ceiling = matmul_peak(threads)
        began = time.monotonic()
        _, manifest, memory = ours(work, job, "dpo", 0.0, set())
        process = time.monotonic() - began
    padded = sum(2 * len(prompt) + len(w) + len(l) for prompt, w, l in theirs["ids"])
    summary = manifest["summary"]
    training = summary["tokens"] / summary["tokens_per_s"]
    shape = AutoConfig.from_pretrained(policy)
    head = shape.hidden_size // shape.num_attention_heads
    linear = shape.num_hidden_layers * (
        2 * shape.hidden_size**2 + 2 * shape.hidden_size * shape.num_key_value_heads * head
        + 3 * shape.hidden_size * shape.intermediate_size
    )
    predicted = sum(len(w) + len(l) for _, w, l in theirs["ids"]) / 2
    # 2 operations a weight and token forwards, 4 backwards; the reference's pass is not in this time.
    work_done = 6 * (linear * summary["tokens"] + shape.vocab_size * shape.hidden_size * predicted)
    count = len(pairs)
    print(f"pairs                       {count}, {padded / 2 / count:.0f} tokens a sequence")
    print(f"TRL                         {theirs['seconds'] / count:.2f} s a pair, {their_memory / 1e9:.2f} GB at most")
    print(f"here, the whole process     {process / count:.2f} s a pair, {memory / 1e9:.2f} GB at most")
    print(f"here, the training steps    {training / count:.2f} s a pair, {summary['tokens']} distinct tokens, "
          f"{summary['tokens_per_s']:.0f} a second")
    print(f"share of the matrix peak    {work_done / training / ceiling:.0%} of {ceiling / 1e9:.0f} GFLOP/s")
    print(f"TRL / here                  {theirs['seconds'] / process:.1f} times the time, "
          f"{their_memory / memory:.1f} times the memory")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policy", help="Hugging Face folder")
    parser.add_argument("--problems", type=pathlib.Path, help="JSON Lines with worked solutions")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--worker", type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("what", nargs="?", choices=["loss", "speed"])
    args = parser.parse_args()
    if args.worker:
        run_trl(json.loads(args.worker.read_text()))
        return
    if not (args.policy and args.problems and args.what):
        parser.error("give --policy, --problems and what to compare")
    problems = [json.loads(line) for line in args.problems.read_text().splitlines()]
    {"loss": loss, "speed": speed}[args.what](args.policy, problems, args.threads)


if __name__ == "__main__":
    main()
