"""``optscale serve``: an OpenAI-compatible endpoint that answers with the chosen sample.

A request is read and checked (``reading``, ``conversation``, ``wishes``, ``fields``), waits for its turn
(``entrance``), is answered by the inference session that all requests share (``desk``), and written as OpenAI's API
writes it (``replies``, ``streaming``). ``application`` puts these behind HTTP, ``running`` binds the port and ends in
good order, ``metrics`` counts, and ``refusals`` are the errors that a client sees.
"""

from optscale_predictor.errors import MissingExtraError

try:
    import aiohttp as _aiohttp  # noqa: F401
    import prometheus_client as _prometheus  # noqa: F401
    import tenacity as _tenacity  # noqa: F401
except ImportError as error:
    raise MissingExtraError(error.name or "aiohttp", "server") from None

from optscale_predictor.serving.serve_settings import ServeSettings
from optscale_predictor.serving.server import bind, serve

__all__ = ["ServeSettings", "bind", "serve"]
