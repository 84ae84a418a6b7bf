"""Packages that may be missing, looked for before the work that ends with them; none is imported for it."""

import logging
from importlib.util import find_spec

from optscale_predictor.errors import InputError, MissingExtraError

#: The package on the index and the extra of this package that brings it, by the name that is imported.
_EXTRAS = {
    "matplotlib": ("matplotlib", "plot"),
    "lm_eval": ("lm-eval", "eval"),
    "lightgbm": ("LightGBM", "fit"),
    "aiohttp": ("aiohttp", "server"),
    "tenacity": ("tenacity", "server"),
    "pydantic": ("pydantic", "server"),
    "prometheus_client": ("prometheus_client", "server"),
    "ray": ("ray", "ray"),
}
#: What the core needs and a light install leaves out, by the name that is imported.
_CORE = ("torch", "transformers", "peft", "pytorch_lightning", "datasets", "huggingface_hub", "datasketch")


def missing_package(error: ModuleNotFoundError) -> InputError | None:
    """What to say of an import that failed in a light install; None where that is not why.

    Args:
        error: Of the import.
    """
    if error.name not in _CORE or find_spec(error.name) is not None:
        return None
    package = error.name.replace("_", "-")
    return InputError(
        f"{package} is not installed, which a light install leaves out; run: pip install optscale-predictor"
    )


def pictures_drawn() -> bool:
    """Whether matplotlib is there to draw pictures beside tables and pages; where it is not, a line says so."""
    if find_spec("matplotlib") is not None:
        return True
    package, extra = _EXTRAS["matplotlib"]
    logging.getLogger(__name__).info(
        f"no pictures, only pages and tables: {package} is not installed (pip install 'optscale-predictor[{extra}]')"
    )
    return False


def require_extras(*modules: str) -> None:
    """Checks that optional packages are installed.

    Args:
        modules: The names that are imported, of those that an extra brings.

    Raises:
        MissingExtraError: One is not; names the extra that brings it.
    """
    for module in modules:
        if find_spec(module) is None:
            raise MissingExtraError(*_EXTRAS[module])
