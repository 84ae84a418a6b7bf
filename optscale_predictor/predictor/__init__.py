"""The predictor: a LoRA-tuned language model that reads a question and emits the prior of its scores.

From the ground up: ``losses`` (what is predicted, and what an error costs), ``heads`` (from features to a prior),
``model`` (settings, language model, network), ``checkpoint`` (folders that others load), ``pretrained`` (the public
class), ``provenance`` (whose scores were learnt), ``training``. Each imports those before it only; all may import
``targets``, ``backends``, ``pages``, ``questions`` and ``stats``.
"""

from optscale_predictor.predictor.pretrained import OptScalePredictor, load_predictor

__all__ = ["OptScalePredictor", "load_predictor"]
