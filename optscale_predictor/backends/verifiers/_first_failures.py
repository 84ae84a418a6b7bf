"""Telling a verifier that fails at everything from one that fails at some samples.

A sample that cannot be scored is refused, and the run goes on. Where nothing but failures has been seen since the
start, the cause is not the samples, and the run should stop before it refuses a whole pool.
"""

from optscale_predictor.errors import InputError


class FirstFailures:
    """Counts failures until the first success.

    Args:
        name: What errors call the verifier.
        most: Failures in a row from the start that are too many, >= 1.
    """

    def __init__(self, name: str, most: int = 32) -> None:
        self._name, self._most = name, most
        self._count, self._first, self._working = 0, "", False

    def succeeded(self) -> None:
        """The verifier works: from now on nothing is counted."""
        self._working = True

    def failed(self, place: str, reason: str) -> None:
        """One more failure.

        Args:
            place: Which sample.
            reason: Why.

        Raises:
            InputError: There are too many; names the first.
        """
        self._first = self._first or f"{place}: {reason}"
        self._count += 1
        if self._count >= self._most:
            self.stop_if_all_failed()

    def stop_if_all_failed(self) -> None:
        """Raises ``InputError`` where there were failures and nothing else."""
        if self._count and not self._working:
            raise InputError(f"{self._name} failed {self._count} times and never worked; {self._first}")
