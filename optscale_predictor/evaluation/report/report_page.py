"""The report's page: one HTML file that needs nothing else, and answers first what it is opened for.

Its size is that of the questions it shows, at most ``instructive.MOST``, some 4 kB each with the few policies
that are shown one by one: it does not grow with the number of questions that were answered.

Writing a report: the page, the pictures and the tables, side by side in a folder.
"""

from dataclasses import dataclass
from pathlib import Path

from optscale_predictor._support.atomic_files import explain_write_errors, write_json, write_text
from optscale_predictor.evaluation.report.comparison import Comparison
from optscale_predictor.evaluation.report.coverage import Kept, promises
from optscale_predictor.evaluation.report.difficulty import GROUPS, MOST, Choice, choose, difficulty, shares_wrong
from optscale_predictor.evaluation.report.formatting import (
    TIMES,
    answer,
    first_answer,
    number,
    percent,
    quality,
    second_answer,
)
from optscale_predictor.evaluation.report.pictures import draw_comparison, new_figure
from optscale_predictor.evaluation.report.policy_series import kinds, shown_singly
from optscale_predictor.evaluation.report.question_details import HEIGHT, WIDTH, Items
from optscale_predictor.evaluation.report.read_runs import normal
from optscale_predictor.evaluation.report.report_charts import (
    accuracy_against,
    by_difficulty,
    legend,
    scores_against_answers,
    single_legend,
)
from optscale_predictor.evaluation.report.report_tables import Table, as_json, policies_table, savings_table
from optscale_predictor.evaluation.report.run_provenance import model_of, prior_of, provenance
from optscale_predictor.evaluation.report.wall_time import Pace, paces, speed_ups
from optscale_predictor.pages import chart_geometry, templating
from optscale_predictor.pages.templating import embedded, environment

MARK = "optscale report"
_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Meter:
    """A share with its interval and what was promised, each in per cent of the meter's width."""

    point: float
    low: float
    high: float
    mark: float


