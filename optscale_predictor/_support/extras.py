"""Optional packages, looked for before the work that ends with them; none is imported for it."""

from importlib.util import find_spec

from optscale_predictor.errors import MissingExtraError

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
