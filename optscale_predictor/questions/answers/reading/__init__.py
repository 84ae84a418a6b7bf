"""Reading: where in a text its final answer stands.

``extracting`` puts the parts together: ``continuation`` (what a base model writes when it runs on), ``boxes`` and
``marks`` (where an answer is marked), ``last_value`` (where it is not).
"""

from optscale_predictor.questions.answers.reading.extracting import extract_answer, marked_answer, normalise

__all__ = ["extract_answer", "marked_answer", "normalise"]
