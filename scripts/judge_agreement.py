#!/usr/bin/env python3
"""Compares the answer judge with math-verify (PyPI) on mutated reference answers.

    python3 -m venv VENV && VENV/bin/pip install math-verify
    VENV/bin/python scripts/judge_agreement.py PROBLEMS.json --judge target/release/step-train --out data/agreement

PROBLEMS.json is an array of objects with an `answer`. Each mutation either keeps an answer's meaning or changes it, so a
disagreement also shows who is right. Prints a table of mutations, writes every disagreement to OUT/disagreements.jsonl.
"""

import argparse
import collections
import json
import multiprocessing
import pathlib
import re
import subprocess

NUMBER = re.compile(r"-?\d+")


def mutations(answer: str):
    """(name, keeps the meaning, mutated answer); those that do not apply are left out."""
    yield "as it is", True, answer
    yield "dollars around", True, f"${answer}$"
    yield "spaces", True, re.sub(r"([+=,])", r" \1 ", answer) if not re.search(r"\d(,|\{,\})(\\[!,])?\d{3}|\\,", answer) else answer
    yield "left and right", True, re.sub(r"(?<!\\)\(", r"\\left(", re.sub(r"\)", r"\\right)", answer)) if "\\left" not in answer else answer
    yield "dfrac", True, answer.replace("\\frac", "\\dfrac")
    yield "full stop", True, answer if answer.endswith(".") else answer + "."
    yield "text unit dropped", True, re.sub(r"\\text\{ [a-z]+\}$", "", answer)
    yield "solution of x", True, f"x = {answer}" if re.fullmatch(r"[-\d.]+|\\frac\{\d+\}\{\d+\}", answer) else answer
    if re.fullmatch(r"-?\d+", answer):
        value = int(answer)
        yield "decimal zeros", True, f"{value}.00"
        yield "thousands", True, f"{value:,}" if abs(value) >= 1000 else answer
        yield "as a fraction", True, rf"\frac{{{3 * value}}}{{3}}"
        yield "as a product", True, rf"2 \cdot {value / 2}" if value % 2 == 0 else answer
        yield "as a root", True, rf"\sqrt{{{value * value}}}" if value > 0 else answer
        yield "unit", True, rf"{value} \text{{ cm}}"
        yield "percent", False, f"{value * 10 + 3}%"
        yield "plus one", False, str(value + 1)
        yield "tenth", False, str(value / 10) if value else answer
        yield "digits swapped", False, answer[:-2] + answer[-1] + answer[-2] if len(answer) > 1 and answer[-1] != answer[-2] and answer[-2] != "-" else answer
        yield "two answers", False, f"{value}, {value + 2}"
        yield "times x", False, f"{value}x" if value else answer
    if match := re.fullmatch(r"(-?)\\frac\{(\d+)\}\{(\d+)\}", answer):
        sign, over, under = match[1], int(match[2]), int(match[3])
        yield "slash", True, f"{sign}{over}/{under}"
        yield "expanded", True, rf"{sign}\frac{{{2 * over}}}{{{2 * under}}}"
        yield "upside down", False, rf"{sign}\frac{{{under}}}{{{over}}}" if over != under else answer
        yield "rounded", False, f"{sign}{over / under:.4f}" if (10**4 * over) % under else answer
        yield "mixed", True, rf"{sign}{over // under}\frac{{{over % under}}}{{{under}}}" if over > under and over % under else answer
    if re.search(r"\d", answer):
        match = list(NUMBER.finditer(answer))[-1]
        changed = answer[: match.start()] + str(int(match[0]) + 1) + answer[match.end() :]
        yield "last number plus one", False, changed
        yield "sign", False, answer[1:] if answer.startswith("-") else "-" + answer if not re.fullmatch(r"0(,.*)?|.*\\pm.*|\\begin{.matrix}[ 0&\\]*\\end{.matrix}", answer) else answer
    if re.fullmatch(r"\(([^(),]+),([^(),]+)\)", answer):
        one, other = answer[1:-1].split(",")
        yield "coordinates swapped", False, f"({other},{one})"
        yield "other brackets", False, f"[{one},{other}]"
    if "," in answer and re.fullmatch(r"[-\d, ]+", answer) and not re.search(r"\d,\d{3}", answer):
        yield "list reversed", True, ", ".join(reversed(answer.split(",")))
        yield "list without its last", False, ",".join(answer.split(",")[:-1])
    if re.fullmatch(r"[^=,<>\\]*[a-z][^=,<>\\]*\+[^=,<>\\]*", answer) and answer.count("+") == 1 and "(" not in answer and "^{" not in answer:
        one, other = answer.split("+")
        if "-" not in answer:
            yield "sum turned", True, f"{other}+{one}"
        yield "difference", False, f"{one}-{other}"


