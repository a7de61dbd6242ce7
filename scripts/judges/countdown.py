"""Judges Countdown: does the answer make the target from the numbers in [brackets], each used at most once?

For `--judge "command:python3 scripts/judges/countdown.py"`: a question a line, and its answer.
"""
import ast, collections, fractions, json, operator, re, sys

OPERATIONS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


def value(node, used):
    if isinstance(node, ast.Constant) and type(node.value) is int:
        used.append(node.value)
        return fractions.Fraction(node.value)
    return OPERATIONS[type(node.op)](value(node.left, used), value(node.right, used))


def judge(question, answer):
    inside = re.search(r"\[([\d, ]+)\]", question)
    target = inside and re.findall(r"\d+", question.replace(inside[0], ""))
    if not target or len(target) != 1:
        return None
    used, (calculation, _, result) = [], (answer or "").partition("=")
    try:
        made = value(ast.parse(calculation.strip(), mode="eval").body, used)
        allowed = collections.Counter(map(int, inside[1].split(",")))
        return made == int(target[0]) == int(result or target[0]) and not collections.Counter(used) - allowed
    except (SyntaxError, ValueError, KeyError, AttributeError, ZeroDivisionError, RecursionError, MemoryError):
        return False


for line in sys.stdin:
    asked = json.loads(line)
    score = judge(asked["problem"]["question"], asked["answer"])
    print(json.dumps({"id": asked["id"], "score": score}), flush=True)
