"""The predictor: a LoRA-tuned language model that reads a question and emits the prior of its scores.

From the ground up: ``losses`` (what is predicted, and what an error costs), ``heads`` (from features to a prior),
``model`` (settings, language model, network), ``checkpoint`` (folders that others load), ``pretrained`` (the public
class), ``provenance`` (whose scores were learnt), ``training``. Each imports those before it only; all may import
``targets``, ``backends``, ``pages``, ``questions`` and ``stats``.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optscale_predictor.predictor.pretrained import OptScalePredictor, load_predictor

__all__ = ["OptScalePredictor", "load_predictor"]


def __getattr__(name: str) -> object:
    """The public names when they are first used: PyTorch comes with them, which ``provenance`` alone does not need."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from optscale_predictor.predictor import pretrained

    return getattr(pretrained, name)