def verify(pair):
    from math_verify import parse, verify

    reference, answer = pair
    try:
        gold = parse(f"\\boxed{{{reference}}}", parsing_timeout=5)
        given = parse(f"\\boxed{{{answer}}}", parsing_timeout=5)
        return bool(verify(gold, given, timeout_seconds=5)), [str(item) for item in gold], [str(item) for item in given]
    except Exception as error:  # The library's own failure is a verdict, too: none.
        return None, [type(error).__name__], []


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("problems", type=pathlib.Path)
    arguments.add_argument("--judge", type=pathlib.Path, required=True, help="the step-train executable")
    arguments.add_argument("--out", type=pathlib.Path, required=True)
    arguments.add_argument("--limit", type=int, help="only the first N problems")
    arguments.add_argument("--processes", type=int, default=2)
    arguments = arguments.parse_args()
    answers = [row["answer"].strip() for row in json.loads(arguments.problems.read_text())[: arguments.limit]]
    rows = {}
    for answer in answers:
        for name, keeps, mutated in mutations(answer):
            if name == "as it is" or mutated != answer:
                rows.setdefault((answer, mutated), (name, keeps))
    arguments.out.mkdir(parents=True, exist_ok=True)
    pairs = list(rows)
    file = arguments.out / "pairs.jsonl"
    file.write_text("".join(json.dumps({"reference": one, "answer": other}) + "\n" for one, other in pairs))
    command = [arguments.judge, "judge", "--input", file]
    ours = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    ours = [json.loads(line)["correct"] for line in ours]
    with multiprocessing.Pool(arguments.processes) as pool:
        theirs = pool.map(verify, pairs, chunksize=64)
    table = collections.defaultdict(collections.Counter)
    with (arguments.out / "disagreements.jsonl").open("w") as disagreements:
        for pair, mine, (other, gold, given) in zip(pairs, ours, theirs):
            name, keeps = rows[pair]
            kind = "agree" if mine == other else "we right" if mine == keeps else "they right"
            table[name][kind] += 1
            table[name]["we wrong"] += mine != keeps
            table[name]["they wrong"] += other != keeps
            if mine != other or mine != keeps:
                row = {"mutation": name, "same": keeps, "ours": mine, "theirs": other, "reference": pair[0], "answer": pair[1]}
                disagreements.write(json.dumps({**row, "gold": gold, "given": given}) + "\n")
    columns = ["agree", "we right", "they right", "we wrong", "they wrong"]
    print(f"{'mutation':<24} {'pairs':>7}", *(f"{column:>11}" for column in columns))
    totals = collections.Counter()
    for name, counts in table.items():
        totals += counts
        print(f"{name:<24} {sum(counts[kind] for kind in columns[:3]):>7}", *(f"{counts[column]:>11}" for column in columns))
    print(f"{'all':<24} {sum(totals[kind] for kind in columns[:3]):>7}", *(f"{totals[column]:>11}" for column in columns))


if __name__ == "__main__":
    main()
