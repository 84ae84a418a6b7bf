"""An assessment as files: Markdown, JSON, and a picture where matplotlib is installed."""

import json
import math
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from optscale_predictor.assessment.assessment import Assessment
from optscale_predictor.assessment.comparison import ALONE
from optscale_predictor.assessment.pictures import draw
from optscale_predictor.assessment.savings import CONSTANT, NONE, PREDICTOR, TRUE
from optscale_predictor.assessment.tables import markdown
from optscale_predictor.errors import InputError, MissingExtraError

_TABLES = ("accuracy", "calibration", "means", "savings", "strengths")


def figures(assessment: Assessment) -> dict[str, float]:
    """The numbers that a model card shows, by flat names; what is not known is left out.

    ``r2_mean``, ``r2_mean_error`` and so on for the predictor; ``best_baseline_r2_mean`` for the best of the others;
    ``samples_0.95_at_99_predictor`` for samples a question at score_min 0.95 and 99% of the hit rate of all samples.
    """
    *others, ours = assessment.accuracy
    found = {"questions": float(assessment.questions), "training_questions": float(assessment.training_questions)}
    for name, figure in ours.figures.items():
        found |= {name: figure.mean, f"{name}_error": figure.error}
        theirs = [row.figures[name].mean for row in others if row.name != ALONE]
        theirs = [value for value in theirs if not math.isnan(value)]
        found[f"best_baseline_{name}"] = max(theirs, default=math.nan)
    kept = assessment.calibration
    found |= {f"coverage_{100 * level:g}": held for level, held in zip(kept.levels, kept.coverage, strict=True)}
    kinds = [one.kind for one in assessment.savings][:1]
    for one in assessment.savings:
        if one.kind in kinds and one.prior in (NONE, CONSTANT, PREDICTOR, TRUE):
            for share, at in one.at.items():
                name = f"{one.score_min:g}_at_{100 * share:g}_{one.prior.replace(' ', '_')}"
                found |= {f"samples_{name}": at.samples.mean, f"fewer_{name}": at.fewer.of.mean}
                found[f"hit_rate_{one.score_min:g}_at_{100 * share:g}"] = at.hit_rate
    return {name: value for name, value in found.items() if math.isfinite(value)}


def as_json(assessment: Assessment) -> dict[str, Any]:
    """The assessment as JSON types: ``figures`` (see :func:`figures`), ``tables``, and what it is of.

    What is not known is null.
    """
    content = _plain(assessment)
    tables = {name: content.pop(name) for name in _TABLES}
    return {**content, "figures": figures(assessment), "tables": tables}


def write_assessment(assessment: Assessment, folder: str | Path) -> list[Path]:
    """Writes ``assessment.md``, ``assessment.json`` and, with matplotlib, ``assessment.png``; returns what it wrote.

    Raises:
        InputError: The folder cannot be written.
    """
    folder = Path(folder)
    page, content, picture = (folder / f"assessment.{ending}" for ending in ("md", "json", "png"))
    written = [page, content]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        page.write_text(markdown(assessment), encoding="utf-8")
        content.write_text(json.dumps(as_json(assessment), indent=2, allow_nan=False) + "\n", encoding="utf-8")
        draw(assessment, picture)
        written.append(picture)
    except MissingExtraError:
        pass
    except OSError as error:
        raise InputError(f"{folder}: cannot write the assessment: {error.strerror or error}") from error
    return written


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(part) for name, part in vars(value).items()}
    if isinstance(value, dict):
        return {f"{key:g}" if isinstance(key, float) else str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value
