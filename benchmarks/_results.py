"""The page ``RESULTS.md``: what the suite measured, on what, and what it could not run."""

import re
from collections.abc import Mapping, Sequence

from _machine import describe
from _outcomes import Outcome
from _suite import NOT_RUN, PLACES, Benchmark

from optscale_predictor.pages.markdown import table

#: A file with the folders that it lies in, from the root on.
_PATH = re.compile(r"(?<![\w.])/(?:[^\s/:'\"]+/)+([^\s/:'\"]+)")
_LAST = r"\1"

_HEAD = """# Results

Written by `make bench` (`benchmarks/run_all.py`). A ratio is the baseline's cost over ours: above 1, ours costs less.
Sizes are small: they show whether something has become slower, not what a change is worth at full size, which
`docs/experiments/` says. "Others" is the share of the machine's processor time that other programs had while a
benchmark ran: figures of seconds beside a busy neighbour say little. "Processor s" is what the benchmark itself worked,
both sides of every ratio and what they started and waited for.
"""


def results_page(
    outcomes: Sequence[Outcome], suite: Sequence[Benchmark], commit: str, places: Mapping[str, str]
) -> str:
    """The page, in Markdown.

    Args:
        outcomes: Of those that have run, or could not.
        suite: All that there are.
        commit: Of the measured files.
        places: What was given of interpreters, data and the other build.
    """
    done = [one for one in outcomes if one.state == "done"]
    parts = [_HEAD, _machine(commit, places), _ratios(done)]
    if failed := [one for one in outcomes if one.state == "failed"]:
        parts.append(f"## Failed\n\n{_list({one.title: ' / '.join(one.why.splitlines()) for one in failed})}\n")
    lacking = {one.title: one.why for one in outcomes if one.state == "missing"}
    left = [one.title for one in suite if one.title not in {outcome.title for outcome in outcomes}]
    lacking |= dict.fromkeys(left, "not yet run")
    if lacking:
        parts.append(f"## Could not run here\n\n{_list(lacking)}\n")
    parts.append(f"## Not of this suite\n\n{_list(NOT_RUN)}\n")
    return "\n".join(parts)


def _machine(commit: str, places: Mapping[str, str]) -> str:
    rows = {"commit": commit, **describe()}
    if "commit" in places:
        rows["other build"] = places["commit"]
    given = [PLACES[place].partition(" (")[0] for place in ("vllm", "its_hub", "optillm", "data") if place in places]
    rows["given"] = ", ".join(given) or "nothing beside this environment"
    return table(["", ""], [[name, value] for name, value in rows.items()]) + "\n"


def _ratios(done: Sequence[Outcome]) -> str:
    """A line for each benchmark, with the ratio that it names first; below, all of them."""
    rows, every = [], []
    for one in done:
        (first, ratio), *_ = one.ratios.items()
        span = f"{min(one.ratios.values()):.3g} to {max(one.ratios.values()):.3g}, {len(one.ratios)} ratios"
        quiet = [f"{one.seconds:.0f}", f"{one.work:.0f}", f"{one.others:.0%}"]
        quiet += [f"{one.load_before:.1f} / {one.load_after:.1f}", one.at]
        rows.append([one.title, one.baseline, first, f"{ratio:.3g}", span if len(one.ratios) > 1 else "", *quiet])
        every += [[one.title, name, f"{value:.3g}"] for name, value in one.ratios.items()]
    heads = ["benchmark", "baseline", "first cost", "ratio", "all its ratios", "seconds", "processor s", "others"]
    table_ = table([*heads, "load before / after", "ended"], rows)
    return f"{table_}\n\n## Every ratio\n\n{table(['benchmark', 'cost', 'ratio'], every)}\n"


def _list(found: Mapping[str, str]) -> str:
    """What is said of each, folders of this machine left out."""
    return "\n".join(f"- `{name}`: {_PATH.sub(_LAST, why)}" for name, why in found.items())
