"""The verb that measures a predictor: assess."""

import logging
from pathlib import Path

from optscale_predictor._support.extras import pictures_drawn
from optscale_predictor._support.messages import say_loading
from optscale_predictor._support.outputs import require_folder
from optscale_predictor.errors import InputError

_LOG = logging.getLogger(__name__)


def assess(
    predictor: str,
    targets: str,
    split: str = "validation",
    pool: str | None = None,
    source: str | None = None,
    output: str | None = None,
    score_min: str = "0.95 0.98",
    alpha: float = 0.95,
    floor: float = 0.2,
    max_samples: int = 32,
    hit_share: str = "0.95 0.99",
    strengths: str = "1 2 4 8 16 32 64",
    assumed_samples: float = 64.0,
    resamples: int = 500,
    seed: int = 0,
) -> None:
    """Measure a predictor on held-out questions: accuracy against baselines, calibration, and the samples it saves.

    Args:
        predictor: Predictor checkpoint: a folder or hub id.
        targets: Parquet of `optscale targets`, or JSON lines with `question`, `mean` and `std`.
        split: The split that is held out, `validation` or `test`. Baselines are fitted to the questions of `train`.
        pool: Scored pool that has the held-out questions: its recorded samples are replayed to measure what is saved.
            Without one, scores are simulated from each question's moments.
        source: Whose scores, where the predictor has learnt those of several sources.
        output: Folder for assessment.md, assessment.json and, with matplotlib, assessment.png.
        score_min: Target scores, separated by spaces, each in [0, 1].
        alpha: Target probability, in (0, 1), of the policy that is shown as it comes; comparisons sweep it.
        floor: Least probability of reaching the target at which it goes on, in [0, 1); likewise. It gives up at once
            below it (min_gain=1), as a hit rate counts nothing else.
        max_samples: Cap on a question's samples, in [2, 16384].
        hit_share: Hit rates at which samples are compared, as shares of what max_samples reach, separated by spaces.
        strengths: Fixed strengths that the learned one is compared with, separated by spaces, each >= 1.
        assumed_samples: Scores behind the moments of a question whose targets do not say, >= 1.
        resamples: Of the bootstrap over questions, in [200, 100000].
        seed: Of folds, simulated scores and bootstrap, >= 0.
    """
    score_mins, shares = _numbers(score_min, "score_min"), _numbers(hit_share, "hit_share")
    fixed = _numbers(strengths, "strengths")
    if (Path(targets) / "manifest.json").is_file():
        raise InputError(
            f"{targets}: a pool, and targets are asked for: `optscale targets {targets} --output targets.parquet` "
            "makes them, and --pool takes the pool beside them"
        )
    if output is not None:
        require_folder(output)
    pictures = output is not None and pictures_drawn()
    say_loading(f"PyTorch, transformers and {predictor}", "torch", "transformers")
    from optscale_predictor.evaluation.assessment import Settings, markdown, write_assessment
    from optscale_predictor.evaluation.assessment import assess as run

    settings = Settings(score_mins, alpha, floor, max_samples, shares, assumed_samples, fixed, resamples, seed)
    found = run(predictor, targets, split, pool, source, settings)
    print(markdown(found), end="")
    if output is not None:
        for path in write_assessment(found, output, pictures):
            _LOG.info(f"wrote {path}")


def _numbers(text: str, name: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split())
    except ValueError:
        raise InputError(f"{name} must be numbers separated by spaces, got {text!r}") from None
