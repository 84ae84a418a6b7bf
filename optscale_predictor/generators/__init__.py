"""Generators: adapters that draw samples, one provider a file."""

from optscale_predictor.generators._generator import Generator, Request, Sample, SamplingParams

__all__ = ["Generator", "Request", "Sample", "SamplingParams"]
