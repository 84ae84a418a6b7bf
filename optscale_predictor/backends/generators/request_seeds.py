"""Seeds of requests: the same on every run and machine, so that equal runs draw equal samples.

vLLM gives the samples of a request the seeds that follow its own, one after the other. So do we give a question's
requests theirs: there a sample has one seed, whichever request it is drawn by.
"""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

from optscale_predictor.backends.generators.generator import Request

_KEPT = 1 << 13  # questions under way
_ROOM = 1 << 16  # samples of a question before its seeds begin again at 0


def request_seed(base_seed: int, request: Request) -> int:
    """The seed of one request, in [0, 2**31): what every engine accepts as a seed.

    Args:
        base_seed: Of the pool or run, >= 0.
        request: Known by its question's id and its first sample's index; and by the parts drawn, of one that goes on.

    Returns:
        That of the question's first sample, and as many more as there are samples before this request.
    """
    first = _first_seed(base_seed, request.question_id, _parts(request))
    return (first + request.first_index) % 2**31


def sample_luck(base_seed: int, request: Request) -> float:
    """A number in [0, 1) for the first sample of a request, independent of that of every other sample.

    Args:
        base_seed: Of the pool or run, >= 0.
        request: As :func:`request_seed` takes it.
    """
    known_by = _known_by(request.question_id, request.first_index, _parts(request))
    return _number(f"{base_seed}\0{known_by}") / 2**31


def session_seed(base_seed: int, requests: Sequence[Request]) -> int:
    """The one seed of a call with these requests, in [0, 2**31), for engines that do not take a seed a request.

    Args:
        base_seed: Of the pool or run, >= 0.
        requests: All of the call, in their order.
    """
    known_by = [(_known_by(one.question_id, one.first_index, _parts(one)), one.num_samples) for one in requests]
    return _number("\0\0".join([f"{base_seed}", *(f"{known}\0{count}" for known, count in known_by)]))


def _number(key: str) -> int:
    """A number in [0, 2**31) that any change of the key changes altogether."""
    return int.from_bytes(blake2b(key.encode(), digest_size=4).digest(), "big") >> 1


def _known_by(question_id: str, first_index: int, parts: int) -> str:
    # Part after part with the same random numbers would not be drawn from the model's distribution.
    return f"{question_id}\0{first_index}\0{parts}" if parts else f"{question_id}\0{first_index}"


def _parts(request: Request) -> int:
    return 0 if request.prefix is None else request.prefix.parts


@lru_cache(_KEPT)
def _first_seed(base_seed: int, question_id: str, parts: int) -> int:
    """That of a question's first sample; kept, as its other samples are asked for soon."""
    return _number(f"{base_seed}\0{_known_by(question_id, 0, parts)}") % (2**31 - _ROOM)
