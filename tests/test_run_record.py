"""A run's record: what is one run, and what is another that may not share its folder."""

import json
from dataclasses import replace

import pytest

from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.request_schedule import add_requests, read_requests
from optscale_predictor.evaluation.run_facts import RunFacts
from optscale_predictor.evaluation.run_record import PolicyOutcome, RecordWriter, RunRecord

FACTS = RunFacts(
    task="gsm8k",
    policies=["optscale:alpha=0.9", "best_of_n"],
    generator={"adapter": "vllm", "temperature": 0.7},
    verifier={"adapter": "reward_model"},
    predictor="a/predictor",
    seed=0,
    started="2026-01-01T00:00:00",
)
OUTCOME = PolicyOutcome("q", "best_of_n", "7", True, 0.5, 0.75, 4, 100, "budget", None, None, 1.0)


@pytest.mark.parametrize("name", ["question_id", "policy", "stop_reason"])
@pytest.mark.parametrize("value", [None, 7, ["best_of_n"], {}])
def test_an_outcome_whose_names_are_no_texts_is_told_by_its_line(name, value, tmp_path):
    with RecordWriter(tmp_path / "run", FACTS) as writer:
        writer.add([OUTCOME, OUTCOME])
    file = tmp_path / "run" / "outcomes.jsonl"
    sound, spoilt = file.read_text().splitlines()
    file.write_text(f"{sound}\n{json.dumps({**json.loads(spoilt), name: value})}\n")
    with pytest.raises(InputError, match=rf"outcomes.jsonl:2: {name} must be text"):
        list(RunRecord.open(tmp_path / "run").outcomes())


@pytest.mark.parametrize(
    "other",
    [
        {"task": "math500"},
        {"policies": ["best_of_n", "optscale:alpha=0.9"]},
        {"generator": {"adapter": "vllm", "temperature": 0.8}},
        {"verifier": {"adapter": "judge"}},
        {"verifier": None},
        {"predictor": "another/predictor"},
        {"predictor": None},
        {"selection": "majority"},
        {"seed": 1},
    ],
)
def test_what_differs_in_what_ran_is_another_run(other, tmp_path):
    different = replace(FACTS, **other)
    assert FACTS.difference(different) and different.difference(FACTS)
    with RecordWriter(tmp_path / "run", FACTS) as writer:
        writer.add([OUTCOME])
    before = (tmp_path / "run" / "run.json").read_text()
    with pytest.raises(InputError):
        RecordWriter(tmp_path / "run", different)
    assert (tmp_path / "run" / "run.json").read_text() == before


@pytest.mark.parametrize(
    ("mine", "theirs", "says"),
    [
        (
            {"generator": {"model": "a", "max_tokens": 128}},
            {"generator": {"model": "a", "max_tokens": 64}},
            "128, not 64",
        ),
        ({"generator": {"model": "a"}}, {"generator": {"model": "a", "top_p": 0.5}}, "generator's top_p None, not 0.5"),
        ({"policies": ["one", "two"]}, {"policies": ["one"]}, "policies one two, not one"),
        ({"verifier": None}, {"verifier": {"adapter": "judge"}}, "verifier None, not {'adapter': 'judge'}"),
        ({"task": "x" * 100}, {"task": "y"}, f"task {'x' * 60}..., not y"),
    ],
)
def test_what_another_run_differs_in_is_said(mine, theirs, says, tmp_path):
    with RecordWriter(tmp_path / "run", replace(FACTS, **mine)) as writer:
        writer.add([OUTCOME])
    with pytest.raises(InputError) as raised:
        RecordWriter(tmp_path / "run", replace(FACTS, **theirs))
    assert says in str(raised.value) and "\n" not in str(raised.value)


def test_the_same_run_at_another_time_goes_on(tmp_path):
    both = [OUTCOME, replace(OUTCOME, policy=FACTS.policies[0])]
    with RecordWriter(tmp_path / "run", FACTS) as writer:
        writer.add(both)
    later = replace(FACTS, started="2026-02-02T00:00:00", generator=dict(reversed(FACTS.generator.items())))
    assert FACTS.difference(later) == ""
    with RecordWriter(tmp_path / "run", later) as writer:
        assert writer.finished == {"q"}
        writer.add([replace(one, question_id="other") for one in both])
    assert {one.question_id for one in RunRecord.open(tmp_path / "run").outcomes()} == {"q", "other"}


def test_a_run_that_goes_on_adds_to_a_schedule_that_a_kill_cut_short(tmp_path):
    with RecordWriter(tmp_path, FACTS):
        add_requests(tmp_path, "a", [(0, 0, 1)])
    with (tmp_path / "requests.jsonl").open("a") as file:
        file.write('{"question_id": "b", "requ')
    with RecordWriter(tmp_path, FACTS):
        add_requests(tmp_path, "b", [(0, 0, 2)])
    assert read_requests(tmp_path) == {"a": [(0, 0, 1)], "b": [(0, 0, 2)]}
