"""Seeds of requests: the same on every run and machine, so that equal runs draw equal samples."""

from collections.abc import Sequence
from hashlib import blake2b

from optscale_predictor.backends.generators.generator import Request


def request_seed(base_seed: int, request: Request) -> int:
    """The seed of one request, in [0, 2**31): what every engine accepts as a seed.

    Args:
        base_seed: Of the pool or run, >= 0.
        request: Known by its question's id and its first sample's index; and by the parts drawn, of one that goes on.
    """
    key = f"{base_seed}\0{_known_by(request)}".encode()
    return int.from_bytes(blake2b(key, digest_size=4).digest(), "big") >> 1


def session_seed(base_seed: int, requests: Sequence[Request]) -> int:
    """The one seed of a call with these requests, in [0, 2**31), for engines that do not take a seed a request.

    Args:
        base_seed: Of the pool or run, >= 0.
        requests: All of the call, in their order.
    """
    parts = [f"{base_seed}", *(f"{_known_by(one)}\0{one.num_samples}" for one in requests)]
    return int.from_bytes(blake2b("\0\0".join(parts).encode(), digest_size=4).digest(), "big") >> 1


def _known_by(request: Request) -> str:
    # Part after part with the same random numbers would not be drawn from the model's distribution.
    part = f"\0{request.prefix.parts}" if request.prefix is not None and request.prefix.parts else ""
    return f"{request.question_id}\0{request.first_index}{part}"
