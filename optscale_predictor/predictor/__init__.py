"""The predictor: a LoRA-tuned language model that reads a question and emits the prior of its scores."""

from optscale_predictor.predictor.model import OptScalePredictor, load_predictor

__all__ = ["OptScalePredictor", "load_predictor"]
