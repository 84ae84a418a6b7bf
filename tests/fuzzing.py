"""Inputs that resemble sound ones: parts of them replaced, repeated, cut off; and what becomes of them in a reader.

Hypothesis draws the changes, and makes a failing input small before it shows it; ``.hypothesis`` keeps it, and the
next run tries it first. Inputs of an earlier failure that is mended stay in ``fuzz_seeds.py``.
"""

import json
import os
import time

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from measured_call import measure

#: Seconds that each reader is fuzzed for in the full tier.
SECONDS = float(os.environ.get("FUZZ_SECONDS", "600"))
#: The first of the seeds that hypothesis draws from; a run of another explores other inputs.
FIRST_SEED = int(os.environ.get("FUZZ_SEED", "0"))
_CHUNK = 1000  # inputs of one seed

#: What stands for a value in JSON, besides what hypothesis makes up.
ODD_VALUES = (
    None, True, False, 0, -1, 1, 2, 0.5, -0.0, 1e-300, 1e300, 10**30, 2**31, 2**63, -(2**63), 10**307,
    float("nan"), float("inf"), float("-inf"), "", " ", "a\0b", "\ud800", "\udfff\ud800", "\x1b[2J", "1e9", "NaN",
    "../..", "/", "\n", "x" * 300, [], {}, [None], [[]], {"": None}, [1, "a", None],
)  # fmt: skip
#: What is written into a text.
TOKENS = (
    b"", b"\0", b"\n", b"\r", b",", b":", b"=", b"{", b"}", b"[", b"]", b'"', b"\\", b"\\u", b"\\ud800", b"'", b"#",
    b"-", b"- ", b"---\n", b"&a ", b"*a", b"!!int ", b"<<: ", b"|", b">", b"%", b"1e999", b"9" * 30, b"nan", b"inf",
    b"-1", b"0x", b"null", b"true", b"\xff", b"\xc3", b"\xef\xbb\xbf", b"\xf0\x9f\x98\x80", b"\x1f\x8b", b"{question}",
    b"\\boxed{", b"$", b"^{", b"_", b"\\frac", b"<think>", b"</think>", b"####", "²".encode(), "١".encode(),
)  # fmt: skip

_values = st.one_of(
    st.sampled_from(ODD_VALUES),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=6,
    ),
)


@st.composite
def changed_json(draw, value):
    """JSON like ``value``: a few of its parts are others, gone, twice there or renamed."""
    for _ in range(draw(st.integers(1, 3))):
        value = _change(draw, value)
    return value


def _change(draw, value):
    if isinstance(value, dict | list) and value and draw(st.integers(0, 5)):
        keys = sorted(value) if isinstance(value, dict) else range(len(value))
        key = draw(st.sampled_from(list(keys)))
        copy = dict(value) if isinstance(value, dict) else list(value)
        how = draw(st.sampled_from(("within", "within", "other", "gone", "more")))
        if how == "within":
            copy[key] = _change(draw, value[key])
        elif how == "other":
            copy[key] = draw(_values)
        elif how == "gone":
            copy.pop(key)
        elif isinstance(copy, dict):
            copy[draw(st.text(max_size=8))] = copy[key]
        else:
            copy.insert(0, copy[key])
        return copy
    if isinstance(value, int | float) and not isinstance(value, bool) and draw(st.booleans()):
        return draw(st.sampled_from((-value, value * 2, value + 1, value - 1, float(value), value * 1e9)))
    return draw(_values)


@st.composite
def changed_bytes(draw, content):
    """Bytes like ``content``: cut off, or with parts gone, twice there, or replaced by what means something."""
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 12)))
        how = draw(st.sampled_from(("token", "token", "bytes", "gone", "twice", "cut", "many")))
        if how == "cut":
            content = content[:start]
            continue
        middle = {
            "token": lambda: draw(st.sampled_from(TOKENS)),
            "bytes": lambda: draw(st.binary(max_size=6)),
            "gone": lambda: b"",
            "twice": lambda part=content[start:end]: part * 2,
            "many": lambda: draw(st.sampled_from(TOKENS)) * draw(st.sampled_from((10, 150, 5000))),
        }[how]()
        content = content[:start] + middle + content[end:]
    return content


def as_json(strategy):
    """The bytes of JSON values."""
    return strategy.map(lambda value: json.dumps(value).encode())


def inputs(target):
    """What a reader is given: sound inputs, and such as resemble them."""
    made = [changed_bytes(content) for content in target.sound]
    made += [as_json(changed_json(json.loads(content))) for content in target.sound if target.is_json]
    return st.one_of(*made)


def fuzz(target, folder, seconds=None, examples=None):
    """Gives a reader one input after another; returns how many, and how many of them it refused.

    Args:
        target: What is fuzzed.
        folder: Where its files are written.
        seconds: For how long, of the clock; None: for ``examples`` inputs.
        examples: How many, where no time is given.
    """
    counts, start, own_seed = {"tried": 0, "refused": 0}, time.monotonic(), FIRST_SEED
    while True:
        _chunk(target, folder, counts, own_seed, examples or _CHUNK)
        own_seed += 1
        if seconds is None or time.monotonic() - start > seconds:
            return counts


def _chunk(target, folder, counts, own_seed, examples):
    @seed(own_seed)
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
    @given(inputs(target))
    def all_right(content):
        counts["tried"] += 1
        counts["refused"] += require_right(target, content, folder)

    all_right()


def require_right(target, content, folder):
    """Whether a reader refuses an input in one line; it may also read it, and nothing else."""
    ending = measure(target.read, content, folder)
    if ending.wrong() and not ending.fault:
        # The first call of a process loads modules, and any may meet a collection of garbage.
        ending = measure(target.read, content, folder)
    assert not ending.wrong(), f"{target.name}: {content[:300]!r}: {ending.wrong()}"
    return ending.error is not None
