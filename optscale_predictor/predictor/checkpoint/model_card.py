"""Measured numbers as a model card shows them: from training's own record, or from what ``optscale assess`` wrote.

``assessment.json`` holds ``figures`` (flat names and numbers), ``tables`` (what they are drawn from) and ``notes``.
What of these is missing is left out; what is there and not as expected is an error.

The model card: what a predictor predicts and for whom, what it was made from, what was measured, how to use it.

Written from the checkpoint's config and, where there is one, the assessment that ``optscale assess`` wrote. Nothing is
claimed that was not measured, and nothing names the machine that it was made on.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optscale_predictor.errors import InputError
from optscale_predictor.pages.cards import front_matter, require_license
from optscale_predictor.pages.markdown import bullets, code, escape, flat, settings_table, table
from optscale_predictor.pages.templating import environment
from optscale_predictor.predictor.checkpoint.base_folder import folder_name, is_folder
from optscale_predictor.predictor.config import PredictorConfig
from optscale_predictor.predictor.provenance.score_source import ScoreSource, public_name

#: What figures are called: by the hub, and in words.
METRICS = {
    "r2_mean": ("r_squared", "R² of the mean score"),
    "r2_std": ("r_squared", "R² of the scores' standard deviation"),
    "spearman_mean": ("spearmanr", "Spearman correlation of the mean score"),
    "spearman_std": ("spearmanr", "Spearman correlation of the scores' standard deviation"),
    "log_likelihood": ("log_likelihood", "log-likelihood of a held-out score"),
    "log_evidence": ("log_evidence", "log evidence of a held-out question's scores"),
    "coverage_50": ("interval_coverage", "share of mean scores in 50% intervals"),
    "coverage_80": ("interval_coverage", "share of mean scores in 80% intervals"),
    "coverage_95": ("interval_coverage", "share of mean scores in 95% intervals"),
}

_ACCURACY = ("r2_mean", "r2_std", "spearman_mean", "spearman_std", "log_likelihood", "log_evidence")


def figures_of(config: PredictorConfig, assessment: Mapping[str, Any] | None) -> dict[str, float]:
    """The flat figures: of the assessment, or else of training.

    Raises:
        InputError: The assessment has none.
    """
    if assessment is None:
        return dict(config.metrics)
    figures = assessment.get("figures")
    if not isinstance(figures, Mapping) or not all(_is_number(value) for value in figures.values()):
        raise InputError("the assessment's figures must be an object of numbers")
    return {str(name): float(value) for name, value in figures.items()}


def assessment_tables(assessment: Mapping[str, Any]) -> dict[str, str]:
    """Markdown tables by their captions: accuracy against baselines, calibration, samples saved.

    Raises:
        InputError: A table is not as ``optscale assess`` writes it.
    """
    tables, questions = assessment.get("tables", {}), int(assessment.get("questions") or 0)
    accuracy = f"Accuracy on {questions:,} questions, ± one standard error (baselines know the same training data):"
    coverage = "Calibration: the share of questions whose observed mean score lies in the predicted interval:"
    try:
        found = {accuracy: _accuracy(tables.get("accuracy", [])), coverage: _coverage(tables.get("calibration") or {})}
        found |= _savings(tables.get("savings", []))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise InputError(f"the assessment's tables are not as optscale assess writes them: {error!r}") from error
    return {caption: text for caption, text in found.items() if text}


def assessment_notes(assessment: Mapping[str, Any]) -> list[str]:
    """What a reader must know besides the numbers."""
    notes = assessment.get("notes", [])
    return [str(note) for note in notes] if isinstance(notes, list) else []


def number(value: float) -> str:
    """A figure with four digits, or as a whole number."""
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:.4g}"


def _accuracy(rows: list[dict[str, Any]]) -> str:
    known = [name for name in _ACCURACY if any(row["figures"].get(name, {}).get("mean") is not None for row in rows)]
    cells = [[escape(row["name"]), *(_estimate(row["figures"].get(name)) for name in known)] for row in rows]
    return table(["prediction", *(METRICS[name][1] for name in known)], cells) if cells else ""


def _coverage(found: Mapping[str, Any]) -> str:
    levels = found.get("levels", [])
    errors = found.get("coverage_error") or [None] * len(levels)
    cells = [
        [f"{level:.0%}", f"{held:.1%}" + ("" if error is None else f" ± {error:.1%}")]
        for level, held, error in zip(levels, found.get("coverage", []), errors, strict=True)
    ]
    return table(["interval", "holds"], cells) if cells else ""


def _savings(rows: list[dict[str, Any]]) -> dict[str, str]:
    """One table for each target score and origin of the scores: samples a question at equal hit rates."""
    found = {}
    for kind, target in dict.fromkeys((row["kind"], row["score_min"]) for row in rows):
        own = [row for row in rows if (row["kind"], row["score_min"]) == (kind, target)]
        shares = list(own[0]["at"])
        header = ["prior", *(f"at hit rate {own[0]['at'][share]['hit_rate']:.3f}" for share in shares)]
        cells = [
            [escape(row["prior"]), *(_estimate(row["at"][share]["samples"], 2) for share in shares)] for row in own
        ]
        caption = f"Samples a question at equal hit rates, target score {target:g} ({escape(str(kind))}):"
        found[caption] = table(header, cells)
    return found


def _estimate(one: Mapping[str, Any] | None, digits: int = 3) -> str:
    if not one or one.get("mean") is None:
        return ""
    error = one.get("error")
    return f"{one['mean']:.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


CARD = "README.md"

_TEMPLATES = Path(__file__).parent / "templates"
_LIBRARY, _TASK = "optscale-predictor", "text-scoring"
_TAGS = ("optscale", "best-of-n", "test-time-compute", "reward-model")


def render_card(
    config: PredictorConfig,
    assessment: Mapping[str, Any] | None = None,
    license: str | None = None,
    repo_id: str | None = None,
) -> str:
    """The card, as Markdown with the hub's metadata at its top.

    Args:
        config: The predictor's.
        assessment: What ``optscale assess`` wrote; see ``reported``.
        license: As the hub names it (``mit``, ``cc-by-4.0``); without one the card leaves a place for it.
        repo_id: Where it is going to be; by default its snippets speak of the folder that they lie in.

    Raises:
        InputError: The licence is not a name that the hub could know, or the assessment is none.
    """
    from optscale_predictor._support.version import __version__

    require_license(license)
    several = len(config.sources) > 1
    first = config.sources[0].name
    figures = figures_of(config, assessment)
    tables = {} if assessment is None else assessment_tables(assessment)
    return (
        environment(_TEMPLATES)
        .get_template("card.md.jinja")
        .render(
            front_matter=_metadata(config, figures, license, repo_id, _split_of(assessment)),
            title=f"OptScale predictor on {folder_name(config.base_model)}",
            base_note=_base_note(config),
            version=__version__,
            made_of=_made_of(config),
            sources=[{"name": source.name, "settings": _settings(source)} for source in config.sources],
            data={name: _without_place(value) for name, value in flat(config.data).items()},
            tables=tables,
            measured=[] if tables else [(_meaning(name), number(value)) for name, value in figures.items()],
            notes=[] if assessment is None else [escape(note) for note in assessment_notes(assessment)],
            place=repo_id or ".",
            place_comment="" if repo_id else "  # this folder, or the hub id of a repository that holds it",
            source_argument=f", source={json.dumps(first)}" if several else "",
            source_flag=f" --source {json.dumps(first)}" if several else "",
            max_length=config.max_length,
            json=json.dumps,
            escape=escape,
            code=code,
            settings_table=settings_table,
            table=table,
            bullets=bullets,
        )
    )


def _split_of(assessment: Mapping[str, Any] | None) -> str:
    """The side of the split that the numbers are of."""
    split = (assessment or {}).get("split")
    return split if split in ("validation", "test") else "validation"


def _metadata(
    config: PredictorConfig, figures: Mapping[str, float], license: str | None, repo_id: str | None, split: str
) -> str:
    """The hub's metadata, which open the card."""
    from huggingface_hub import EvalResult, ModelCardData

    fingerprint = str(config.data.get("fingerprint", "")) or "not recorded"
    results = [
        EvalResult(
            task_type=_TASK,
            task_name="Prior of verifier scores",
            dataset_type="optscale-targets",
            dataset_name=f"held-out questions of targets {fingerprint}",
            dataset_split=split,
            metric_type=METRICS[name][0],
            metric_name=METRICS[name][1],
            metric_value=value,
        )
        for name, value in figures.items()
        if name in METRICS
    ]
    on_hub = config.base_model.count("/") == 1 and not is_folder(config.base_model)
    content = ModelCardData(
        library_name=_LIBRARY,
        license=license,
        base_model=config.base_model if on_hub else None,
        base_model_relation=("merge" if config.merged else "adapter") if on_hub else None,
        datasets=_datasets(config.data) or None,
        metrics=sorted({METRICS[name][0] for name in figures if name in METRICS}) or None,
        tags=[*_TAGS, *([] if config.merged else ["lora", "peft"])],
        model_name=(repo_id or "optscale-predictor").rpartition("/")[2] if results else None,
        eval_results=results or None,
    )
    needed = None if license else "the base model, the questions, and the generator's and verifier's terms"
    return front_matter(content, needed)


