"""Every sample of a run is kept, and a run that was cut off goes on where it was."""

import multiprocessing
import os
import signal
import sys
import threading

import pytest
from answering import WrittenScores, WrittenServer, connect, of_policies, questions_of, said, serving, written
from forked import fork_of
from stopped_clock import HUNG, wait_until

from optscale_predictor.errors import InputError, ServiceError
from optscale_predictor.inference import Limits, OptScale
from optscale_predictor.policies import BestOfN, parse_policy
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.questions.prompts import PromptTemplate

# One step after the other: which samples are drawn ahead is a matter of timing, and pools are compared row by row here.
POLICIES = ["optscale:score_min=0.9,step=one", "best_of_n:max_samples=4"]
COLUMNS = ["question_id", "sample_index", "text", "num_tokens", "score", "refusal", "verifier_tokens", "answer", "seed"]


def scaler_of(url, policies=POLICIES, **options):
    verifier = options.pop("verifier", None) or WrittenScores()
    connected = connect(url, **options)
    return OptScale(connected, verifier, policy=[parse_policy(text) for text in policies])


def some_refused(prompt, seed, place):
    text = written(prompt, seed, place)
    return f"refused {text}" if text.endswith("2") else text


def rows_of(folder):
    return sorted(map(repr, Pool(folder).read(COLUMNS).to_pylist()))


def test_every_sample_of_the_run_is_kept_with_its_score_or_refusal(tmp_path):
    questions = questions_of(15)
    server = WrittenServer(text=some_refused)
    with serving(server.app()) as url:
        answers = scaler_of(url).answer(questions, pool=tmp_path / "pool")
    rows = Pool(tmp_path / "pool").read(COLUMNS).to_pylist()
    assert len(rows) == server.asked().total() == sum(answer.generated_samples for answer in answers)
    by_question: dict = {question.id: [] for question in questions}
    for row in rows:
        earlier = [one["text"] for one in by_question[row["question_id"]]]
        assert row["sample_index"] == len(earlier)
        by_question[row["question_id"]].append(row)
        assert (row["score"] is None) == (row["refusal"] is not None) == row["text"].startswith("refused")
        read_before = row["text"] in earlier and row["refusal"] is None
        assert row["verifier_tokens"] == (0 if read_before else 2)
    assert any(row["refusal"] for row in rows)
    for answer in answers:
        kept = by_question[answer.question_id]
        assert answer.generated_tokens == sum(row["num_tokens"] for row in kept)
        scores = [row["score"] for row in kept if row["score"] is not None]
        for own in of_policies(answer):
            assert list(own.scores) == pytest.approx(scores[: own.samples])
    assert Pool(tmp_path / "pool").scores["score"]["adapter"] == "written"


def test_a_run_again_draws_nothing_and_says_the_same(tmp_path):
    questions = questions_of(15)
    server = WrittenServer(text=some_refused)
    with serving(server.app()) as url:
        first = scaler_of(url).answer(questions, pool=tmp_path / "pool")
        drawn = server.asked()
        again = scaler_of(url).answer(questions, pool=tmp_path / "pool")
        assert server.asked() == drawn
        assert list(map(said, again)) == list(map(said, first))
        # Another policy uses what is there and draws the rest; the pool grows by that alone.
        scaler_of(url, ["best_of_n:max_samples=12"]).answer(questions, pool=tmp_path / "pool")
    assert server.asked().total() == Pool(tmp_path / "pool").read(["score"]).num_rows > drawn.total()


def test_more_questions_join_the_pool(tmp_path):
    server = WrittenServer()
    with serving(server.app()) as url:
        first = scaler_of(url).answer(questions_of(4), pool=tmp_path / "pool")
        more = scaler_of(url).answer(questions_of(9), pool=tmp_path / "pool")
        fewer = scaler_of(url).answer(questions_of(2), pool=tmp_path / "pool")
    assert list(map(said, more[:4])) == list(map(said, first)) and list(map(said, fewer)) == list(map(said, first[:2]))
    assert server.asked().total() == Pool(tmp_path / "pool").read(["score"]).num_rows


