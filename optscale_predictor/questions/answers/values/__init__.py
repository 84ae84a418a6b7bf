"""Typed values: what kind of answer a text is, and when two of a kind are the same.

From the text up, each file importing those before it:

- ``spelling`` gives LaTeX, Unicode and Markdown one spelling; ``words`` knows numbers spelt out, units and nouns;
- ``tokens`` cuts a text up; ``commands`` and ``expressions`` are the grammar that makes a tree of tokens;
- ``operations`` and ``evaluation`` compute a tree's value;
- ``kinds`` are the typed values; ``brackets``, ``relations`` and ``phrases`` read and compare some of them;
- ``forms`` reads any text as a value, ``equality`` compares any two.

It imports nothing else of the package.
"""

from optscale_predictor.questions.answers.values.equality import judge
from optscale_predictor.questions.answers.values.forms import LONGEST, read_value
from optscale_predictor.questions.answers.values.kinds import Unread, Value

__all__ = ["LONGEST", "Unread", "Value", "judge", "read_value"]
