"""The page ``RESULTS.md``: what the suite measured, on what, and what it could not run."""

from collections.abc import Mapping, Sequence

from _machine import describe
from _outcomes import Outcome
from _suite import NOT_RUN, PLACES, Benchmark

from optscale_predictor.pages.markdown import table

_HEAD = """# Results

Written by `make bench` (`benchmarks/run_all.py`). A ratio is the baseline's cost over ours: above 1, ours costs less.
Sizes are small: they show whether something has become slower, not what a change is worth at full size, which
`docs/experiments/` says. "Others" is the share of the machine's processor time that other programs had while a
benchmark ran: figures of seconds beside a busy neighbour say little.
"""


def results_page(
    outcomes: Sequence[Outcome], chosen: Sequence[Benchmark], commit: str, places: Mapping[str, str]
) -> str:
    """The page, in Markdown.

    Args:
        outcomes: Of those that have run, or could not.
        chosen: Of the call.
        commit: Of the measured files.
        places: What was given of interpreters, data and the other build.
    """
    done = [one for one in outcomes if one.state == "done"]
    parts = [_HEAD, _machine(commit, places), _ratios(done)]
    if failed := [one for one in outcomes if one.state == "failed"]:
        parts.append(f"## Failed\n\n{_list({one.title: ' / '.join(one.why.splitlines()) for one in failed})}\n")
    lacking = {one.title: one.why for one in outcomes if one.state == "missing"}
    left = [one.title for one in chosen[len(outcomes) :]]
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
    rows = []
    for one in done:
        for number, (name, ratio) in enumerate(one.ratios.items()):
            quiet = [f"{one.seconds:.0f}", f"{one.others:.0%}", f"{one.load_before:.1f} / {one.load_after:.1f}", one.at]
            first = [one.title, name, one.baseline, f"{ratio:.3g}"]
            rows.append([*first, *(quiet if number == 0 else [""] * len(quiet))])
    heads = ["benchmark", "cost", "baseline", "ratio", "seconds", "others", "load before / after", "ended"]
    return table(heads, rows) + "\n"


def _list(found: Mapping[str, str]) -> str:
    return "\n".join(f"- `{name}`: {why}" for name, why in found.items())