def render_page(comparison: Comparison, title: str, most: int = MOST, command: str = "") -> str:
    """The page, as HTML.

    Args:
        comparison: What to report.
        title: Its heading.
        most: Questions to show at most, >= 1.
        command: That makes the page again; empty where that is not known.
    """
    from optscale_predictor._support.version import __version__

    spread = difficulty(comparison)
    shares, _ = shares_wrong(comparison)
    choice = choose(comparison, shares, most)
    script, style = ((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.js", "report.css"))
    kept, found = promises(comparison), paces(comparison)
    return (
        environment(_TEMPLATES, templating.TEMPLATES)
        .get_template("report.html.jinja")
        .render(
            title=title,
            answer=first_answer(comparison),
            second=second_answer(comparison),
            tiles=_tiles(comparison),
            main_charts=[accuracy_against(comparison, metric) for metric in ("samples", "tokens")],
            savings=savings_table(comparison),
            policies=policies_table(comparison),
            kinds=kinds(comparison),
            legend=legend(comparison),
            single_legend=single_legend(comparison),
            singly=_singly_text(comparison),
            settings=[
                (result.label, result.policy, Path(result.predictor or "").name) for result in comparison.results
            ],
            difficulty=None if spread is None else by_difficulty(comparison, spread),
            reference="" if comparison.reference is None else comparison.reference.label,
            reliability=scores_against_answers(comparison),
            promises=[(row, meter) for row, meter in zip(_promise_rows(kept), map(_meter, kept), strict=True)],
            pace=_pace_table(found),
            speed_ups=speed_ups(found),
            runs=_runs_table(comparison),
            provenance=[*provenance(comparison), *([("Command", command)] if command else [])],
            items=Items(comparison, shares).of(choice),
            choice=_choice_text(choice, len(comparison.questions)),
            groups=[
                (name, meaning, choice.shown[name], choice.totals[name])
                for name, meaning in GROUPS.items()
                if choice.totals[name]
            ],
            strip_width=WIDTH,
            strip_height=HEIGHT,
            chart_width=chart_geometry.WIDTH,
            chart_height=chart_geometry.HEIGHT,
            outlines=chart_geometry.OUTLINES,
            mark=MARK,
            version=__version__,
            **embedded(templating.shared_style() + style, script),
        )
    )


def _tiles(comparison: Comparison) -> list[tuple[str, str]]:
    primary, curve = comparison.primary, comparison.curve
    own = primary.means[comparison.quality].point
    tiles = [
        ("questions", f"{len(comparison.questions):,}"),
        ("left out", f"{comparison.left_out:,}" if comparison.left_out else ""),
        ("runs", f"{len(comparison.runs):,}"),
        ("policies", f"{len(comparison.results):,}"),
        ("accuracy" if comparison.quality == "correct" else "mean score", quality(own, comparison.quality)),
        ("samples a question", number(primary.means["samples"].point, 1)),
        ("tokens a question", number(primary.means["tokens"].point, 0)),
        ("samples kept a question", f"{curve.depth:,}" if curve is not None else ""),
    ]
    return [(label, value) for label, value in tiles if value]


def _promise_rows(kept: list[Kept]) -> list[list[str]]:
    return [
        [
            one.label,
            f"{one.score_min:g}",
            percent(one.alpha),
            f"{one.promised:,}",
            f"{one.confident:,}",
            percent(one.share),
            f"{percent(max(one.low, 0))} to {percent(min(one.high, 1))}",
        ]
        for one in kept
    ]


def _meter(kept: Kept) -> Meter:
    return Meter(*(round(100 * min(max(value, 0), 1), 2) for value in (kept.share, kept.low, kept.high, kept.alpha)))


def _pace_table(found: list[Pace]) -> Table | None:
    if not found:
        return None
    compared = any(one.speed_up is not None for one in found)
    header = ["run", "policy", "seed", "questions", "seconds", "samples/s", "tokens/s"]
    header += ["speed-up", "tokens ratio", "speed-up / ratio"] if compared else []
    rows = []
    for one in found:
        ran = one.policies[0] if len(one.policies) == 1 else f"{len(one.policies)} on the same samples"
        cells = [one.run, ran, f"{one.seed}", f"{one.questions:,}", number(one.seconds, 1)]
        cells += [number(one.samples / one.seconds, 1), number(one.tokens / one.seconds, 0)]
        if compared:
            known = one.speed_up is not None and one.tokens_ratio is not None
            speed, ratio = one.speed_up or 0.0, one.tokens_ratio or 1.0
            cells += [f"{speed:.2f}{TIMES}", f"{ratio:.2f}{TIMES}", f"{speed / ratio:.2f}"] if known else ["", "", ""]
        rows.append(cells)
    return Table("Wall time of each run", header, rows)


def _runs_table(comparison: Comparison) -> Table:
    rows = []
    for run in comparison.runs:
        facts = run.facts
        rows.append(
            [
                run.name,
                "replay of a pool" if facts is None else facts.started,
                "" if run.seed is None else f"{run.seed}",
                model_of(run.generator),
                model_of(run.verifier),
                prior_of(run),
                f"{len(run.cases)}, first {normal(next(iter(run.cases)))}",
            ]
        )
    return Table("Runs", ["run", "started", "seed", "generator", "verifier", "prior", "policies"], rows)


def _singly_text(comparison: Comparison) -> str:
    """Which policies are shown one by one; empty where all are."""
    shown, number_ = len(shown_singly(comparison)), len(comparison.results)
    if shown == number_:
        return ""
    return (
        f"{shown} of the {number_} policies are shown here: the primary one, the reference, and one of each other "
        "series as far as there is room, in the order given."
    )


def _choice_text(choice: Choice, questions: int) -> str:
    """How many questions are shown, and which."""
    if len(choice.places) == questions:
        return f"All {questions:,} questions, those on which policies differ first."
    return (
        f"{len(choice.places):,} of {questions:,} questions: first those on which policies differ, then as many of the "
        "others as there is room for. Where not all of a kind are shown, they are evenly spaced from easy to hard."
    )


#: What a report consists of.
FILES = ("report.html", "curve.png", "curve.svg", "tokens.png", "tokens.svg", "table.md", "table.tex", "table.json")


def write_report(comparison: Comparison, folder: str | Path, title: str, command: str = "") -> list[Path]:
    """Writes all of a report's files into a folder, which is made where needed; earlier ones are replaced.

    Args:
        comparison: What to report.
        folder: Where to.
        title: Of the page and the pictures.
        command: That makes it again; empty where that is not known.

    Returns:
        The files, in the order of ``FILES``.

    Raises:
        InputError: A file cannot be written, or matplotlib is not installed; then nothing is written.
    """
    new_figure()  # says what is missing before anything is computed or written
    folder = Path(folder)
    page = render_page(comparison, title, command=command)
    with explain_write_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_text(page, folder / "report.html")
    for name, metric in (("curve", "samples"), ("tokens", "tokens")):
        paths = [folder / f"{name}.{ending}" for ending in ("png", "svg")]
        with explain_write_errors(paths[0]):
            draw_comparison(comparison, metric, paths, title)
    tables = list(filter(None, (policies_table(comparison), savings_table(comparison))))
    said = answer(comparison)
    markdown = "\n\n".join(f"{table.title}\n\n{table.markdown()}" for table in tables)
    write_text(f"{said}\n\n{markdown}\n", folder / "table.md")
    latex = "\n\n".join(f"% {' '.join(table.title.split())}\n{table.latex()}" for table in tables)
    write_text(f"{latex}\n", folder / "table.tex")
    write_json(as_json(comparison, title, said), folder / "table.json")
    return [folder / name for name in FILES]
