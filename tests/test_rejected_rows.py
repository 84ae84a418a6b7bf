"""Samples that early rejection stopped, in pools and records: kept, counted, and made nothing of."""

import json

import pytest
from recorded_runs import REFERENCE
from small_pools import questions_of, settings_of

from optscale_predictor.backends.generators import Sample
from optscale_predictor.backends.generators.sample_parts import STOPPED
from optscale_predictor.backends.verifiers import Scores, Verifier
from optscale_predictor.backends.verifiers.process_verifier import whole_steps
from optscale_predictor.cli.main import main
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.run_facts import RunFacts
from optscale_predictor.evaluation.run_record import PolicyOutcome, RecordWriter, RunRecord
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.pools.importing import import_pool
from optscale_predictor.pools.labelled_pools import read_labelled
from optscale_predictor.pools.preparation import score_pool
from optscale_predictor.pools.rejected_rows import has_rejected
from optscale_predictor.replays.recorded_engines import RecordedGenerator
from optscale_predictor.replays.recorded_samples import RecordedSamples
from optscale_predictor.targets.pool_scores import read_pool_scores

VERIFIER = {"adapter": "made up", "model": "org/verifier"}
SAID = r"early rejection stopped 4 of its samples"


def write(folder, stopped=True, questions=4, samples=4):
    """A scored pool; of every question the last sample was stopped, though its text holds the right answer."""
    asked = questions_of(questions)
    with PoolWriter(folder, asked, settings_of(), scores={"score": VERIFIER}) as writer:
        for number, question in enumerate(asked):
            whole = [
                Sample(f"no. {index} #### {2 * number}", 10, "stop", index, (("score", 0.2 * index),))
                for index in range(samples - stopped)
            ]
            cut = Sample(f"no. 9 #### {2 * number}", 5, "rejected", 9, (("score", None), ("refusal", STOPPED)))
            writer.append(question.id, 0, [*whole, cut] if stopped else whole)
    return Pool(folder)


class Reader(Verifier):
    """Notes what it reads."""

    def __init__(self):
        self.read = []

    def score(self, items):
        self.read += [item.text for item in items]
        return Scores.of([0.5] * len(items))

    def describe(self):
        return {"adapter": "reader"}


def cut_rows(pool):
    return [row for row in pool.read().to_pylist() if row["finish_reason"] == "rejected"]


def test_a_stopped_sample_has_neither_answer_nor_label(tmp_path):
    pool = write(tmp_path / "pool")
    assert len(cut_rows(pool)) == 4 and all(row["answer"] is row["correct"] is None for row in cut_rows(pool))
    assert sum(row["correct"] is True for row in pool.read().to_pylist()) == 12
    assert has_rejected(pool) and not has_rejected(write(tmp_path / "whole", stopped=False))


def test_a_label_that_an_import_gives_it_is_not_taken(tmp_path):
    shared = {"question_id": "a", "question": "1+1=", "gold": "2", "answer": "2", "correct": True, "num_tokens": 3}
    rows = [{**shared, "text": f"#### 2 as {how}", "finish_reason": how} for how in ("stop", "rejected")]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    import_pool(tmp_path / "pool", [tmp_path / "rows.jsonl"])
    whole, cut = Pool(tmp_path / "pool").read().to_pylist()
    assert whole["correct"] is True and whole["answer"] == "2"
    assert cut["finish_reason"] == "rejected" and cut["correct"] is cut["answer"] is None


@pytest.mark.parametrize(
    "read",
    [RecordedSamples.from_pool, read_pool_scores, lambda pool: RecordedGenerator(str(pool.folder))],
    ids=["replays and fits", "targets", "a pool served again"],
)
def test_targets_and_replays_refuse_the_whole_pool(tmp_path, read):
    with pytest.raises(InputError, match=SAID):
        read(write(tmp_path / "pool"))
    assert read(write(tmp_path / "whole", stopped=False)) is not None


@pytest.mark.parametrize(
    "command",
    [
        ["targets", "{pool}", "--output", "{out}.parquet"],
        ["replay", "{pool}", "--policies", "best_of_n:max_samples=2"],
        ["tune", "{pool}"],
        ["calibrate", "{pool}", "{out}.json"],
        ["fit-policy", "{pool}", "--output", "{out}"],
        ["report", "{pool}", "--output", "{out}"],
    ],
    ids=lambda command: command[0],
)
def test_commands_say_so_in_one_line(tmp_path, capsys, command):
    write(tmp_path / "pool")
    places = {"pool": tmp_path / "pool", "out": tmp_path / "out"}
    with pytest.raises(SystemExit) as ended:
        main([one.format_map(places) for one in command])
    said = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 2 and "early rejection stopped 4 of its samples" in said[-1]


def test_a_training_set_of_a_verifier_leaves_them_out(tmp_path):
    found = read_labelled([write(tmp_path / "pool")], most=10)
    assert len(found.items) == 12 and not any("no. 9" in item.text for item in found.items)


@pytest.mark.parametrize("retry", [False, True])
def test_no_verifier_is_asked_about_them_later(tmp_path, retry):
    pool, reader = write(tmp_path / "pool"), Reader()
    score_pool(pool.folder, reader, column="score_again", retry_refused=retry)
    assert len(reader.read) == 12 and not any("no. 9" in text for text in reader.read)
    assert {row["refusal_again"] for row in cut_rows(Pool(pool.folder))} == {STOPPED}
    score_pool(pool.folder, reader, column="score_again", retry_refused=retry)
    assert len(reader.read) == 12


def test_a_record_says_what_was_stopped_and_its_report_makes_no_curve_of_it(tmp_path, capsys):
    facts = RunFacts("sums", [REFERENCE], {"model": "g"}, {"model": "v"}, None, 0, "now", reject="tokens=16,risk=0.1")
    with RecordWriter(tmp_path / "run", facts) as writer:
        pool = write(writer.pool_folder)
        for question in pool.questions:
            writer.add([PolicyOutcome(question.id, REFERENCE, "2", True, 0.4, None, 4, 35, "budget", None, None, 1.0)])
        writer.spend(2.0, 16, 140, 4, 20.4)
    facts = RunRecord.open(tmp_path / "run").facts
    assert (facts.samples, facts.tokens, facts.rejected, facts.saved_tokens) == (16, 140, 4, 20)
    main(["report", str(tmp_path / "run"), "--output", str(tmp_path / "report")])
    capsys.readouterr()
    page = next((tmp_path / "report").glob("*.html")).read_text()
    assert "stopped 4 of 16 samples, which saved about 20 tokens (12% of what they would have been)" in page
    summary = next(path for path in (tmp_path / "report").rglob("*.json") if "runs" in json.loads(path.read_text()))
    assert json.loads(summary.read_text())["runs"][0]["rejected"] == 4


def test_a_process_reward_model_is_shown_whole_steps():
    assert whole_steps("one\n\ntwo\n \nthr", "\n\n") == "one\n\ntwo"
    assert whole_steps("one\n\n", "\n\n") == "one" and whole_steps("on", "\n\n") == "on"
    assert whole_steps("\n\nfirst", "\n\n") == "\n\nfirst" and whole_steps("a. b. c", ". ") == "a. b"
