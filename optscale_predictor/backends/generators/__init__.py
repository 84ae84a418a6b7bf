"""Generators: adapters that draw samples, one provider a file."""

from optscale_predictor.backends.generators._draw_session import DrawSession, ImmediateSession
from optscale_predictor.backends.generators._generator import (
    Generator,
    Request,
    Sample,
    SamplingParams,
    Usage,
    warning_at_end,
)
from optscale_predictor.backends.generators.engine_options import ServerOptions, VLLMOptions

__all__ = [
    "DrawSession",
    "Generator",
    "ImmediateSession",
    "Request",
    "Sample",
    "SamplingParams",
    "ServerOptions",
    "Usage",
    "VLLMOptions",
    "warning_at_end",
]
