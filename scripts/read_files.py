#!/usr/bin/env python3
"""Opens the trees and pairs of a run with pandas, DuckDB and Hugging Face `datasets`, and checks what is in them.

    python3 scripts/read_files.py data/run

Prints rows and columns; exits with 1 and a plain line for each thing that differs from the documented format. It needs
    python3 -m pip install pandas pyarrow duckdb datasets
"""

import argparse
import pathlib
import sys
import tempfile

# Column: (type as pyarrow names it, may be null)
TREES = {
    "run_id": ("string", False), "round": ("uint32", False), "problem_id": ("string", False),
    "question": ("string", False), "reference_answer": ("string", False), "tree_seed": ("uint64", False),
    "node_id": ("uint32", False), "parent_id": ("uint32", True), "depth": ("uint16", False), "kind": ("string", False),
    "text": ("string", False), "token_ids": ("list<uint32>", False), "logprobs": ("list<float>", False),
    "prior": ("float", False), "visits": ("uint32", False), "value_sum": ("double", False), "q": ("float", False),
    "v": ("float", True), "advantage": ("float", True), "value_estimate": ("float", True), "reward": ("float", True),
    "ending": ("string", False), "answer": ("string", True),
}
# The first three are what TRL's DPOTrainer reads.
PAIRS = {
    "prompt": ("string", False), "chosen": ("string", False), "rejected": ("string", False),
    "prompt_ids": ("list<uint32>", False), "chosen_ids": ("list<uint32>", False),
    "rejected_ids": ("list<uint32>", False), "chosen_logprobs": ("list<float>", False),
    "rejected_logprobs": ("list<float>", False), "q_chosen": ("float", False), "q_rejected": ("float", False),
    "advantage_chosen": ("float", False), "advantage_rejected": ("float", False), "visits_chosen": ("uint32", False),
    "visits_rejected": ("uint32", False), "weight": ("float", False), "kind": ("string", False),
    "depth": ("uint16", False), "problem_id": ("string", False), "round": ("uint32", False),
    "state_node": ("uint32", False), "chosen_node": ("uint32", False), "rejected_node": ("uint32", False),
}

# What must hold in every row: queries that count the rows where it does not. {t} and {p} are the two tables' files.
TREE_RULES = {
    "a root has no parent, depth 0 and no advantage; every other node has a parent and a depth":
        "select count(*) from {t} where (kind = 'root') != (node_id = 0) or (kind = 'root') != (parent_id is null)"
        " or (kind = 'root') != (depth = 0) or kind = 'root' and advantage is not null",
    "an advantage is there exactly where the parent's V is":
        "select count(*) from {t} c join {t} p on c.run_id = p.run_id and c.round = p.round"
        " and c.tree_seed = p.tree_seed and c.parent_id = p.node_id where (c.advantage is null) != (p.v is null)",
    "parents come before their children": "select count(*) from {t} where parent_id >= node_id",
    "every token has a log-probability, none above 0":
        "select count(*) from {t} where len(token_ids) != len(logprobs) or list_max(logprobs) > 1e-4",
    "a kind is one of root, plan, step, solution":
        "select count(*) from {t} where kind not in ('root', 'plan', 'step', 'solution')",
    "an ending is one of none, correct, wrong, malformed, too_deep, length, exhausted, unverified":
        "select count(*) from {t} where ending not in"
        " ('none', 'correct', 'wrong', 'malformed', 'too_deep', 'length', 'exhausted', 'unverified')",
    "a reward is there exactly where a path ended by itself":
        "select count(*) from {t} where (reward is null) != (ending in ('none', 'exhausted', 'unverified'))",
    "q is value_sum / visits, within [-1, 1]":
        "select count(*) from {t} where abs(q) > 1 + 1e-6 or visits > 0 and abs(q - value_sum / visits) > 1e-5",
}
PAIR_RULES = {
    "prompt, chosen and rejected are not empty, and the two sides differ":
        "select count(*) from {p} where prompt = '' or chosen = '' or rejected = '' or chosen = rejected",
    "every token has a log-probability":
        "select count(*) from {p} where len(chosen_ids) != len(chosen_logprobs)"
        " or len(rejected_ids) != len(rejected_logprobs) or len(prompt_ids) = 0",
    "the chosen side has the higher Q, and advantages differ by as much":
        "select count(*) from {p} where q_chosen <= q_rejected"
        " or abs((q_chosen - q_rejected) - (advantage_chosen - advantage_rejected)) > 1e-5",
    "a kind is one of plan, step, solution": "select count(*) from {p} where kind not in ('plan', 'step', 'solution')",
}
# Nodes are found by round, problem and node, so this holds where a problem has one tree in a round.
JOINED_RULES = {
    "both sides of a pair are nodes of the stored trees, with the same tokens":
        "select count(*) from {p} p left join {t} c on (c.round, c.problem_id, c.node_id) ="
        " (p.round, p.problem_id, p.chosen_node) left join {t} r on (r.round, r.problem_id, r.node_id) ="
        " (p.round, p.problem_id, p.rejected_node) where c.token_ids is distinct from p.chosen_ids"
        " or r.token_ids is distinct from p.rejected_ids or c.parent_id is distinct from p.state_node"
        " or r.parent_id is distinct from p.state_node",
}


