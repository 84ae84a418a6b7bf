"""Generators: adapters that draw samples, one provider a file.

May import the rest of ``backends`` except ``verifiers``, and ``questions``, ``_support`` and ``errors``.
"""

from optscale_predictor.backends.generators.arrived_parts import arrived_parts
from optscale_predictor.backends.generators.chat_fields import ChatFields, ChatReply
from optscale_predictor.backends.generators.engine_options import ServerOptions, VLLMOptions
from optscale_predictor.backends.generators.generator import (
    Arrived,
    DrawSession,
    Generator,
    Request,
    Sample,
    Usage,
)
from optscale_predictor.backends.generators.sample_warnings import warning_at_end
from optscale_predictor.backends.generators.sampling_params import SamplingParams
from optscale_predictor.backends.generators.sessions import ImmediateSession, open_session

__all__ = [
    "Arrived",
    "ChatFields",
    "ChatReply",
    "DrawSession",
    "Generator",
    "ImmediateSession",
    "Request",
    "Sample",
    "SamplingParams",
    "ServerOptions",
    "Usage",
    "VLLMOptions",
    "arrived_parts",
    "open_session",
    "warning_at_end",
]
