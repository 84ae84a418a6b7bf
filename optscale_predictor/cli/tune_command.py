"""The verb that chooses policies' settings on a labelled pool."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from optscale_predictor._support.extras import pictures_drawn
from optscale_predictor._support.number_checks import require_seed
from optscale_predictor._support.outputs import require_folder
from optscale_predictor.errors import InputError


def tune(
    pool: str,
    predictor: str | None = None,
    prior_pool: str | None = None,
    calibration: str = "",
    fitted: str = "",
    selection: str | None = None,
    scores: str = "score",
    reference: str = "",
    share: float = 0.5,
    output: str | None = None,
    num_orders: int = 5,
    seed: int = 0,
    source: str | None = None,
    allow_source_mismatch: bool = False,
    prior: str | None = None,
) -> None:
    """Choose every policy's settings on one part of a labelled pool; prints what they do on the rest.

    Args:
        pool: Folder of a scored pool whose questions have gold answers.
        predictor: Predictor checkpoint whose priors the policies get; it must not have learnt from these questions.
        prior_pool: Scored pool of other questions whose mean score distribution is the constant prior, where there is
            no predictor.
        calibration: File of a calibration (optscale calibrate) of other questions, for the policies that read one.
        fitted: Folder of a policy that was fitted (optscale fit-policy) to other questions; tried at several prices.
        selection: How the answer is chosen among the samples: `best_score`, `majority`, `weighted_majority`, or
            `confidence:FOLDER` with the folder of a policy that was fitted to other questions; by default each policy's
            own rule, which the reference has in any case.
        scores: Which of the pool's scores: a column, `score` or `score_NAME`; or `combined:FOLDER`, what a combination
            of several makes of them (`optscale fit-policy --scores A,B`).
        reference: Policy whose accuracy is to be kept; by default Best-of-N with all samples.
        share: Share of the questions that choose, in (0, 1); near-duplicates stay together.
        output: Folder for table.md, table.json and, with matplotlib, curve.png.
        num_orders: Random orders of the samples to average over, >= 1.
        seed: Seed of the split and of the random orders, >= 0.
        source: Name of one of the predictor's score sources; by default the one that matches the pool's generator and
            verifier.
        allow_source_mismatch: Whether predictor and fitted policies may have learnt from another generator, verifier or
            setting.
        prior: `learnt`: each policy learns a prior from the questions of either part, in their order, as it finishes
            them (`shared_budget`, which finishes all together, has none); `learnt:block=8` says how many questions the
            first blocks have. In place of a predictor or a pool.
    """
    from optscale_predictor.cli.replay_command import choose_prior
    from optscale_predictor.evaluation.report import markdown_table, write_replay
    from optscale_predictor.policies import BestOfN, parse_policy
    from optscale_predictor.policies.selection import require_selection
    from optscale_predictor.pools import open_pool
    from optscale_predictor.predictor.provenance import (
        require_policy_source,
        require_selection_source,
        source_of_pool,
    )
    from optscale_predictor.questions.near_duplicates import group_near_duplicates
    from optscale_predictor.replays.recorded_cautions import recorded_cautions
    from optscale_predictor.replays.recorded_samples import RecordedSamples
    from optscale_predictor.replays.replaying import ReplayEntry, replay
    from optscale_predictor.replays.setting_grids import make_entries
    from optscale_predictor.replays.tuning import short_form, split_questions, tune_frontiers, tune_settings
    from optscale_predictor.stats.estimators import Prior

    if num_orders < 1:
        raise InputError(f"num_orders must be >= 1, got {num_orders}")
    require_seed(seed)
    if not 0 < share < 1:
        raise InputError(f"share must lie in (0, 1), got {share:g}")
    if output is not None:
        require_folder(output)
    pictures = output is not None and pictures_drawn()
    chosen_by = None if selection is None else require_selection(selection)
    opened = open_pool(pool, scores)
    drawn_by = source_of_pool(opened.manifest)
    require_selection_source(chosen_by, drawn_by, allow_source_mismatch)
    recorded = RecordedSamples.from_pool(opened)
    if np.isnan(recorded.correct).any():
        raise InputError(f"{pool}: settings are chosen by accuracy, and not every sample is known to be right or wrong")
    groups = group_near_duplicates([question.text for question in opened.questions])
    sides = split_questions(np.asarray(groups), share, seed)
    priors = choose_prior(opened, predictor, prior_pool, source, allow_source_mismatch, prior)
    wanted = parse_policy(reference) if reference else BestOfN(recorded.depth)
    proto = make_entries(recorded.take(sides[0]), priors, recorded.depth, calibration, fitted, chosen_by)
    for entry in proto:
        require_policy_source(entry.policy, drawn_by, allow_source_mismatch)
    proto = [ReplayEntry(wanted, "reference"), *proto]
    rows = []
    for side in sides:
        own = priors.broadcast_to(recorded.num_questions).take(side) if isinstance(priors, Prior) else priors
        entries = [replace(one, prior=None if one.prior is None else own) for one in proto]
        # Accuracy and tokens choose; the distance to Best-of-k is a figure to report.
        compared = side is sides[1]
        rows.append(replay(entries, recorded.take(side), num_orders, seed, progress=True, frontier=compared))
    chosen_on, reported = rows
    at_par = [choice.reported for choice in tune_settings(chosen_on, reported, str(wanted))]
    kept = [choice.reported for choice in tune_frontiers(chosen_on, reported) if choice.reported.label != "reference"]
    print(f"settings chosen on {len(sides[0])} questions, figures of the other {len(sides[1])}\n")
    said = f"Cheapest at the accuracy of {wanted}, else the most accurate:"
    for title, found in ((said, at_par), ("Every policy's own frontier of accuracy and tokens:", kept)):
        texts = dict.fromkeys(short_form(parse_policy(row.policy)) for row in found)
        chosen = "" if chosen_by is None else f" --selection {chosen_by}"
        print(f'{title}\n\n{markdown_table(found)}\n\n--policies "{" ".join(texts)}"{chosen}\n')
    cautions = recorded_cautions(recorded, [wanted], opened)
    print("\n\n".join(cautions), end="\n\n" if cautions else "")
    if output is not None:
        title = f"{pool}: accuracy against tokens, settings chosen on other questions"
        write_replay(kept, Path(output), title, metric="tokens", cautions=cautions, pictures=pictures)
