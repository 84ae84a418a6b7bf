"""Reading: where in a text its final answer stands.

``extracting`` puts the parts together: ``sample_text`` (which part of a sample may hold its answer), ``marks`` (where
an answer is marked) and ``text_values`` (the value behind a mark, and the last one of a text without marks). Of the
package it imports the typed values alone, which tell an answer from other words.
"""

from optscale_predictor.questions.answers.reading.extracting import (
    REJECTED,
    extract_answer,
    has_ended,
    marked_answer,
    normalise,
)

__all__ = ["REJECTED", "extract_answer", "has_ended", "marked_answer", "normalise"]
