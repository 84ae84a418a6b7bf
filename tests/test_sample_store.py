"""Samples of a run in a pool: kept as they were, given out once, and served again."""

import asyncio
import threading
from types import SimpleNamespace

import numpy as np
import pytest
from scripted_engine import QUESTIONS, Engine, Reads

from optscale_predictor.backends.generators import Request, Sample, SamplingParams, Usage
from optscale_predictor.errors import InputError
from optscale_predictor.inference import OptScale
from optscale_predictor.inference.sample_store import SampleStore, _of_row
from optscale_predictor.policies import parse_policy
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.questions.prompts import PromptTemplate
from optscale_predictor.replays.recorded_engines import RecordedGenerator, RecordedVerifier


def kept_rows(folder):
    columns = ["text", "answer", "num_tokens", "finish_reason", "seed", "score", "refusal", "verifier_tokens"]
    return Pool(folder).read(columns).to_pylist()


class SomeRefused(Engine):
    async def draw(self, request, sampling):
        found = await super().draw(request, sampling)
        return [Sample(f"0.5 {one.seed} refused", 9, "length", None) if one.seed == 1 else one for one in found]


def test_a_run_is_kept_with_what_made_it_and_goes_on(tmp_path):
    """What was refused, what was cut off and what has no seed comes back as it was."""
    template = PromptTemplate("Say {question}")

    def answers(engine, number, verifier=True, **options):
        scaler = OptScale(engine, Reads() if verifier else None, policy=parse_policy(number), prompt=template)
        return scaler.answer(QUESTIONS[:2], pool=tmp_path / "pool", **options)

    first = answers(SomeRefused(), "best_of_n:max_samples=3")
    pool = Pool(tmp_path / "pool")
    assert pool.manifest["settings"] == {"generator": {"adapter": "written out"}, "prompt": "Say {question}"}
    assert pool.scores == {"score": {"adapter": "reads"}}
    rows = kept_rows(tmp_path / "pool")
    assert len(rows) == 8 and [row["sample_index"] for row in rows] == [0, 1, 2, 3] * 2
    refused = rows[1]
    assert (refused["score"], refused["refusal"], refused["verifier_tokens"]) == (None, "no", 4)
    assert (refused["seed"], refused["num_tokens"], refused["finish_reason"]) == (None, 9, "length")
    engine = SomeRefused()
    again = answers(engine, "best_of_n:max_samples=3")
    # Unlike ==, it holds NaN equal to itself: neither run knows how sure it is.
    np.testing.assert_equal(*([vars(one) | {"seconds": 0, "requests": ()} for one in run] for run in (again, first)))
    assert all(len(one.requests) > 0 for one in first) and all(one.requests == () for one in again)
    assert not engine.asked
    answers(engine, "best_of_n:max_samples=5")
    assert [(one.first_index, one.num_samples) for one, _ in engine.asked] == [(4, 2)] * 2
    with pytest.raises(InputError, match="pool"):
        answers(engine, "best_of_n:max_samples=3", prompts=["a", "b"])


def test_prompts_of_ones_own_are_named_and_no_verifier_is_one_too(tmp_path):
    scaler = OptScale(Engine(), None, policy=parse_policy("self_consistency:max_samples=2"))
    for folder, options, name in (
        ("first", {}, "given with each question"),
        ("second", {"prompt_name": "mine"}, "mine"),
    ):
        scaler.answer(QUESTIONS[:2], prompts=["a", "b"], pool=str(tmp_path / folder), **options)
        pool = Pool(tmp_path / folder)
        assert pool.manifest["settings"]["prompt"] == name and pool.scores == {"score": {"adapter": "none"}}


def scored_sample(index, score=0.5):
    return SimpleNamespace(
        sample=Sample(f"text {index}", 3, "stop", index), answer="1", score=score, refusal=None, verifier_tokens=2
    )


def store_of(folder):
    return SampleStore(folder, QUESTIONS, {"generator": {}}, {"adapter": "reads"})


def test_samples_join_a_pool_by_the_batch_and_are_given_out_once(tmp_path):
    async def fill():
        store = store_of(tmp_path / "pool")
        await store.keep("q0", 0, [scored_sample(index) for index in range(60)])
        few = Pool(tmp_path / "pool").read(["score"]).num_rows
        await store.keep("q1", 0, [scored_sample(index) for index in range(4)])
        many = Pool(tmp_path / "pool").read(["score"]).num_rows
        await store.keep("q2", 0, [scored_sample(0)])
        await store.close()
        return few, many

    def reads(folder):
        return Pool(folder).read(["score"]).num_rows

    few, many = asyncio.run(fill())
    assert few == 0 and reads(tmp_path / "pool") == 65 and many in (0, 64)

    async def again():
        store = store_of(tmp_path / "pool")
        found = [store.stored(name) for name in ("q0", "q0", "q2", "q5", "nobody's")]
        await store.close()
        return found

    first, *rest = asyncio.run(again())
    assert [one.sample.text for one in first.values()] == [f"text {index}" for index in range(60)]
    assert {(one.score, one.refusal, one.verifier_tokens, one.sample.seed) for one in first.values()} == {
        (0.5, None, 2, index) for index in range(60)
    }
    assert [len(one) for one in rest] == [0, 1, 0, 0]


