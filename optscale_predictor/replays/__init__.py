"""Replays: policies run over recorded samples, and settings tuned there.

``recorded_samples`` are a pool's samples as arrays, ``run_policy`` runs one policy over them with the step that live
runs take too, ``replaying`` measures many policies over many random orders, ``frontier`` says how far each is from
Best-of-k at equal tokens, ``tuning`` chooses among them, and ``recorded_engines`` let a live run draw from a pool. It
imports what is below it: pools, backends, policies, questions and statistics.

The folder is named ``replays`` because ``optscale_predictor.replay`` is the function: importing a folder of that name
would put the folder in its place.
"""

from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.replaying import ReplayEntry, ReplayRow, replay

__all__ = ["RecordedSamples", "ReplayEntry", "ReplayRow", "replay"]
