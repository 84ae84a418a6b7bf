"""Requests that cannot be drawn for: the others are drawn first, then these are named."""

from optscale_predictor.errors import RequestRefusedError
from optscale_predictor.generators._generator import Request


class Refusals:
    """The refused ones of several requests.

    Args:
        asked: How many there are in all.
    """

    def __init__(self, asked: int) -> None:
        self._asked, self._said = asked, list[str]()

    def add(self, request: Request, error: RequestRefusedError) -> None:
        """One more."""
        name, said = f"question {request.question_id!r}", str(error)
        self._said.append(said if said.startswith(name) else f"{name}: {said}")

    def tell(self) -> None:
        """Names the first of them, once all others are done.

        Raises:
            RequestRefusedError: There are any.
        """
        if self._said:
            raise RequestRefusedError(f"{len(self._said)} of {self._asked} requests were refused; {self._said[0]}")
