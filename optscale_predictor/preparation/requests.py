"""Which requests a pool still lacks."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from optscale_predictor.generators import Request
from optscale_predictor.questions import Question


def missing_requests(
    questions: Sequence[Question],
    drawn: Mapping[str, int],
    num_samples: int,
    prompt: Callable[[str], str],
    samples_per_request: int,
) -> list[Request]:
    """Requests for every sample below ``num_samples`` that is not drawn yet, question after question.

    Requests are cut at multiples of ``samples_per_request``, so that what a kill lost is asked for by the same requests
    (and the same seeds) as before.

    Args:
        questions: Whose samples.
        drawn: As :meth:`Pool.drawn` gives it.
        num_samples: Samples that each question should have, >= 1.
        prompt: Makes a question's text what the generator reads.
        samples_per_request: Most samples a request, >= 1.
    """
    return [
        Request(question.id, prompt(question.text), end - first, first)
        for question in questions
        for first, end in _gaps(drawn[question.id], num_samples, samples_per_request)
    ]


def _gaps(drawn: int, num_samples: int, step: int) -> Iterator[tuple[int, int]]:
    """Half-open ranges of indices that are not drawn; none crosses a multiple of ``step``."""
    first = None
    for index in range(num_samples + 1):
        inside = index < num_samples and not drawn >> index & 1
        if first is not None and (not inside or index % step == 0):
            yield first, index
            first = None
        if inside and first is None:
            first = index
