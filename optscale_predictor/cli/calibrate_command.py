"""The verb that fits a calibration: from a score to the probability of a right answer."""

import numpy as np

from optscale_predictor._support.extras import require_extras
from optscale_predictor._support.near_names import did_you_mean
from optscale_predictor._support.outputs import require_file
from optscale_predictor.errors import InputError


def calibrate(
    pool: str, output: str, scores: str = "score", kind: str = "isotonic", diagram: str | None = None
) -> None:
    """Fit the probability of a right answer to a labelled pool's scores; prints how reliable it is.

    Args:
        pool: Folder of a scored pool whose questions have gold answers.
        output: JSON file to write; the policies cost_aware, shared_budget and instance_adaptive read it.
        scores: The pool's column of scores, `score` or `score_NAME`.
        kind: `isotonic` or `platt`.
        diagram: PNG file for the reliability diagram of the held-out questions.
    """
    from optscale_predictor.pages.score_charts import draw_reliability
    from optscale_predictor.pools import Pool
    from optscale_predictor.replays.recorded_samples import RecordedSamples
    from optscale_predictor.stats.calibration import fit_isotonic, fit_platt
    from optscale_predictor.stats.ranking import describe_ranking
    from optscale_predictor.stats.reliability import reliability

    fits = {"isotonic": fit_isotonic, "platt": fit_platt}
    if kind not in fits:
        raise InputError(f"kind must be one of {', '.join(fits)}, got {kind!r}{did_you_mean(kind, fits)}")
    require_file(output)
    if diagram is not None:
        require_extras("matplotlib")
        require_file(diagram)
    recorded = RecordedSamples.with_parts(Pool(pool), (scores,))[0]
    if recorded.num_questions < 2:
        raise InputError(f"{pool}: calibration needs two questions at least, to hold one out")
    held_out = recorded.take(np.arange(1, recorded.num_questions, 2))
    fitted = recorded.take(np.arange(0, recorded.num_questions, 2))
    found = reliability(fits[kind](fitted.scores, fitted.correct)(held_out.scores), held_out.correct)
    fits[kind](recorded.scores, recorded.correct).save(output)
    figures = f"calibration error {found.calibration_error:.3f}, Brier score {found.brier:.3f}"
    print(f"on {held_out.num_questions} held-out questions: {figures}")
    print(f"the scores themselves: {describe_ranking(recorded.scores, recorded.correct)}")
    print(f"fitted to all {recorded.num_questions} questions: {output}")
    if diagram is not None:
        draw_reliability(found, diagram, f"{pool}, {kind}")
