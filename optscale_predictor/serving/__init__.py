"""``optscale serve``: an OpenAI-compatible endpoint that answers with the chosen sample.

A request's body is validated (``request_bodies``) and becomes a question, a policy and sampling parameters
(``request_parser``). It waits for a slot and is answered by the inference session that all requests share
(``request_handler``), and the answer is written as OpenAI's API writes it, whole or as a stream (``replies``).
``application`` puts these behind HTTP and counts outcomes, ``server`` binds the port and shuts down gracefully,
``http_protocol`` holds its limits and answers what is no HTTP, ``openapi_document`` describes it, ``serve_settings``
holds what an operator sets, ``servable_policies`` which policies clients may choose, and ``api_errors`` are the errors
that a client sees.

Imports ``inference`` and what lies below it; nothing below imports this folder. It needs the ``server`` extra.
"""

from optscale_predictor.errors import MissingExtraError

try:
    import aiohttp as _aiohttp  # noqa: F401
    import prometheus_client as _prometheus  # noqa: F401
    import pydantic as _pydantic  # noqa: F401
    import tenacity as _tenacity  # noqa: F401
except ImportError as error:
    raise MissingExtraError(error.name or "aiohttp", "server") from None

from optscale_predictor.serving.servable_policies import CLIENT_POLICIES, ClientPolicies, require_servable
from optscale_predictor.serving.serve_settings import ServeSettings, is_loopback
from optscale_predictor.serving.server import bind, serve

__all__ = ["CLIENT_POLICIES", "ClientPolicies", "ServeSettings", "bind", "is_loopback", "require_servable", "serve"]
