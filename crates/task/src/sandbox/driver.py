"""One half of a judgement: the program, which is called, or the tests, which call it; or a judge by itself.

The halves speak with the arbiter in lines: a word, then JSON. Values travel as trees of plain data; nothing that is received
is ever run.
"""
import collections.abc, ctypes, decimal, fractions, itertools, json, os, sys, types

LONGEST_ITERATOR = 1_000_000


class CannotTravel(Exception):
    """A value that is more than plain data."""


class CannotBeJudged(BaseException):
    """The tests ask for what two processes cannot do. No `except Exception` of theirs takes it for an answer."""


def open_channel():
    """Lines from and to the arbiter on descriptors of their own: what is printed or read goes nowhere."""
    received = os.fdopen(os.dup(0), "r", encoding="utf-8", newline="\n")
    sent = os.fdopen(os.dup(1), "w", encoding="ascii", newline="\n")
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)

    def say(word, value=None):
        sent.write(f"{word} {json.dumps(value)}\n")
        sent.flush()

    return received, sent, say


def forbid_system_calls(instructions):
    """Installs the filter, for this thread and all that it starts."""
    libc = ctypes.CDLL(None, use_errno=True)

    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p)]

    code = bytes.fromhex(instructions)
    no_new_privileges, seccomp, by_filter = 38, 22, 2
    installed = Filter(len(code) // 8, code)
    if libc.prctl(no_new_privileges, 1, 0, 0, 0) or libc.prctl(seccomp, by_filter, ctypes.byref(installed), 0, 0):
        raise OSError(ctypes.get_errno(), "the filter of system calls cannot be installed")


def pack(value):
    """A value as JSON. Subclasses travel as what they extend: their methods could say anything."""
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return ["int", hex(int.__index__(value))]
    if isinstance(value, float):
        return ["float", float.hex(value)]
    if isinstance(value, complex):
        return ["complex", float.hex(value.real), float.hex(value.imag)]
    if isinstance(value, (bytes, bytearray)):
        return ["bytearray" if isinstance(value, bytearray) else "bytes", bytes(value).hex()]
    if isinstance(value, (decimal.Decimal, fractions.Fraction)):
        return ["Decimal" if isinstance(value, decimal.Decimal) else "Fraction", str(value)]
    if isinstance(value, range):
        return ["range", [hex(value.start), hex(value.stop), hex(value.step)]]
    if isinstance(value, dict):
        return ["dict", [[pack(key), pack(item)] for key, item in dict.items(value)]]
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            return [kind.__name__, [pack(item) for item in kind.__iter__(value)]]
    if isinstance(value, type({}.keys())):
        return ["keys", [pack(item) for item in value]]
    if isinstance(value, collections.abc.Iterator):
        items = list(itertools.islice(value, LONGEST_ITERATOR + 1))
        if len(items) <= LONGEST_ITERATOR:
            return ["iterator", [pack(item) for item in items]]
    raise CannotTravel(f"a value of type {type(value).__name__} is not plain data")


def unpack(packed):
    if not isinstance(packed, list):
        return packed
    kind, content = packed[0], packed[1]
    if kind == "int":
        return int(content, 16)
    if kind == "float":
        return float.fromhex(content)
    if kind == "complex":
        return complex(float.fromhex(content), float.fromhex(packed[2]))
    if kind in ("bytes", "bytearray"):
        return {"bytes": bytes, "bytearray": bytearray}[kind].fromhex(content)
    if kind in ("Decimal", "Fraction"):
        return {"Decimal": decimal.Decimal, "Fraction": fractions.Fraction}[kind](content)
    if kind == "range":
        return range(*(int(number, 16) for number in content))
    if kind == "dict":
        return {unpack(key): unpack(item) for key, item in content}
    items = [unpack(item) for item in content]
    if kind == "keys":
        return dict.fromkeys(items).keys()
    return {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset, "iterator": iter}[kind](items)


def described(error):
    try:
        return f"{type(error).__name__}: {error}"[:1000]
    except BaseException:
        return "Exception: one that cannot be printed"


def answer_calls(received, say):
    """The program's half. Whatever it does to this process, all that it can send is an answer to a call."""
    given = json.loads(received.readline())
    # The names of a script, apart from those of this driver, which stays alive by its own reference.
    keep, main = sys.modules["__main__"], types.ModuleType("__main__")
    sys.modules["__main__"] = main
    try:
        exec(compile(given["program"], "<program>", "exec", dont_inherit=True), main.__dict__)
        entry = main.__dict__[given["entry_point"]]
    except BaseException as error:
        return say("failed", described(error))
    say("defined")
    for line in received:
        try:
            call = json.loads(line)
            arguments, named = unpack(call)
            answer = {"returned": pack(entry(*arguments, **named))}
            after = pack([arguments, named])
            if after != call:
                answer["arguments"] = after
        except BaseException as error:
            answer = {"raised": described(error).split(": ", 1)}
        say("answer", answer)


def put_back(original, changed):
    """Gives an argument the content that the call left in its copy, where it is one that can change."""
    if isinstance(original, (list, bytearray)):
        original[:] = changed
    elif isinstance(original, (dict, set)):
        original.clear()
        original.update(changed)


def run_tests(received, say):
    """The tests' half: the program's function is called as if it were here."""
    import builtins

    given = json.loads(received.readline())

    def candidate(*arguments, **named):
        try:
            call = pack([list(arguments), named])
        except CannotTravel as error:
            raise CannotBeJudged(f"the tests hand over {error}")
        say("call", call)
        answer = json.loads(received.readline())
        if "raised" in answer:
            name, message = answer["raised"]
            known = getattr(builtins, name, None)
            is_exception = isinstance(known, type) and issubclass(known, Exception)
            try:
                error = known(message) if is_exception else Exception(f"{name}: {message}")
            except TypeError:
                error = Exception(f"{name}: {message}")
            raise error
        if "arguments" in answer:
            changed_arguments, changed_named = unpack(answer["arguments"])
            for original, changed in zip(arguments, changed_arguments):
                put_back(original, changed)
            for name, changed in changed_named.items():
                put_back(named[name], changed)
        return unpack(answer["returned"])

    tests = {"__name__": "tests"}
    # Tests may use what the head defines before the function that is asked for.
    for head in (given["head"] + "\n    pass\n", given["head"]):
        try:
            exec(compile(head, "<head>", "exec", dont_inherit=True), tests)
            break
        except SyntaxError:
            continue
    tests[given["entry_point"]] = candidate
    try:
        exec(compile(given["check"], "<tests>", "exec", dont_inherit=True), tests)
        check = tests["check"]
    except BaseException as error:
        return say("unjudged", f"the tests do not load: {described(error)}")
    try:
        check(candidate)
    except CannotBeJudged as error:
        return say("unjudged", str(error))
    except BaseException as error:
        return say("failed", described(error))
    say("passed")


def run_lines(received, sent):
    """A program that speaks for itself, in lines."""
    program = json.loads(received.readline())
    sys.stdin, sys.stdout = received, sent
    sent.reconfigure(encoding="utf-8", line_buffering=True)
    keep, main = sys.modules["__main__"], types.ModuleType("__main__")
    sys.modules["__main__"] = main
    exec(compile(program, "<judge>", "exec", dont_inherit=True), main.__dict__)


received, sent, say = open_channel()
forbid_system_calls(json.loads(received.readline()))
if sys.argv[1] == "lines":
    run_lines(received, sent)
    os._exit(0)
say("ready")
{"program": answer_calls, "tests": run_tests}[sys.argv[1]](received, say)
os._exit(0)
