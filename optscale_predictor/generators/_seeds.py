"""Seeds of requests: distinct for every question and first sample index, the same on every run and machine."""

from hashlib import blake2b

from optscale_predictor.generators._generator import Request


def request_seed(base_seed: int, request: Request) -> int:
    """The seed of one request, in [0, 2**31): what every engine accepts as a seed."""
    key = f"{base_seed}\0{request.question_id}\0{request.first_index}".encode()
    return int.from_bytes(blake2b(key, digest_size=4).digest(), "big") >> 1