def test_a_batch_under_way_is_written_before_the_pool_is_let_go(tmp_path):
    """Another process may take the pool the moment its lock is free: nothing may still be on its way into it."""
    happened, release = [], threading.Event()

    async def fill():
        store = store_of(tmp_path / "pool")
        write, let_go = store._writer.append_all, store._writer.__exit__

        def slow(waiting):
            happened.append("begun")
            release.wait(60)
            write(waiting)
            happened.append("written")

        store._writer = SimpleNamespace(append_all=slow, __exit__=lambda: (happened.append("let go"), let_go()))
        keeping = asyncio.create_task(store.keep("q0", 0, [scored_sample(index) for index in range(64)]))
        while not happened:
            await asyncio.sleep(0)
        threading.Timer(0.2, release.set).start()
        await store.close()
        await asyncio.gather(keeping, return_exceptions=True)

    asyncio.run(fill())
    assert happened[:2] == ["begun", "written"] and happened[-1] == "let go"
    assert Pool(tmp_path / "pool").read(["score"]).num_rows == 64


def test_a_pool_with_unscored_samples_cannot_go_on_and_is_let_go_of(tmp_path):
    with PoolWriter(tmp_path / "pool", QUESTIONS, {"generator": {}}, scores={"score": {"adapter": "reads"}}) as writer:
        columns = (("score", None), ("refusal", None), ("verifier_tokens", None))
        writer.append("q0", 0, [Sample("text", 3, "stop", 0, columns=columns)])
    for _ in range(2):  # the second time as well: no lock is left behind
        with pytest.raises(InputError, match=r"pool: some samples have no score; run: optscale score .*pool$"):
            store_of(tmp_path / "pool")


def test_a_recorded_pool_serves_its_samples_by_the_text_of_the_question(tmp_path):
    with PoolWriter(
        tmp_path / "pool", QUESTIONS[:2], {"generator": {"model": "m"}}, scores={"score": {"adapter": "v"}}
    ) as writer:
        for question in QUESTIONS[:2]:
            columns = [(("score", index / 10), ("refusal", None), ("verifier_tokens", 0)) for index in range(3)]
            samples = [
                Sample(f"{question.id} {index}", 5 + index, "stop", index, columns=one)
                for index, one in enumerate(columns)
            ]
            writer.append(question.id, 0, samples)
    generator = RecordedGenerator(str(tmp_path / "pool"))
    verifier = RecordedVerifier(generator)
    assert generator.describe() == {"adapter": "pool", "settings": {"generator": {"model": "m"}}}
    assert verifier.describe() == {"adapter": "pool", "made_by": {"adapter": "v"}}
    assert generator.sampling == SamplingParams() and generator.usage == Usage()
    requests = [Request("any", "1+1=", 2, 1), Request("other", "0+1=", 1, 0)]
    found = list(generator.generate(requests))
    assert [request for request, _ in found] == requests
    assert [[(one.text, one.num_tokens, one.finish_reason, one.seed) for one in samples] for _, samples in found] == [
        [("q1 1", 6, "stop", 1), ("q1 2", 7, "stop", 2)],
        [("q0 0", 5, "stop", 0)],
    ]
    with pytest.raises(InputError, match=r"pool: question 'any' needs 4 samples, the pool holds 3; lower max_samples"):
        list(generator.generate([Request("any", "1+1=", 3, 1)]))
    with pytest.raises(InputError, match=r"pool: question 'any' is not in this pool"):
        list(generator.generate([Request("any", "who?", 1, 0)]))
    items = [
        SimpleNamespace(question=QUESTIONS[1], written="q1 2"),
        SimpleNamespace(question=QUESTIONS[0], written="q0 1"),
    ]
    assert verifier.score(items).values.tolist() == [0.2, 0.1] and verifier.blank_score(items[0]) is None
    drawn = asyncio.run(generator.session().draw(requests[0], SamplingParams()))
    assert [one.text for one in drawn] == ["q1 1", "q1 2"]


def test_a_stored_row_without_counts_is_a_sample_that_cost_nothing_known(tmp_path):
    """Imported samples may lack tokens and a finish reason; a refused one has no score."""
    row = {
        "text": "12",
        "num_tokens": None,
        "finish_reason": None,
        "seed": None,
        "answer": "12",
        "verifier_tokens": None,
    }
    pool = SimpleNamespace(folder=tmp_path, name="pool")
    scored = _of_row({**row, "score": 0.25, "refusal": None}, pool)
    assert (scored.sample, scored.score, scored.verifier_tokens) == (Sample("12", 0, "", None), 0.25, 0)
    refused = _of_row({**row, "score": None, "refusal": "too long"}, pool)
    assert np.isnan(refused.score) and refused.refusal == "too long"
    with pytest.raises(InputError, match="run: optscale score pool"):
        _of_row({**row, "score": None, "refusal": None}, pool)


def test_a_run_of_some_of_a_pools_questions_takes_their_samples_and_no_others(tmp_path):
    async def fill_and_reopen():
        store = store_of(tmp_path / "pool")
        await store.keep("q0", 0, [scored_sample(0)])
        await store.keep("q3", 0, [scored_sample(index) for index in (1, 2)])
        await store.close()
        some = SampleStore(tmp_path / "pool", [QUESTIONS[3]], {"generator": {}}, {"adapter": "reads"})
        found = [some.stored("q3"), some.stored("q0")]
        await some.close()
        return found

    mine, others = asyncio.run(fill_and_reopen())
    assert [one.sample.text for one in mine.values()] == ["text 1", "text 2"] and others == {}
