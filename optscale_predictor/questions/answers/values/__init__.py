"""Typed values: what kind of answer a text is, and when two of a kind are the same.

From the text up: ``spelling`` and ``tokens``; ``nodes``, ``cursor``, ``commands`` and ``expressions`` (the grammar),
``operations`` and ``evaluation`` (its values); ``forms`` tells the ``kinds`` apart, with ``phrases``, ``words``,
``measured``, ``units``, ``relations``, ``matrices`` and ``real_sets``; ``equality`` compares them by kind, with
``functions``; ``keys`` gives equal ones one key.
"""

from optscale_predictor.questions.answers.values.equality import judge
from optscale_predictor.questions.answers.values.forms import LONGEST, read_value
from optscale_predictor.questions.answers.values.keys import answer_key
from optscale_predictor.questions.answers.values.kinds import Unread, Value

__all__ = ["LONGEST", "Unread", "Value", "answer_key", "judge", "read_value"]
