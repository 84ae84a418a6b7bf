"""Training losses: what a prediction costs a question whose scores were seen. All are called alike.

Imports the score distributions and estimators of ``stats``; nothing of the network that predicts.
"""

from optscale_predictor.predictor.losses._loss import Loss, Observed, Predicted
from optscale_predictor.predictor.losses.likelihoods import Likelihood, MarginalLikelihood
from optscale_predictor.predictor.losses.squared_error import SquaredError

__all__ = ["Likelihood", "Loss", "MarginalLikelihood", "Observed", "Predicted", "SquaredError"]