def _datasets(data: Mapping[str, Any]) -> list[str]:
    """Data sets of the hub that training's record names."""
    named = data.get("datasets", data.get("dataset", []))
    every: Sequence[object] = named if isinstance(named, list) else [named]
    return [name for name in every if isinstance(name, str) and name.count("/") == 1 and public_name(name) == name]


def _made_of(config: PredictorConfig) -> dict[str, object]:
    base = folder_name(config.base_model)
    return {
        "base model": f"{base} (merged into this checkpoint)" if config.merged else base,
        "pooling": f"{config.pooling}, {config.layers} hidden layer{'s' if config.layers == 'all' else ''}",
        "head": config.head,
        "family": config.family,
        **{f"head, {name}": size for name, size in config.head_sizes.items()},
        **({"may be told besides": ", ".join(config.labels)} if config.labels else {}),
    }


def _base_note(config: PredictorConfig) -> str:
    """What a reader must know of a base that has no name for others; empty where it has one, or is not needed."""
    if config.merged or not is_folder(config.base_model):
        return ""
    return (
        f"The base model {code(folder_name(config.base_model))} was a folder of the machine that trained the "
        "predictor; no name that others could load it by is known, and whoever loads the predictor needs its weights "
        "(`base_model=FOLDER`)."
    )


def _settings(source: ScoreSource) -> dict[str, object]:
    """A source's settings as the card shows them; what was not recorded is said to be."""
    whole = source.as_dict()
    shown: dict[str, object] = {"generator": _said(source.generator)}
    shown |= {name: value for name, value in flat(whole["decoding"]).items()}
    shown |= {"verifier": _said(source.verifier), **flat(whole["reading"])}
    if source.aggregation is not None:
        shown["aggregation"] = source.aggregation
    if source.score_map is not None:
        shown |= flat({"score map": whole["score_map"]})
    return {name: _without_place(value) for name, value in shown.items()}


def _said(name: str | None) -> str:
    return "not recorded" if name is None else public_name(name)


def _without_place(value: object) -> object:
    """A recorded value, without the place of a file on the machine that recorded it."""
    return public_name(value) if isinstance(value, str) and value.startswith(("/", "~")) else value


def _meaning(name: str) -> str:
    """A figure in words; after a slash stands the source that it is of."""
    figure, _, source = name.partition("/")
    words = METRICS[figure][1] if figure in METRICS else code(figure)
    return f"{words}, source {code(source)}" if source else words
