"""Logs of lm-eval that are damaged: told by their line. What lm-eval itself writes is read in the full tier."""

import json

import pytest

from optscale_predictor.errors import InputError
from optscale_predictor.pools.importing.lm_eval_logs import read_log

ROW = {
    "doc_id": 0,
    "doc": {"question": "1+1="},
    "target": "2",
    "resps": [["#### 2"]],
    "filter": "none",
    "exact_match": 1,
}


def logged(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("name", [0, "0", 17])
def test_a_document_is_called_by_its_task_and_number(name, tmp_path):
    (one,) = read_log(logged(tmp_path / "sums.jsonl", {**ROW, "doc_id": name}))
    assert one.question_id == f"sums/{name}"


@pytest.mark.parametrize("key", ["filter", "doc_id"])
@pytest.mark.parametrize("value", [["none"], {"name": 1}, 1.5, True])
def test_a_name_of_another_type_is_told_by_its_line(key, value, tmp_path):
    path = logged(tmp_path / "sums.jsonl", ROW, {**ROW, "doc_id": 1, key: value})
    with pytest.raises(InputError, match=rf"sums\.jsonl:2: '{key}' must be"):
        list(read_log(path))