def test_a_run_that_met_its_limit_goes_on(tmp_path):
    questions = questions_of(15)
    with serving(WrittenServer(text=some_refused).app()) as url:
        whole = scaler_of(url).answer(questions, pool=tmp_path / "whole")
        short = scaler_of(url).answer(questions, limits=Limits(max_tokens=400), pool=tmp_path / "pool")
        assert any(answer.stop_reason == "budget" and answer.samples == 0 for answer in short)
        rest = scaler_of(url).answer(questions, pool=tmp_path / "pool")
    assert list(map(said, rest)) == list(map(said, whole))
    assert rows_of(tmp_path / "pool") == rows_of(tmp_path / "whole")


@pytest.mark.parametrize("other", ["seed", "length", "prompt", "verifier"])
def test_a_pool_made_otherwise_is_refused_before_anything_is_drawn(tmp_path, other):
    class OtherScores(WrittenScores):
        def describe(self):
            return {"adapter": "another"}

    server = WrittenServer()
    with serving(server.app()) as url:
        scaler_of(url).answer(questions_of(3), pool=tmp_path / "pool")
        drawn = server.asked()
        options = {"seed": {"seed": 1}, "length": {"max_tokens": 15}, "verifier": {"verifier": OtherScores()}}
        scaler = scaler_of(url, **options.get(other, {}))
        if other == "prompt":
            scaler = OptScale(scaler.generator, scaler.verifier, prompt=PromptTemplate("Say {question}"))
        with pytest.raises(InputError, match="pool"):
            scaler.answer(questions_of(3), pool=tmp_path / "pool")
        assert server.asked() == drawn


def test_a_hole_in_a_pool_is_drawn(tmp_path):
    server = WrittenServer()
    with serving(server.app()) as url:
        scaler = scaler_of(url)
        scaler.answer(questions_of(2), pool=tmp_path / "pool")
        pool = Pool(tmp_path / "pool")
        rows = [row for row in pool.read().to_pylist() if (row["question_id"], row["sample_index"]) != ("q0001", 1)]
        with PoolWriter(tmp_path / "holed", pool.questions, pool.manifest["settings"], scores=pool.scores) as writer:
            writer.append_rows(rows)
        before = server.asked()
        scaler.answer(questions_of(2), pool=tmp_path / "holed")
        assert server.asked() - before == {"1+1=": 1}
    assert Pool(tmp_path / "holed").counts() == pool.counts()


def test_a_verifier_that_dies_costs_no_sample(tmp_path):
    """What had been drawn is kept, and scored by the run that goes on; nothing is drawn twice."""

    def die(_):
        if sum(verifier.batches) > 20:
            dying.set()
            wait_until(all_has_arrived)
            raise ServiceError("the verifier is gone")

    def held(prompt):
        return dying.is_set() and not waiting.add(prompt)

    def all_has_arrived():
        """What is asked for from now on is held; all that was answered before has been read."""
        read = dies.generator.usage.prompt_tokens == sum(map(len, server.finished))
        return read and server.now == len(waiting)

    questions, verifier, server = questions_of(15), WrittenScores(die), WrittenServer(text=some_refused)
    dying, waiting = threading.Event(), set()
    with serving(server.app()) as url:
        whole = scaler_of(url).answer(questions, pool=tmp_path / "whole")
        server.finished.clear()
        server.given, server.holds = 0, held
        dies = scaler_of(url, verifier=verifier)
        with pytest.raises(ServiceError):
            dies.answer(questions, pool=tmp_path / "pool")
        pool = Pool(tmp_path / "pool")
        assert pool.read(["score"]).num_rows == server.given and pool.unscored() > 0
        dying.clear()
        again = scaler_of(url).answer(questions, pool=tmp_path / "pool")
        assert server.given == Pool(tmp_path / "pool").read(["score"]).num_rows
    assert list(map(said, again)) == list(map(said, whole))
    assert rows_of(tmp_path / "pool") == rows_of(tmp_path / "whole")
    assert Pool(tmp_path / "pool").unscored() == 0


