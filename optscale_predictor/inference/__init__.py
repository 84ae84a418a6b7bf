"""OptScale inference: questions in, answers out, no more samples than each question needs.

Every question under way is a coroutine of its own (``course``): it asks its policy (``deciding``), draws
(``drawing``), has the new samples scored (``scoring``), and asks again. The three are stations that all questions
share: whatever arrives while a station works is its next batch, so the engine, the verifier and the policy work at the
same time and none waits for the slowest question.
"""

from optscale_predictor.inference.answer import Answer
from optscale_predictor.inference.limits import Limits
from optscale_predictor.inference.optscale import OptScale
from optscale_predictor.inference.session import Session

__all__ = ["Answer", "Limits", "OptScale", "Session"]
