"""A place in a row of tokens, and the steps that a grammar takes from it."""

from collections.abc import Sequence

from optscale_predictor.answers.values.tokens import SIGN, Token, UnreadableError


class Cursor:
    """Reads tokens one by one.

    Args:
        tokens: What is read.

    Attributes:
        place: The number of the next token.
    """

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._tokens = tokens
        self.place = 0

    def rest(self) -> Sequence[Token]:
        """What was not read."""
        return self._tokens[self.place :]

    def _close(self, sign: str) -> None:
        if not self._sign(sign):
            raise UnreadableError(f"{sign!r} is missing")
        self._take()

    def _peek(self) -> Token | None:
        return self._tokens[self.place] if self.place < len(self._tokens) else None

    def _sign(self, text: str) -> bool:
        token = self._peek()
        return token is not None and token.kind == SIGN and token.text == text

    def _take(self) -> str:
        self.place += 1
        return self._tokens[self.place - 1].text
