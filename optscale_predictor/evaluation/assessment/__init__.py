"""Assessment of a predictor on held-out questions: accuracy, calibration, and the samples that it saves.

Imports the predictor, replays and policies and what lies below them; nothing of the report or lm-eval.
"""

from optscale_predictor.evaluation.assessment.assess import Assessment, assess, assess_prior
from optscale_predictor.evaluation.assessment.assessment_files import as_json, figures, markdown, write_assessment
from optscale_predictor.evaluation.assessment.assessment_settings import Settings
from optscale_predictor.evaluation.assessment.baselines import Baseline, fit_baselines
from optscale_predictor.evaluation.assessment.scored_questions import ScoredQuestions, two_sides

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
