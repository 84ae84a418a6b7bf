"""The verb that replays policies over recorded samples."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from optscale_predictor._support.extras import pictures_drawn
from optscale_predictor._support.outputs import require_folder
from optscale_predictor.errors import InputError

if TYPE_CHECKING:
    from optscale_predictor.pools import Pool
    from optscale_predictor.stats.estimators import Prior
    from optscale_predictor.stats.estimators.learnt_prior import LearntPrior


def replay(
    pool: str,
    policies: str = "best_of_n self_consistency optscale_0 optscale",
    selection: str | None = None,
    scores: str = "score",
    predictor: str | None = None,
    prior_pool: str | None = None,
    output: str | None = None,
    num_orders: int = 20,
    seed: int = 0,
    source: str | None = None,
    allow_source_mismatch: bool = False,
    frontier: bool = True,
    prior: str | None = None,
    concurrency: int | None = None,
    tokens_a_second: float = 30.0,
    step_share: float = 1.0,
    request_seconds: float = 0.0,
) -> None:
    """Replay policies over a recorded pool; prints a Markdown table, and draws a picture with --output.

    The table says how much more or less accurate each policy is than Best-of-k for the same tokens, with a paired 95%
    interval, and names the policies that are dominated. With --concurrency it says as well how many seconds each policy
    takes for all questions on an engine with so many places, and how many tokens that generates.

    Args:
        pool: Folder of a scored pool.
        policies: Policies separated by spaces, for example "best_of_n:max_samples=8 optscale:score_min=0.9".
        selection: How the answer is chosen among the samples: `best_score`, `majority`, `weighted_majority`, or
            `confidence:FOLDER` with the folder of a fitted policy; by default each policy's own rule.
        scores: Which of the pool's scores: a column, `score` or `score_NAME`; or `combined:FOLDER`, what a combination
            of several makes of them (`optscale fit-policy --scores A,B`).
        predictor: Predictor checkpoint whose priors the policies get.
        prior_pool: Scored pool of other questions whose mean score distribution is the constant prior, where there is
            no predictor.
        output: Folder for table.md, table.json and, with matplotlib, curve.png.
        num_orders: Random orders of the samples to average over, >= 1.
        seed: Seed of the random orders, >= 0.
        source: Name of one of the predictor's score sources; by default the one that matches the pool's generator and
            verifier.
        allow_source_mismatch: Whether predictor and fitted policies may have learnt from another generator, verifier or
            setting.
        frontier: Whether to compare every policy with Best-of-k at equal tokens.
        prior: `learnt`: each policy learns a prior from the pool's questions, in their order, as it finishes them;
            `learnt:block=8` says how many questions the first blocks have. In place of a predictor or a pool.
        concurrency: Places of the engine whose time is simulated, >= 1: samples that it draws at once; by default no
            time is.
        tokens_a_second: Tokens that each of its places makes a second when all are busy, > 0.
        step_share: Part of the time of an engine's step, when all places are busy, that does not depend on how many
            are, in [0, 1]. 1: a place is as fast at any load. 0: all places together make as many tokens at any load.
        request_seconds: Time of the whole engine that each request takes beside its tokens, >= 0: for reading the
            prompt, and where they share its cores for the server, the client and the verifier.
    """
    from optscale_predictor.policies import parse_policy

    rules = [parse_policy(text) for text in policies.split()]
    if not rules:
        raise InputError("no policies named")
    from optscale_predictor.evaluation.report import markdown_table, write_replay
    from optscale_predictor.policies.selection import require_selection
    from optscale_predictor.pools import open_pool
    from optscale_predictor.predictor.provenance import (
        require_policy_source,
        require_selection_source,
        source_of_pool,
    )
    from optscale_predictor.replays.engine_model import EngineModel
    from optscale_predictor.replays.recorded_cautions import recorded_cautions
    from optscale_predictor.replays.recorded_samples import RecordedSamples
    from optscale_predictor.replays.replaying import ReplayEntry
    from optscale_predictor.replays.replaying import replay as run
    from optscale_predictor.replays.simulated_time import simulated_times

    if num_orders < 1:
        raise InputError(f"num_orders must be >= 1, got {num_orders}")
    engine = None if concurrency is None else EngineModel(concurrency, tokens_a_second, step_share, request_seconds)
    if output is not None:
        require_folder(output)
    pictures = output is not None and pictures_drawn()
    chosen_by = None if selection is None else require_selection(selection)
    opened = open_pool(pool, scores)
    drawn_by = source_of_pool(opened.manifest)
    for rule in rules:
        require_policy_source(rule, drawn_by, allow_source_mismatch)
    require_selection_source(chosen_by, drawn_by, allow_source_mismatch)
    recorded = RecordedSamples.from_pool(opened)
    given = choose_prior(opened, predictor, prior_pool, source, allow_source_mismatch, prior)
    entries = [ReplayEntry(rule, rule.name, given, chosen_by) for rule in rules]
    rows = run(entries, recorded, num_orders, seed, progress=True, frontier=frontier)
    if engine is not None:
        times = simulated_times(entries, recorded, num_orders, seed, engine)
        rows = [dataclasses.replace(row, simulated=time) for row, time in zip(rows, times, strict=True)]
    cautions = recorded_cautions(recorded, rules, opened)
    print("\n\n".join([markdown_table(rows), *cautions]))
    if output is not None:
        title = f"{pool}: accuracy against tokens"
        write_replay(rows, Path(output), title, metric="tokens", cautions=cautions, pictures=pictures)


def choose_prior(
    pool: "Pool",
    predictor: str | None,
    prior_pool: str | None,
    source: str | None,
    allow_source_mismatch: bool,
    learnt: str | None,
) -> "Prior | LearntPrior | None":
    """The priors that policies get: those that :func:`make_prior` makes, or one that is learnt in their place.

    Args:
        pool: Whose questions.
        predictor: Checkpoint of a predictor, where there is one.
        prior_pool: Where there is no predictor: a scored pool whose mean score distribution is the constant prior.
        source: Name of one of the predictor's score sources; None: the one that matches the pool's generator and
            verifier.
        allow_source_mismatch: Whether the predictor may have learnt from another generator, verifier or setting.
        learnt: How a prior is learnt from the pool's own questions, as ``LearntPrior.parse`` reads it; None: it is not.

    Raises:
        InputError: There are two priors, or the predictor has learnt from other sources than made the pool, and that is
            not allowed.
    """
    from optscale_predictor.stats.estimators.learnt_prior import LearntPrior

    if learnt is None:
        return make_prior(pool, predictor, prior_pool, source, allow_source_mismatch)
    if predictor is not None or prior_pool is not None:
        raise InputError(f"prior {learnt!r} is learnt: give it without a predictor and without prior_pool")
    return LearntPrior.parse(learnt)


def make_prior(
    pool: "Pool",
    predictor: str | None,
    prior_pool: str | None,
    source: str | None = None,
    allow_source_mismatch: bool = False,
) -> "Prior | None":
    """The priors that policies get: a predictor's, a constant one from another pool's scores, or none.

    Args:
        pool: Whose questions.
        predictor: Checkpoint of a predictor, where there is one.
        prior_pool: Where there is no predictor: a scored pool whose mean score distribution is the constant prior.
        source: Name of one of the predictor's score sources; by default the one that matches the pool's generator and
            verifier.
        allow_source_mismatch: Whether the predictor may have learnt from another generator, verifier or setting.

    Raises:
        InputError: The predictor has learnt from other sources than made the pool, and that is not allowed.
    """
    from optscale_predictor.pools import open_pool
    from optscale_predictor.replays.recorded_samples import RecordedSamples
    from optscale_predictor.targets import constant_prior

    if predictor is not None:  # PyTorch comes with it, which takes seconds and 200 MB
        from optscale_predictor.predictor import OptScalePredictor
        from optscale_predictor.predictor.provenance import require_pairing, source_of_pool

        model = OptScalePredictor.from_pretrained(predictor)
        learnt = require_pairing(model.config, source_of_pool(pool.manifest), source, allow_source_mismatch)
        return model.predict_questions(pool.questions, learnt)
    if prior_pool is not None:
        return constant_prior(RecordedSamples.from_pool(open_pool(prior_pool, pool.score_name)).scores)
    return None
