"""Fitted policies that nobody fitted: small, made by hand, for tests of what is done with them."""

import atexit
from tempfile import TemporaryDirectory

import numpy as np

from optscale_predictor.policies.fitted.answer_features import GROUP_FEATURES, QUESTION_FEATURES, ScoreEvidence
from optscale_predictor.policies.fitted.boosted_trees import BoostedTrees
from optscale_predictor.policies.fitted.confidence_model import ConfidenceModel
from optscale_predictor.policies.fitted.model_files import SELECTIONS, save_fitted
from optscale_predictor.policies.fitted.stopping_features import STOPPING_FEATURES
from optscale_predictor.policies.fitted.stopping_model import (
    AccuracyTargets,
    FittedStopping,
    HeldOutCurve,
    PriceModel,
    Recalibration,
)

POINTS = np.array([1, 2, 3, 4, 6, 8, 16, 32])
PRICES = np.array([1e-5, 1e-4, 1e-3])
_FOLDERS = []


def stump(feature, threshold, below, above):
    """One tree that asks one question; deeper nodes send all to the left."""
    return BoostedTrees(
        np.array([[STOPPING_FEATURES.index(feature), 0, 0]], np.int32),
        np.array([[threshold, np.inf, np.inf]]),
        np.array([[below, 0.0, above, 0.0]]),
    )


def made_up(uses_prior=False, slope=1.0, source=None):
    """Goes on where the leader is less sure than 0.6, 0.8, 0.95 at high, middle and low prices."""
    answer, none = np.zeros(len(GROUP_FEATURES)), np.zeros(len(QUESTION_FEATURES))
    answer[GROUP_FEATURES.index("log_weighted_votes")] = 1.0
    answer[GROUP_FEATURES.index("best_evidence")] = 1.0
    models = [PriceModel(np.zeros(len(POINTS) - 1), stump("leader", sure, 0.1, -0.1)) for sure in (0.95, 0.8, 0.6)]
    rising = np.linspace(0.5, 0.9, len(POINTS))
    return FittedStopping(
        confidence=ConfidenceModel(ScoreEvidence(slope, -1.0), answer, none),
        recalibration=Recalibration(POINTS, np.zeros(len(POINTS)), np.ones(len(POINTS))),
        points=POINTS,
        prices=PRICES,
        models=tuple(models),
        held_out=HeldOutCurve(
            PRICES, np.array([0.9, 0.8, 0.6]), np.array([300.0, 120.0, 30.0]), np.array([20.0, 8.0, 2.0])
        ),
        fixed={name: rising for name in SELECTIONS},
        fixed_tokens=10.0 * POINTS,
        targets=AccuracyTargets(
            np.array([0.2, 0.5, 0.9]),
            np.array([[0.4, 0.7, 0.95], [0.4, 0.7, 0.95], [0.4, 0.8, 1.0]]),
            np.array([[1.0, 0.8, 0.6], [1.0, 0.7, 0.5], [1.0, 0.3, 0.0]]),
        ),
        uses_prior=uses_prior,
        source=source or {},
        shapes=("agreement",) * 3,
        facts={"questions": 40},
    )


def folder_of(model=None):
    """A folder with a fitted policy, removed when the process ends."""
    folder = TemporaryDirectory()
    atexit.register(folder.cleanup)
    _FOLDERS.append(folder)
    save_fitted(made_up() if model is None else model, folder.name)
    return folder.name


def text_of(name, settings=""):
    """A policy by its name, with what it cannot do without."""
    if name == "fitted":
        settings = ",".join(filter(None, ["path=FOLDER", settings]))
    return with_folder(f"{name}:{settings}" if settings else name)


def with_folder(text, _made=[]):  # noqa: B006 - one folder for the whole process
    """A text with a fitted policy's folder for ``FOLDER``, the word that names of tests hold: they must be alike."""
    if "FOLDER" in text and not _made:
        _made.append(folder_of())
    return text.replace("FOLDER", *_made) if "FOLDER" in text else text
