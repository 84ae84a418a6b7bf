"""What has come of work that is cut short is kept: samples asked for one by one, scores of an unfinished batch."""

from collections import Counter

import pytest
from answering import WrittenServer, connect, questions_of, serving
from synthetic_pool import write_pool

from optscale_predictor.backends.generators import Request, Sample, arrived_parts
from optscale_predictor.backends.verifiers.model_free import FunctionVerifier
from optscale_predictor.errors import RequestRefusedError, ServiceError
from optscale_predictor.pools import Pool
from optscale_predictor.pools.preparation import generate_pool, score_pool

FIRST, EACH = 25, 8  # samples that come before the server fails; samples of a question


def rows_of(folder):
    return {
        (row["question_id"], row["sample_index"]): (row["text"], row["seed"], row["num_tokens"])
        for row in Pool(folder).read(["text", "seed", "num_tokens"]).to_pylist()
    }


def draw(url, folder, **options):
    settings = {"samples_per_request": EACH, "progress": False}
    generator = connect(url, concurrency=5, **options)
    try:
        return generate_pool(folder, questions_of(6), generator, EACH, **settings)
    finally:
        assert generator.usage.discarded_tokens == 0


@pytest.mark.parametrize(("status", "failure"), [(500, ServiceError), (400, RequestRefusedError)])
def test_each_sample_that_has_come_is_kept_and_the_rest_is_what_it_would_have_been(tmp_path, status, failure):
    server = WrittenServer(owner="llamacpp")
    with serving(server.app()) as url:
        draw(url, tmp_path / "whole")
        assert {body["n"] for body in server.bodies} == {1}
        server.finished.clear()
        server.reply = lambda prompt: 200 if len(server.finished) <= FIRST else status
        with pytest.raises(failure):
            draw(url, tmp_path / "pool")
        kept = rows_of(tmp_path / "pool")
        assert len(kept) == FIRST
        server.reply = lambda prompt: 200
        server.bodies.clear()
        draw(url, tmp_path / "pool")
    assert len(server.bodies) == 6 * EACH - FIRST
    assert (
        rows_of(tmp_path / "pool") == rows_of(tmp_path / "whole")
        and kept.items() <= rows_of(tmp_path / "whole").items()
    )
    seeds = Counter(seed for _, seed, _ in rows_of(tmp_path / "pool").values())
    assert set(seeds.values()) == {1}


def test_parts_are_runs_of_places():
    samples = {place: Sample(f"{place}", 1, "stop", place) for place in (4, 0, 1, 6, 5)}
    parts = arrived_parts(Request("q", "p", 8, 10), samples)
    assert [(part.first_index, part.num_samples, [one.seed for one in found]) for part, found in parts] == [
        (10, 2, [0, 1]),
        (14, 3, [4, 5, 6]),
    ]
    assert arrived_parts(Request("q", "p", 8), {}) == []


calls = []


def stops(question, text):
    """A user's verifier, during whose fifth call Ctrl-C comes."""
    calls.append(text)
    if len(calls) == 5:
        raise KeyboardInterrupt
    if len(calls) == 3:
        raise ValueError("odd")
    return 0.5


def test_scores_of_an_unfinished_batch_are_kept(tmp_path):
    write_pool(tmp_path / "pool", [[0.5] * 10], columns=())
    with pytest.raises(KeyboardInterrupt):
        score_pool(tmp_path / "pool", FunctionVerifier("test_cut_short:stops"), "score_own", progress=False)
    rows = Pool(tmp_path / "pool").read(["score_own", "refusal_own"]).to_pylist()
    assert [row["score_own"] for row in rows] == [0.5, 0.5, None, 0.5, *[None] * 6]
    assert Pool(tmp_path / "pool").unscored("score_own") == 6 and rows[2]["refusal_own"]
    score_pool(tmp_path / "pool", FunctionVerifier("test_cut_short:stops"), "score_own", progress=False)
    assert Pool(tmp_path / "pool").unscored("score_own") == 0 and len(calls) == 11