def type_name(arrow_type):
    """Dictionaries and lists by what they hold, however the file's writer described them to Arrow."""
    import pyarrow

    if pyarrow.types.is_dictionary(arrow_type):
        arrow_type = arrow_type.value_type
    return f"list<{arrow_type.value_type}>" if pyarrow.types.is_list(arrow_type) else str(arrow_type)


def with_judges(files, expected):
    """The columns of trees, with one for each judge that the files name."""
    import pyarrow.parquet

    names = pyarrow.parquet.read_schema(files[0]).names
    return expected | {name: ("float", True) for name in names if name.startswith("judge_")}


def check_columns(file, table, expected):
    """The file's own schema: names, order, types, and no nulls where none may be."""
    import pyarrow.parquet

    parquet = pyarrow.parquet.ParquetFile(file)
    found = {field.name: type_name(field.type) for field in parquet.schema_arrow}
    wanted = {name: kind for name, (kind, _) in expected.items()}
    problems = [f"{file}: column {name} of {table} is {found.get(name, 'missing')}, not {kind}"
                for name, kind in wanted.items() if found.get(name) != kind]
    problems += [f"{file}: column {name} is no part of {table}" for name in found if name not in wanted]
    if not problems and list(found) != list(wanted):
        problems.append(f"{file}: the columns of {table} are in the order {', '.join(found)}")
    if not problems:
        columns = parquet.read()
        problems += [f"{file}: column {name} has {columns[name].null_count} nulls"
                     for name, (_, nullable) in expected.items() if not nullable and columns[name].null_count]
    return problems


def check_table(name, files, expected, rules, cache):
    """Reads one table with the three libraries; returns the problems found."""
    import datasets
    import pandas

    problems = [problem for file in files for problem in check_columns(file, name, expected)]
    if problems:
        return problems
    rows = {
        "pandas": sum(len(pandas.read_parquet(file)) for file in files),
        "DuckDB": count(f"select count(*) from read_parquet({files})"),
    }
    dataset = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=cache)
    rows["datasets"] = len(dataset)
    print(f"{name}: {len(files)} files; rows: " + ", ".join(f"{key} {number}" for key, number in rows.items()))
    for column, feature in dataset.features.items():
        print(f"    {column}: {feature}")
    if len(set(rows.values())) != 1:
        problems.append(f"{name}: the libraries read different numbers of rows: {rows}")
    if dataset.column_names != list(expected):
        problems.append(f"{name}: datasets reads the columns {dataset.column_names}")
    return problems + check_rules(name, rules, **{name[0]: files})


def count(query):
    import duckdb

    return duckdb.sql(query).fetchall()[0][0]


def check_rules(name, rules, **tables):
    sources = {letter: f"read_parquet({files})" for letter, files in tables.items()}
    broken = {rule: count(query.format(**sources)) for rule, query in rules.items()}
    return [f"{name}: in {rows} rows it is not so that {rule}" for rule, rows in broken.items() if rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("run", type=pathlib.Path, help="the run's folder")
    run = parser.parse_args().run
    try:
        import datasets
        import duckdb  # noqa: F401
        import pandas  # noqa: F401
        import pyarrow  # noqa: F401
    except ImportError as error:
        sys.exit(f"{error.name} is missing; run: python3 -m pip install pandas pyarrow duckdb datasets")
    datasets.disable_progress_bars()

    files = {name: sorted(map(str, run.glob(f"round-*/{name}/*.parquet"))) for name in ("trees", "pairs")}
    problems = [f"{run} has no round-*/{name}/*.parquet" for name in files if not files[name]]
    if not problems:
        with tempfile.TemporaryDirectory() as cache:  # datasets copies what it reads
            problems += check_table("trees", files["trees"], with_judges(files["trees"], TREES), TREE_RULES, cache)
            problems += check_table("pairs", files["pairs"], PAIRS, PAIR_RULES, cache)
    if not problems:
        tables = {"t": files["trees"], "p": files["pairs"]}
        repeated = count(f"select count(*) from (select 1 from read_parquet({files['trees']}) where node_id = 0"
                         " group by round, problem_id having count(*) > 1)")
        if repeated:
            print(f"pairs were not looked up in the trees: {repeated} problems have several trees in a round")
        else:
            problems += check_rules("pairs", JOINED_RULES, **tables)
    for problem in problems:
        print(problem, file=sys.stderr)
    print("all is as documented" if not problems else f"{len(problems)} differences")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
