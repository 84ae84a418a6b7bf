"""Run records made from pools: policies run over the samples in the order drawn, as a live run would have them."""

import json
from dataclasses import replace

import numpy as np
from synthetic_pool import write_pool

from optscale_predictor.evaluation.run_facts import RunFacts
from optscale_predictor.evaluation.run_record import PolicyOutcome, RecordWriter, RunRecord
from optscale_predictor.policies import parse_policy
from optscale_predictor.pools import PoolWriter
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.replays.run_policy import run_policy

OURS, REFERENCE, VOTES = (
    "optscale:score_min=0.8,max_samples=8,min_gain=1",
    "best_of_n:max_samples=8",
    "asc_beta:max_samples=8",
)


def sums_pool(folder, questions=40, depth=8, seed=0, texts=None):
    """A pool of made-up scores that tell right from wrong, not always; ties are among them."""
    rng = np.random.default_rng(seed)
    ease = np.linspace(0.02, 0.98, questions)[:, None]
    right = rng.random((questions, depth)) < ease
    score = np.clip(0.35 + 0.5 * right + 0.15 * rng.standard_normal(right.shape), 0, 1).round(2)
    answer = np.where(right, "1", rng.integers(2, 5, right.shape).astype(str))
    names = texts or [f"How much is {number}?" for number in range(questions)]
    columns = {"correct": right.tolist(), "answer": answer.tolist()}
    return write_pool(folder, score.tolist(), names, num_tokens=rng.integers(20, 90, right.shape).tolist(), **columns)


def record_run(folder, pool, policies=(OURS, VOTES, REFERENCE), seed=0, seconds=10.0, believed=None, **facts):
    """The record of policies run over a pool."""
    recorded = RecordedSamples.from_pool(pool)
    given = {
        "task": "sums",
        "policies": list(policies),
        "generator": {**pool.manifest["settings"]["generator"], "seed": seed},
        "verifier": pool.scores["score"],
        "predictor": None,
        "seed": seed,
        "started": f"2026-01-0{seed + 1}T10:00:00+00:00",
        "version": "0.1.0",
    }
    outcomes = {policy: run_policy(parse_policy(policy), recorded, believed) for policy in policies}
    drawn = np.max([own.count for own in outcomes.values()], 0)
    with RecordWriter(folder, RunFacts(**{**given, **facts})) as writer:
        answers = _answers(pool)
        for place, question in enumerate(pool.questions):
            found = [_outcome(question.id, *one, recorded, answers, place) for one in outcomes.items()]
            writer.add(found)
        tokens = sum(recorded.tokens[place, :number].sum() for place, number in enumerate(drawn.tolist()))
        writer.spend(seconds, int(drawn.sum()), int(tokens))
        _keep(writer.pool_folder, pool, drawn)
    return folder


def split_run(folder, parts, seconds=(10.0, 20.0)):
    """The same run as several processes would have recorded it: every so many questions in a folder of its own."""
    record, made = RunRecord.open(folder), []
    for part in range(parts):
        own = [question for place, question in enumerate(record.pool.questions) if place % parts == part]
        kept = {question.id for question in own}
        rows = [row for row in record.pool.read().to_pylist() if row["question_id"] in kept]
        tokens = sum(row["num_tokens"] for row in rows)
        target = folder.with_name(f"{folder.name}-rank{part}")
        with RecordWriter(target, replace(record.facts, seconds=0.0, samples=0, tokens=0)) as writer:
            writer.add([one for one in record.outcomes() if one.question_id in kept])
            writer.spend(seconds[part], len(rows), tokens)
            settings = record.pool.manifest["settings"]
            with PoolWriter(writer.pool_folder, own, settings, 512, scores=record.pool.scores) as pool:
                pool.append_rows(rows)
        made.append(target)
    return made


def _answers(pool):
    found = {}
    for row in pool.read(["answer"]).to_pylist():
        found.setdefault(row["question_id"], []).append(row["answer"])
    return found


def _outcome(question, policy, own, recorded, answers, place):
    chosen, count = int(own.chosen[place]), int(own.count[place])
    target = getattr(parse_policy(policy), "score_min", None)
    correct = recorded.correct[place, chosen]
    return PolicyOutcome(
        question,
        policy,
        answers[question][chosen],
        None if np.isnan(correct) else bool(correct),
        float(recorded.scores[place, chosen]),
        None if np.isnan(own.confidence[place]) else float(own.confidence[place]),
        count,
        int(own.tokens[place]),
        str(own.reason[place]),
        None if target is None else bool(recorded.scores[place, :count].max() >= target),
        None if np.isnan(own.needed[place]) else float(own.needed[place]),
        0.5,
        None if own.prior is None else tuple(_prior_of(own.prior, place)),
    )


def _prior_of(prior, place):
    """(mean, std, strength) that a question started from."""
    return [float(part if part.ndim == 0 else part[place]) for part in vars(prior).values()]


def _keep(folder, pool, drawn):
    """The samples that were drawn, as a pool of their own."""
    wanted = dict(zip((question.id for question in pool.questions), drawn.tolist(), strict=True))
    with PoolWriter(folder, pool.questions, pool.manifest["settings"], 512, scores=pool.scores) as writer:
        writer.append_rows([row for row in pool.read().to_pylist() if row["sample_index"] < wanted[row["question_id"]]])


def outcomes_of(folders, policy):
    """Straight from the files: (question, outcome) of a policy, all runs."""
    lines = [json.loads(line) for one in folders for line in (one / "outcomes.jsonl").read_text().splitlines()]
    return [one for one in lines if one["policy"] == policy]


def by_question(rows, key):
    found = {}
    for one in rows:
        found.setdefault(one["question_id"], []).append(float(one[key]))
    return np.array([np.mean(values) for values in found.values()])


def named(comparison, policy):
    return next(one for one in comparison.results if one.policy == str(parse_policy(policy)))


def policy_runs(root, pools):
    """Three seeds of three policies together, and seed 0 of two of them alone."""
    made = [record_run(root / f"all{seed}", pool, seed=seed, seconds=40.0) for seed, pool in enumerate(pools)]
    alone = [
        record_run(root / name, pools[0], (policy,), seconds=seconds)
        for name, policy, seconds in (("ours", OURS, 8.0), ("reference", REFERENCE, 30.0))
    ]
    return made + alone
