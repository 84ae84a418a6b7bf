"""The model card: what a predictor predicts and for whom, what it was made from, what was measured, how to use it.

Written from the checkpoint's config and, where there is one, the assessment that ``optscale assess`` wrote. Nothing is
claimed that was not measured, and nothing names the machine that it was made on.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optscale_predictor._support.version import __version__
from optscale_predictor.backends.adapters.base_model import folder_name, is_folder
from optscale_predictor.backends.model_names import public_name
from optscale_predictor.backends.model_source import ModelSource
from optscale_predictor.pages.cards import front_matter, require_license
from optscale_predictor.pages.markdown import bullets, code, escape, flat, settings_table, table
from optscale_predictor.pages.templating import environment
from optscale_predictor.predictor.checkpoint.measured_figures import (
    METRICS,
    assessment_notes,
    assessment_tables,
    figures_of,
    number,
)
from optscale_predictor.predictor.model.config import PredictorConfig, ScoreSource

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
        assessment: What ``optscale assess`` wrote; without it the card shows what training measured.
        license: As the hub names it (``mit``, ``cc-by-4.0``); without one the card leaves it to be filled in.
        repo_id: Where it is going to be; by default its snippets speak of the folder that they lie in.

    Raises:
        InputError: The licence is not a name that the hub could know, or the assessment is none.
    """
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
            data={name: _without_path(value) for name, value in flat(config.data).items()},
            tables=tables,
            measured=[] if tables else [(_meaning(name), number(value)) for name, value in figures.items()],
            notes=[] if assessment is None else [escape(note) for note in assessment_notes(assessment)],
            checkpoint=repo_id or ".",
            checkpoint_comment="" if repo_id else "  # this folder, or the hub id of a repository that holds it",
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
    base = ModelSource.from_json(config.base_source).base_terms
    needed = None if license else f"{base}, the questions, and the generator's and verifier's terms"
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
        **ModelSource.from_json(config.base_source).card_rows,
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
    return {name: _without_path(value) for name, value in shown.items()}


def _said(name: str | None) -> str:
    return "not recorded" if name is None else public_name(name)


def _without_path(value: object) -> object:
    """A recorded value, without the path of a file on the machine that recorded it."""
    return public_name(value) if isinstance(value, str) and value.startswith(("/", "~")) else value


def _meaning(name: str) -> str:
    """A figure in words; after a slash stands the source that it is of."""
    figure, _, source = name.partition("/")
    words = METRICS[figure][1] if figure in METRICS else code(figure)
    return f"{words}, source {code(source)}" if source else words
