"""A run's record: what is one run, and what is another that may not share its folder."""

from dataclasses import replace

import pytest

from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.run_record import PolicyOutcome, RecordWriter, RunFacts, RunRecord

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
    assert not FACTS.same_run(different) and not different.same_run(FACTS)
    with RecordWriter(tmp_path / "run", FACTS) as writer:
        writer.add([OUTCOME])
    before = (tmp_path / "run" / "run.json").read_text()
    with pytest.raises(InputError):
        RecordWriter(tmp_path / "run", different)
    assert (tmp_path / "run" / "run.json").read_text() == before


def test_the_same_run_at_another_time_goes_on(tmp_path):
    both = [OUTCOME, replace(OUTCOME, policy=FACTS.policies[0])]
    with RecordWriter(tmp_path / "run", FACTS) as writer:
        writer.add(both)
    later = replace(FACTS, started="2026-02-02T00:00:00", generator=dict(reversed(FACTS.generator.items())))
    assert FACTS.same_run(later)
    with RecordWriter(tmp_path / "run", later) as writer:
        assert writer.finished == {"q"}
        writer.add([replace(one, question_id="other") for one in both])
    assert {one.question_id for one in RunRecord.open(tmp_path / "run").outcomes()} == {"q", "other"}
