"""lm-eval runs tasks and logs their samples, as its command line does; the logs become pools."""

import json
import random
from typing import ClassVar

import lm_eval
import pytest
from lm_eval.api.model import LM
from lm_eval.loggers import EvaluationTracker
from small_pools import refused, rows_of

from optscale_predictor.pools import Pool
from optscale_predictor.pools.importing import import_pool

# It takes half a minute, and warns about itself.
pytestmark = [pytest.mark.full, pytest.mark.filterwarnings("ignore")]


class DiceLM(LM):
    """A language model as lm-eval sees it: another text at every call."""

    def __init__(self):
        super().__init__()
        self._dice = random.Random(0)

    def generate_until(self, requests, disable_tqdm=False):
        return [
            f"{request.args[0]} I roll {self._dice.randint(1, 6)}. #### {len(request.args[0])}" for request in requests
        ]

    def loglikelihood(self, requests, disable_tqdm=False):
        return [(-self._dice.random(), True) for _ in requests]

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        raise NotImplementedError


def sums(**_):
    import datasets

    rows = [{"question": f"{number} + 1?", "answer": f"So it is #### {number + 1}"} for number in range(5)]
    return {"test": datasets.Dataset.from_list(rows)}


class TestLmEval:
    """Real logs: lm-eval runs a task and writes them, as its command line does with ``--log_samples``."""

    TASK: ClassVar = {
        "task": "five_sums",
        "custom_dataset": sums,
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "Q: {{question}}",
        "doc_to_target": "{{answer}}",
        "repeats": 3,
        "generation_kwargs": {"until": ["Q:"], "do_sample": True},
        "metric_list": [{"metric": "exact_match"}],
        "filter_list": [
            {"name": "first", "filter": [{"function": "take_first"}]},
            {
                "name": "numbers",
                "filter": [{"function": "regex", "regex_pattern": "(\\d+)"}, {"function": "take_first"}],
            },
        ],
    }

    def log(self, folder, **changes):
        results = lm_eval.simple_evaluate(
            model=DiceLM(), tasks=[{**self.TASK, **changes}], log_samples=True, bootstrap_iters=0
        )
        tracker = EvaluationTracker(output_path=str(folder))
        samples = results.pop("samples")
        tracker.save_results_aggregated(results=results, samples=samples)
        tracker.save_results_samples(task_name="five_sums", samples=samples["five_sums"])
        (path,) = folder.rglob("samples_*.jsonl")
        return path

    def test_repeats_become_samples_and_filters_do_not(self, tmp_path):
        path = self.log(tmp_path / "eval")
        logged = [json.loads(line) for line in path.read_text().splitlines()]
        assert len(logged) == 10 and len(logged[0]["resps"][0]) == 3  # 5 documents x 2 filters, 3 repeats each
        done = import_pool(tmp_path / "pool", [path])
        assert (done.form, done.questions, done.samples, list(done.scores)) == ("lm_eval", 5, 15, [])
        rows, pool = rows_of(tmp_path / "pool"), Pool(tmp_path / "pool")
        assert [question.id for question in pool.questions] == [f"five_sums/{number}" for number in range(5)]
        assert pool.questions[2].text == "2 + 1?" and pool.questions[2].gold == "So it is #### 3"
        for row in logged[:5]:
            texts = [rows[f"five_sums/{row['doc_id']}", index]["text"] for index in range(3)]
            assert texts == row["resps"][0]
        # The answer is the prompt's length, 9, which is right for 8 + 1 alone: for none of these.
        assert {row["answer"] for row in rows.values()} == {"9"}
        assert [row["correct"] for row in rows.values()] == [False] * 15 and rows["five_sums/0", 0][
            "num_tokens"
        ] is None

    def test_tasks_that_generate_nothing_are_refused(self, tmp_path, capsys):
        path = self.log(
            tmp_path / "eval",
            output_type="multiple_choice",
            doc_to_choice=["yes", "no"],
            doc_to_target=0,
            repeats=1,
            filter_list=None,
            metric_list=[{"metric": "acc"}],
            generation_kwargs=None,
        )
        said = refused(capsys, "pool", "import", tmp_path / "pool", path)
        assert ":1: the replies are not generated texts; only generate_until tasks can be imported" in said
