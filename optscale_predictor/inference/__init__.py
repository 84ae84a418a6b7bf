"""OptScale inference: questions in, answers out, no more samples than each question needs.

``optscale`` answers questions that are all known, ``session`` those that come one by one. Every
question under way is a coroutine of its own (``question_run``): it asks its policies (``deciding``), has samples drawn
and scored (``sampling``), and asks again. Engine, verifier and policies are workers that all questions share
(``batch_worker``), so they work at the same time and none waits for the slowest question; ``admission`` says who draws
next and whether the limits allow it. Where samples are stopped early (``early_rejection``), they are drawn and scored
in segments (``segmented_drawing``, ``segmented_scoring``).

Imports policies, backends, pools and, for a predictor's priors, the predictor; never evaluation, serving or the command
line.
"""

from optscale_predictor.inference.admission import Limits
from optscale_predictor.inference.answer import Answer
from optscale_predictor.inference.early_rejection import EarlyRejection
from optscale_predictor.inference.optscale import OptScale
from optscale_predictor.inference.session import Session

__all__ = ["Answer", "EarlyRejection", "Limits", "OptScale", "Session"]
