"""Adaptive Best-of-N for language models: spend on each question the fewest samples that reach a target score.

Source of the method: OptScale, arXiv 2506.22376. What a notebook needs is here:

- statistics: :class:`TruncatedNormal`, :class:`Prior`, :class:`LearntPrior`, :func:`fit_mle`, :func:`fit_map`,
  :func:`num_samples`, :class:`Calibration`;
- questions and answers: :class:`Question`, :func:`load_question_set`, :func:`extract_answer`, :func:`is_correct`,
  :func:`answers_equal`;
- models: :class:`GeneratorOptions` with :class:`SamplingParams`, :class:`VerifierOptions`, :class:`OptScalePredictor`;
- runs: :class:`OptScale` with :class:`Limits` gives :class:`Answer`; :func:`parse_policy`;
- recorded samples: :class:`Pool`, :class:`RecordedSamples`, :func:`replay` of each :class:`ReplayEntry`;
- bad input, wherever it comes from, is an :class:`InputError`.

A name's module is loaded when the name is first used, so that ``import optscale_predictor`` is fast and loads neither
NumPy nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

# Type checkers read this block and Python reads ``_MODULES``; a test holds the two against each other.
if TYPE_CHECKING:
    from optscale_predictor._support.version import __version__
    from optscale_predictor.backends.generators import SamplingParams
    from optscale_predictor.backends.options import GeneratorOptions, VerifierOptions
    from optscale_predictor.errors import InputError
    from optscale_predictor.inference import Answer, Limits, OptScale
    from optscale_predictor.policies import parse_policy
    from optscale_predictor.pools import Pool
    from optscale_predictor.predictor import OptScalePredictor
    from optscale_predictor.questions.answers import answers_equal, extract_answer, is_correct
    from optscale_predictor.questions.question import Question
    from optscale_predictor.questions.question_sets import load_question_set
    from optscale_predictor.replays import RecordedSamples, ReplayEntry, replay
    from optscale_predictor.stats.bound import num_samples
    from optscale_predictor.stats.calibration import Calibration
    from optscale_predictor.stats.distributions import TruncatedNormal
    from optscale_predictor.stats.estimators import Prior, fit_map, fit_mle
    from optscale_predictor.stats.estimators.learnt_prior import LearntPrior

_MODULES = {
    "Answer": "inference",
    "Calibration": "stats.calibration",
    "GeneratorOptions": "backends.options",
    "InputError": "errors",
    "LearntPrior": "stats.estimators.learnt_prior",
    "Limits": "inference",
    "OptScale": "inference",
    "OptScalePredictor": "predictor",
    "Pool": "pools",
    "Prior": "stats.estimators",
    "Question": "questions.question",
    "RecordedSamples": "replays",
    "ReplayEntry": "replays",
    "SamplingParams": "backends.generators",
    "TruncatedNormal": "stats.distributions",
    "VerifierOptions": "backends.options",
    "__version__": "_support.version",
    "answers_equal": "questions.answers",
    "extract_answer": "questions.answers",
    "fit_map": "stats.estimators",
    "fit_mle": "stats.estimators",
    "is_correct": "questions.answers",
    "load_question_set": "questions.question_sets",
    "num_samples": "stats.bound",
    "parse_policy": "policies",
    "replay": "replays",
}

__all__ = [
    "Answer",
    "Calibration",
    "GeneratorOptions",
    "InputError",
    "LearntPrior",
    "Limits",
    "OptScale",
    "OptScalePredictor",
    "Pool",
    "Prior",
    "Question",
    "RecordedSamples",
    "ReplayEntry",
    "SamplingParams",
    "TruncatedNormal",
    "VerifierOptions",
    "__version__",
    "answers_equal",
    "extract_answer",
    "fit_map",
    "fit_mle",
    "is_correct",
    "load_question_set",
    "num_samples",
    "parse_policy",
    "replay",
]


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
