"""Generators: adapters that draw samples, one provider a file."""

from optscale_predictor.generators._generator import Generator, Request, Sample, SamplingParams, Usage

__all__ = ["Generator", "Request", "Sample", "SamplingParams", "Usage"]
