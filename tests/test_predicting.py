"""``optscale predict``: files, standard input as it comes, both forms of output, and what is refused."""

import json
import os
import threading

import pyarrow.parquet as pq
import pytest
from small_pools import shown
from small_predictors import make_predictor, priors, refusal_of

from optscale_predictor.cli.main import main
from optscale_predictor.predictor.model.config import ScoreSource

ASKED = [f"{number}+{number % 9}=" for number in range(75)]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    make_predictor(sources=[ScoreSource("one"), ScoreSource("two")]).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    path = tmp_path_factory.mktemp("questions") / "questions.jsonl"
    path.write_text("".join(json.dumps({"id": f"é{n}", "question": one}) + "\n" for n, one in enumerate(ASKED)))
    return path


@pytest.fixture(scope="module")
def expected():
    predictor = make_predictor(sources=[ScoreSource("one"), ScoreSource("two")])
    found = {source: predictor.predict(ASKED, source) for source in ("one", "two")}
    return {
        source: [
            {"id": f"é{n}", "mean": mean, "std": std, "strength": strength}
            for n, (mean, std, strength) in enumerate(zip(prior.mean, prior.std, prior.strength, strict=True))
        ]
        for source, prior in found.items()
    }


def close(rows, wanted):
    assert [row["id"] for row in rows] == [row["id"] for row in wanted]
    for row, other in zip(rows, wanted, strict=True):
        assert row.keys() == other.keys()
        assert [row[name] for name in row if name != "id"] == pytest.approx(
            [other[name] for name in row if name != "id"], rel=1e-5
        )


def test_every_form_of_output_says_the_same(checkpoint, questions, expected, tmp_path, capsys):
    command = ["predict", checkpoint, questions, "--batch_size", "2", "--source"]
    close([json.loads(line) for line in shown(capsys, *command, "one").splitlines()], expected["one"])
    assert shown(capsys, *command, "two", "--output", tmp_path / "new" / "out.jsonl") == ""
    close([json.loads(line) for line in (tmp_path / "new" / "out.jsonl").read_text().splitlines()], expected["two"])
    shown(capsys, *command, "two", "--output", tmp_path / "out.parquet")
    close(pq.read_table(tmp_path / "out.parquet").to_pylist(), expected["two"])
    assert {row["mean"] for row in expected["one"]} != {row["mean"] for row in expected["two"]}


def test_long_inputs_show_progress_on_standard_error(checkpoint, questions, capsys):
    command = [str(part) for part in ("predict", checkpoint, questions, "--source", "one", "--batch_size")]
    main([*command, "2"])
    long = capsys.readouterr()
    main([*command, "64"])
    short = capsys.readouterr()
    assert "75 of 75 questions" in long.err and "75 of 75" not in short.err
    assert long.out.count("\n") == short.out.count("\n") == 75


def test_standard_input_is_answered_as_it_comes(checkpoint, monkeypatch):
    """The second batch is asked only when the answers to the first have been read."""
    (asked, ask), (answers, answer) = os.pipe(), os.pipe()
    found = []

    def talk():
        with open(ask, "w") as writing, open(answers) as reading:
            for batch in (ASKED[:2], ASKED[2:4], ASKED[4:5]):
                writing.write("".join(json.dumps({"question": one}) + "\n" for one in batch))
                writing.flush()
                if len(batch) < 2:
                    writing.close()
                found.extend(json.loads(reading.readline()) for _ in batch)
            found.extend(reading)

    talker = threading.Thread(target=talk)
    talker.start()
    # Buffered as pipes are: what is not flushed is never read.
    with open(asked) as reading, open(answer, "w") as writing:
        monkeypatch.setattr("sys.stdin", reading), monkeypatch.setattr("sys.stdout", writing)
        main(["predict", str(checkpoint), "-", "--batch_size", "2", "--source", "one"])
    talker.join()
    assert [row["id"] for row in found] == list("01234")
    wanted = priors(make_predictor(sources=[ScoreSource("one"), ScoreSource("two")]), ASKED[:5])[0].tolist()
    assert [row["mean"] for row in found] == pytest.approx(wanted, rel=1e-5)


def test_what_cannot_be_answered_is_one_line(checkpoint, questions, tmp_path, capsys):
    command = ["predict", checkpoint, questions]
    assert "source must be one of one, two: name one" in refusal_of(capsys, *command)
    command += ["--source", "one"]
    assert "source must be one of" in refusal_of(capsys, "predict", checkpoint, questions, "--source", "three")
    assert "batch_size must be >= 1" in refusal_of(capsys, *command, "--batch_size", "0")
    assert "must end in .jsonl or .parquet" in refusal_of(capsys, *command, "--output", tmp_path / "out.csv")
    assert "no such folder" in refusal_of(capsys, "predict", tmp_path / "none", questions)
    (tmp_path / "file").write_text("")
    assert "cannot write" in refusal_of(capsys, *command, "--output", tmp_path / "file" / "out.jsonl")
    (tmp_path / "twice.jsonl").write_text('{"id": 1, "question": "a"}\n{"id": 1, "question": "b"}\n')
    assert "id '1' occurs twice" in refusal_of(
        capsys, "predict", checkpoint, tmp_path / "twice.jsonl", "--source", "one"
    )


def test_an_interrupted_run_leaves_no_half_of_a_file(checkpoint, tmp_path, capsys, monkeypatch):
    lines = [*(json.dumps({"question": one}) for one in ASKED[:6]), "no question"]
    monkeypatch.setattr("sys.stdin", iter([f"{line}\n" for line in lines]))
    command = ["predict", checkpoint, "-", "--source", "one", "--batch_size", "2", "--output", tmp_path / "out.parquet"]
    assert "standard input:7: not valid JSON" in refusal_of(capsys, *command)
    assert list(tmp_path.iterdir()) == []
