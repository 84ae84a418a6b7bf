"""Every file of JSON that the package reads, filled with what no reader can take: one line that names it."""

import json
from pathlib import Path

import pytest

from optscale_predictor.errors import InputError

HOSTILE = {
    "nested lists": b"[" * 3000,
    "nested objects": b'{"format": ' * 3000,
    "deep and whole": b'{"format": ' + b"[" * 300 + b"]" * 300 + b"}",
    "400 digits": b'{"format": ' + b"9" * 400 + b"}",
    "4,301 digits": b'{"format": ' + b"9" * 4301 + b"}",
    "binary": bytes(range(256)),
    "cut off": b'{"format": 1, "a": [',
    "empty": b"",
    "a list": b"[1]",
}


def calibration(path):
    from optscale_predictor.stats.calibration import Calibration

    Calibration.load(path)


def run_record(path):
    from optscale_predictor.evaluation.run_record import RunRecord

    RunRecord.open(path.rename(path.parent / "run.json").parent)


def outcomes(path):
    from optscale_predictor.evaluation.run_record import RunRecord

    path.write_bytes(path.read_bytes().replace(b"\n", b"") + b"\n")
    list(RunRecord(path.rename(path.parent / "outcomes.jsonl").parent, None).outcomes())  # type: ignore[arg-type]


def predictions(path):
    from optscale_predictor.evaluation.paper_table.published_results import read_predictions

    read_predictions(path, 3)


def fitted_policy(path):
    from optscale_predictor.policies.fitted.model_files import SETTINGS, load_fitted

    load_fitted(path.rename(path.parent / SETTINGS).parent)


def manifest(path):
    from optscale_predictor.pools.manifest import MANIFEST_FILE, read_manifest

    read_manifest(path.rename(path.parent / MANIFEST_FILE).parent)


def combination(path):
    from optscale_predictor.backends.verifiers.combined import COMBINED_FILE, ScoreCombination

    ScoreCombination.load(path.rename(path.parent / COMBINED_FILE).parent)


def score_map(path):
    from optscale_predictor.backends.verifiers.likelihood import SCORE_MAP_FILE, ScoreMap

    ScoreMap.load(path.rename(path.parent / SCORE_MAP_FILE).parent)


def questions(path):
    from optscale_predictor.questions.question import read_questions

    read_questions(path)


def solved_questions(path):
    from optscale_predictor.questions.worked_solutions import load_solved_questions

    load_solved_questions([str(path)])


def imported_samples(path):
    from optscale_predictor.pools.importing._objects import read_objects

    assert list(read_objects(path))  # an empty file is none
    raise AssertionError("read")


def targets(path):
    from optscale_predictor.predictor.training.training_targets import read_targets

    read_targets(path)


def provenance(path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from optscale_predictor.targets.target_table import _KEY, read_provenance

    table = pa.table({"question": ["1+1="]}).replace_schema_metadata({_KEY: path.read_bytes()})
    pq.write_table(table, path)
    read_provenance(path)


def answers(path):
    from optscale_predictor.cli.answer_command import _answered

    path.write_bytes(path.read_bytes().replace(b"\n", b"") + b"\n")
    _answered(path)


READERS = [
    calibration,
    run_record,
    outcomes,
    predictions,
    fitted_policy,
    manifest,
    combination,
    score_map,
    questions,
    solved_questions,
    imported_samples,
    targets,
    provenance,
    answers,
]


@pytest.mark.parametrize("content", HOSTILE)
@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_it_is_one_line_that_names_the_file(read, content, tmp_path):
    path = tmp_path / "file.jsonl"
    path.write_bytes(HOSTILE[content])
    if (read, content) == (imported_samples, "empty"):
        return  # nothing is in it, which its callers say
    with pytest.raises(InputError) as raised:
        read(path)
    assert str(tmp_path) in str(raised.value) and len(str(raised.value).splitlines()) == 1
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("content", HOSTILE)
def test_a_line_of_the_log_of_runs_that_cannot_be_read_is_left_out(content, tmp_path):
    from optscale_predictor.pools.manifest import RUNS_FILE, read_runs

    line = HOSTILE[content].replace(b"\n", b"").replace(b"\r", b"")
    (tmp_path / RUNS_FILE).write_bytes(b'{"a": 1}\n' + line + b'\n{"b": 2}\n')
    assert [run for run in read_runs(tmp_path) if "a" in run or "b" in run] == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("content", [name for name in HOSTILE if name not in ("binary", "empty")])
def test_a_line_of_the_journal_that_cannot_be_read_is_damaged(content, tmp_path):
    from optscale_predictor.pools.journal import JOURNAL_FILE, Journal

    good = json.dumps({"file": "samples-000001.parquet", "rows": 1, "sha256": "0"}).encode()
    (tmp_path / JOURNAL_FILE).write_bytes(good + b"\n" + HOSTILE[content] + b"\n" + good + b"\n")
    journal = Journal(tmp_path)
    assert journal.damaged == [2] and len(journal.entries) == 2


@pytest.mark.parametrize("write", ["write_json", "write_text", "append_line"])
def test_a_path_with_a_nul_in_it_cannot_be_written(write, tmp_path):
    from optscale_predictor._support import atomic_files

    with pytest.raises(InputError, match="not a path: there is a NUL in it"):
        getattr(atomic_files, write)("x", Path(f"{tmp_path}/a\0b"))
