"""Which model OpenAI-compatible servers serve: asked before the first request, so that a wrong name costs nothing."""

from collections.abc import Sequence
from typing import Any

from optscale_predictor._support.asyncio_bridge import run_async
from optscale_predictor.backends.http_client import JsonService
from optscale_predictor.backends.server_urls import shown
from optscale_predictor.errors import ServiceError, UnreachableError

_SECONDS = 60.0  # at most, for a list of models


def served_model(urls: Sequence[str], model: str | None, timeout: float) -> tuple[str, set[str]]:
    """The model's name, the same at all servers, and who they say owns it.

    Args:
        urls: Base URLs, for example ``http://127.0.0.1:8000/v1``.
        model: Its name; the servers' only model where it is None.
        timeout: Seconds that an answer may take, > 0.

    Raises:
        UnreachableError: Nothing answers at one of the URLs.
        ServiceError: A server serves no such model, or the servers serve different ones. One that cannot list its
            models is believed to serve the one that is named.
    """
    found = [_at_one(url, model, timeout) for url in urls]
    if len({name for name, _ in found}) != 1:
        raise ServiceError(f"{', '.join(map(shown, urls))}: they serve different models; name one")
    return found[0][0], {owner for _, owner in found}


def _at_one(url: str, model: str | None, timeout: float) -> tuple[str, str]:
    async def ask() -> dict[str, str]:
        async with JsonService([url], min(timeout, _SECONDS), max_retries=0) as service:
            return await service.ask("/models", None, _owners)

    try:
        served = run_async(ask)
    except UnreachableError:
        raise
    except ServiceError:
        if model is None:
            raise
        return model, "unknown"
    if model is None and len(served) == 1:
        return next(iter(served.items()))
    if model is None or model not in served:
        what = "which of its models is meant must be named" if model is None else f"serves no model {model!r}"
        raise ServiceError(f"{shown(url)}: {what}; it serves: {', '.join(served) or 'none'}")
    return model, served[model]


def _owners(reply: Any) -> dict[str, str]:
    """Who owns each model that a server lists."""
    return {str(entry["id"]): str(entry.get("owned_by")) for entry in reply["data"]}
