"""Generators: adapters that draw samples, one provider a file."""

from optscale_predictor.generators._generator import Generator, Request, Sample, SamplingParams
from optscale_predictor.generators._server_options import ServerOptions
from optscale_predictor.generators._session import DrawSession, ImmediateSession
from optscale_predictor.generators._usage import Usage
from optscale_predictor.generators._vllm_options import VLLMOptions

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
]
