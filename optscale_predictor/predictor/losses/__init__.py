"""Training losses: what a prediction costs a question whose scores were seen. One a file, all called alike."""

from optscale_predictor.predictor.losses._loss import Loss, Observed, Predicted
from optscale_predictor.predictor.losses.marginal_likelihood import MarginalLikelihood
from optscale_predictor.predictor.losses.negative_log_likelihood import Likelihood
from optscale_predictor.predictor.losses.squared_error import SquaredError

__all__ = ["Likelihood", "Loss", "MarginalLikelihood", "Observed", "Predicted", "SquaredError"]
