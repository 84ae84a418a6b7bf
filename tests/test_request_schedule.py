"""The schedule of a run is written, read back, and says what was sent."""

import pytest
from test_joined_draws import AUTO, Joining, Reads, questions

from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.request_schedule import add_requests, read_requests
from optscale_predictor.inference import OptScale
from optscale_predictor.inference.request_cost import RequestCost
from optscale_predictor.policies import parse_policy


def test_an_answers_requests_are_those_that_the_engine_got(monkeypatch, tmp_path):
    monkeypatch.setattr(RequestCost, "share", lambda self: 0.3)
    engine = Joining(16)
    for answer in OptScale(engine, Reads(), policy=parse_policy(AUTO)).answer(questions(30)):
        add_requests(tmp_path, answer.question_id, answer.requests)
    found = read_requests(tmp_path)
    sent = {(question, first, many) for question, requests in found.items() for _, first, many in requests}
    begun = {(question, first + place) for question, first, many in sent for place in range(many)}
    assert begun >= set(engine.asked) and len(sent) >= len(engine.sizes)
    assert sorted(many for *_, many in sent)[-1] > 1
    numbers = [number for requests in found.values() for number, *_ in requests]
    assert sorted(numbers) == list(range(len(numbers)))  # each its own
    assert all(requests == sorted(requests) for requests in found.values())


def test_a_question_asked_again_has_its_last_requests_and_a_cut_line_counts_for_nothing(tmp_path):
    assert read_requests(tmp_path) == {}
    add_requests(tmp_path, "a", [(0, 0, 1)])
    add_requests(tmp_path, "b", [])
    add_requests(tmp_path, "a", [(5, 0, 2), (7, 2, 1)])
    with (tmp_path / "requests.jsonl").open("a") as file:
        file.write('{"question_id": "c", "requ')
    assert read_requests(tmp_path) == {"a": [(5, 0, 2), (7, 2, 1)], "b": []}


@pytest.mark.parametrize(
    "line", ['{"question_id": "a"}', '{"question_id": "a", "requests": [[1, 2]]}', '{"requests": []}']
)
def test_a_line_that_is_no_schedule_is_named(tmp_path, line):
    (tmp_path / "requests.jsonl").write_text(f"{line}\n")
    with pytest.raises(InputError, match=r"requests.jsonl:1: not the requests of a question"):
        read_requests(tmp_path)