def test_two_runs_may_not_write_at_once(tmp_path):
    with serving(WrittenServer(wait=lambda prompt: 0.01).app()) as url:
        running = scaler_of(url).stream(questions_of(5), pool=tmp_path / "pool")
        next(running)
        with pytest.raises(InputError, match="pool"):
            scaler_of(url).answer(questions_of(5), pool=tmp_path / "pool")
        assert len(list(running)) == 4
    assert len(Pool(tmp_path / "pool").questions) == 5


def test_a_disk_that_is_full_is_an_error_and_nothing_hangs(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with serving(WrittenServer().app()) as url:
        monkeypatch.setattr(PoolWriter, "append_all", full)
        with pytest.raises(OSError, match="No space left"):
            scaler_of(url).answer(questions_of(20), pool=tmp_path / "pool")


def run_of(told, folder):
    """The run in a fork, which begins when it is told the server's address, and may be cut off."""
    PoolWriter.__init__.__defaults__ = (16, None)  # shards small enough that some are there at every moment
    url = told.recv()
    try:
        scaler_of(url, concurrency=4).answer(questions_of(40), pool=folder)
    except KeyboardInterrupt:
        sys.exit(130)


@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_cut_off_goes_on_and_gives_the_same_answers(tmp_path, signal_):
    server, ended = WrittenServer(text=some_refused), threading.Event()
    begin, told = multiprocessing.Pipe()
    first = fork_of(run_of, told, tmp_path / "pool")  # there is no other thread yet
    with serving(server.app()) as url:
        whole = scaler_of(url, concurrency=16).answer(questions_of(40), pool=tmp_path / "whole")
        server.bodies.clear()
        # It is in the middle of its work when the signal comes, and cannot end before.
        server.holds = lambda prompt: len(server.bodies) >= 80 and not ended.is_set()
        begin.send(url)
        wait_until(lambda: len(server.bodies) >= 60)
        if signal_ == signal.SIGKILL:  # which loses all that is not committed: some must be
            wait_until(lambda: any((tmp_path / "pool").glob("**/*.parquet")))
        os.kill(first.pid, signal_)
        first.join(HUNG)
        ended.set()
        assert first.exitcode == (-9 if signal_ == signal.SIGKILL else 130)
        kept = Pool(tmp_path / "pool").read(["score"]).num_rows if (tmp_path / "pool" / "manifest.json").exists() else 0
        before = server.asked().total()
        assert 0 < kept <= before
        if signal_ == signal.SIGINT:  # what had come and been scored by then is kept: four requests were under way
            assert before - kept <= 8 * 4
        again = scaler_of(url, concurrency=4).answer(questions_of(40), pool=tmp_path / "pool")
    assert list(map(said, again)) == list(map(said, whole))
    assert rows_of(tmp_path / "pool") == rows_of(tmp_path / "whole")
    assert server.asked().total() - before == Pool(tmp_path / "pool").read(["score"]).num_rows - kept


def test_a_policy_alone_in_the_pool_is_kept_as_it_was_drawn(tmp_path):
    """Best-of-N's samples of a question lie in one shard, together, in their order."""
    with serving(WrittenServer().app()) as url:
        answers = OptScale(connect(url), WrittenScores(), policy=BestOfN(4)).answer(
            questions_of(6), pool=tmp_path / "p"
        )
    rows = Pool(tmp_path / "p").read(["question_id", "sample_index", "text", "score"]).to_pylist()
    for answer in answers:
        own = [row for row in rows if row["question_id"] == answer.question_id]
        assert [row["sample_index"] for row in own] == [0, 1, 2, 3]
        assert answer.text == max(own, key=lambda row: row["score"])["text"]
