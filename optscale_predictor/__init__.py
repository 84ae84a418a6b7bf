"""Adaptive Best-of-N for language models: spend on each question the fewest samples that reach a target score.

Everything named here is loaded on first use, so ``import optscale_predictor`` is fast and loads neither torch nor
lm-eval. Source of the method: OptScale, arXiv 2506.22376.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from optscale_predictor._support.version import __version__

if TYPE_CHECKING:
    from optscale_predictor.inference import OptScale
    from optscale_predictor.predictor import OptScalePredictor
    from optscale_predictor.questions.answers import answers_equal, extract_answer, is_correct
    from optscale_predictor.stats.bound import num_samples
    from optscale_predictor.stats.distributions import TruncatedNormal
    from optscale_predictor.stats.estimators import Prior, fit_map, fit_mle


_HOMES = {
    "OptScale": "inference",
    "OptScalePredictor": "predictor",
    "Prior": "stats.estimators",
    "TruncatedNormal": "stats.distributions",
    "answers_equal": "questions.answers",
    "extract_answer": "questions.answers",
    "fit_map": "stats.estimators",
    "fit_mle": "stats.estimators",
    "is_correct": "questions.answers",
    "num_samples": "stats.bound",
}

__all__ = [
    "OptScale",
    "OptScalePredictor",
    "Prior",
    "TruncatedNormal",
    "__version__",
    "answers_equal",
    "extract_answer",
    "fit_map",
    "fit_mle",
    "is_correct",
    "num_samples",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
