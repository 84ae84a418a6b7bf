"""Assessment of a predictor on held-out questions: accuracy, calibration, and the samples that it saves."""

from optscale_predictor.assessment.assessment import Assessment, assess, assess_prior
from optscale_predictor.assessment.baselines import Baseline, fit_baselines
from optscale_predictor.assessment.scored_questions import ScoredQuestions, two_sides
from optscale_predictor.assessment.settings import Settings
from optscale_predictor.assessment.tables import markdown
from optscale_predictor.assessment.writing import as_json, figures, write_assessment

__all__ = [
    "Assessment",
    "Baseline",
    "ScoredQuestions",
    "Settings",
    "as_json",
    "assess",
    "assess_prior",
    "figures",
    "fit_baselines",
    "markdown",
    "two_sides",
    "write_assessment",
]
