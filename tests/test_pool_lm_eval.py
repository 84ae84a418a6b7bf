"""lm-eval runs tasks and logs their samples, as its command line does; the logs become pools."""

import json
import random
from collections import Counter
from typing import ClassVar

import lm_eval
import pytest
from lm_eval.api.model import LM
from lm_eval.loggers import EvaluationTracker
from lm_eval.tasks import TaskManager
from small_pools import refused, rows_of

from optscale_predictor.cli.main import main
from optscale_predictor.pools import Pool
from optscale_predictor.pools.importing import import_pool

# It takes half a minute, and warns about itself.
pytestmark = [pytest.mark.full, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(autouse=True)
def without_asking_pip(monkeypatch):
    """What lm-eval asks of the machine takes seconds a run."""
    monkeypatch.setattr("lm_eval.evaluator.add_env_info", lambda results: None)


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


class Scripted(DiceLM):
    """Says what it is told, document by document; one that repeats says each of its texts in turn."""

    def __init__(self, said):
        super().__init__()
        self.said, self._asked = said, Counter()

    def generate_until(self, requests, disable_tqdm=False):
        replies = []
        for request in requests:
            texts = self.said[request.doc_id]
            replies.append(texts[self._asked[request.doc_id] % len(texts)])
            self._asked[request.doc_id] += 1
        return replies


def rows_given(rows):
    """A data set of these rows, as a task's ``custom_dataset``."""

    def load(**_):
        import datasets

        return {"test": datasets.Dataset.from_list(rows)}

    return load


def regex(pattern, **settings):
    """A filter that takes what a pattern finds, as lm-eval's tasks have it."""
    return [{"function": "regex", "regex_pattern": pattern, **settings}, {"function": "take_first"}]


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

    def log(self, folder, model=None, **changes):
        results = lm_eval.simple_evaluate(
            model=model or DiceLM(),
            tasks=[{**self.TASK, **changes}],
            task_manager=TaskManager(include_defaults=False),
            log_samples=True,
            bootstrap_iters=0,
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

    #: Replies that are right or wrong for lm-eval, whose golds are letters, words or numbers.
    LETTERS: ClassVar = {
        "rows": [
            {"question": "a?", "target": "B"},
            {"question": "b?", "target": "B"},
            {"question": "c?", "target": "J"},
        ],
        "filters": [{"name": "custom-extract", "filter": regex(r"answer is \(?([ABCDEFGHIJ])\)?")}],
        "said": [["2 of 4 hold. The answer is (B)."], ["So the answer is (C), not 3."], ["7 it is: the answer is J"]],
        "right": [True, False, True],
        "differing": 0,
    }
    WORDS: ClassVar = {
        "rows": [{"input": "not True is", "target": "False"}, {"input": "not False is", "target": "True"}],
        "filters": [
            {"name": "flexible-extract", "filter": regex(r"\b(True|False)\b", group_select=-1)},
            {"name": "strict-match", "filter": regex("(?<=The answer is )(.*)(?=.)")},
        ],
        "said": [["Step 1. not True is False"], ["Step 2. The answer is False."]],
        "right": [True, False],
        "differing": 1,  # no mark stands in the first, and no value
    }
    NUMBERS: ClassVar = {  # as gsm8k: the first filter finds nothing in a boxed answer, and says wrong
        "rows": [{"question": "3 + 4?", "target": "7"}, {"question": "4 + 4?", "target": "8"}],
        "filters": [
            {"name": "strict-match", "filter": regex("#### (-?[0-9.,]+)")},
            {"name": "flexible-extract", "filter": regex("(-?[0-9]+)", group_select=-1)},
        ],
        "said": [[r"It is \boxed{7}"], ["It is #### 9"]],
        "right": [True, False],
        "differing": 0,
    }

    def judged(self, folder, case, repeats=1, said=None):
        return self.log(
            folder,
            Scripted(said or case["said"]),
            custom_dataset=rows_given(case["rows"]),
            doc_to_text="Q: {{question if question is defined else input}}",
            doc_to_target="{{target}}",
            repeats=repeats,
            filter_list=case["filters"],
            metric_list=[{"metric": "exact_match", "ignore_case": True, "ignore_punctuation": True}],
        )

    @pytest.mark.parametrize("case", ["LETTERS", "WORDS", "NUMBERS"])
    def test_lm_evals_verdict_says_what_is_right(self, tmp_path, capsys, case):
        case = getattr(self, case)
        path = self.judged(tmp_path / "eval", case)
        assert main(["pool", "import", str(tmp_path / "pool"), str(path)]) in (None, 0)
        assert [row["correct"] for row in rows_of(tmp_path / "pool").values()] == case["right"]
        asked = [(one.text, one.gold) for one in Pool(tmp_path / "pool").questions]
        assert asked == [(row.get("question", row.get("input")), row["target"]) for row in case["rows"]]
        says = f"by lm-eval's verdict: {len(asked)} samples; the gold answers differ on {case['differing']}"
        assert says in capsys.readouterr().out

    def test_one_verdict_may_be_named_or_none(self, tmp_path, capsys):
        path = self.judged(tmp_path / "eval", self.NUMBERS)
        for verdict, right in (
            ("exact_match", [True, False]),
            ("exact_match,strict-match", [False, False]),
            ("exact_match,flexible-extract", [True, False]),
            ("none", [True, False]),
        ):
            done = import_pool(tmp_path / verdict, [path], verdict=verdict)
            assert [row["correct"] for row in rows_of(tmp_path / verdict).values()] == right
            assert done.verdicts == (0 if verdict == "none" else 2)
        for verdict in ("acc", "exact_match,get-answer"):
            said = refused(capsys, "pool", "import", tmp_path / "no", path, "--verdict", verdict)
            assert said.endswith(f": no line has a verdict {verdict!r} of 0 or 1") and not (tmp_path / "no").exists()

    def test_of_several_replies_a_verdict_is_about_the_one_that_was_judged(self, tmp_path):
        """``take_first`` hands the first reply on; what a pattern found may come from any, but where all are alike."""
        first = {**self.LETTERS, "filters": [{"name": "first", "filter": [{"function": "take_first"}]}]}
        said = [["B", "x #### B", "x #### C"], ["C", "x #### B", "C"], ["J", "J", "J"]]
        done = import_pool(tmp_path / "pool", [self.judged(tmp_path / "first", first, 3, said)])
        found = [row["correct"] for row in rows_of(tmp_path / "pool").values()]
        assert found == [True, True, False, False, True, False, True, True, True]
        assert done.verdicts == 1 + 2 + 3
        pattern = import_pool(tmp_path / "other", [self.judged(tmp_path / "pattern", self.LETTERS, 3, said)])
        assert pattern.verdicts == 3  # those of the last document, which are one reply

    def test_a_document_of_two_filters_that_a_log_does_not_name_is_one(self, tmp_path, capsys):
        path = self.judged(tmp_path / "eval", self.NUMBERS)
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        old = tmp_path / path.name
        old.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "filter"}) + "\n" for row in rows))
        done = import_pool(tmp_path / "pool", [old])
        assert (done.questions, done.samples, done.verdicts, done.differing) == (2, 2, 2, 0)
        assert [row["correct"] for row in rows_of(tmp_path / "pool").values()] == [True, False]
        rows[-1]["resps"] = [["another"]]
        old.write_text("".join(json.dumps({k: v for k, v in row.items() if k != "filter"}) + "\n" for row in rows))
        assert ":4: document 1 occurs twice" in refused(capsys, "pool", "import", tmp_path / "no", old)

    @pytest.mark.parametrize("name", ["Question", "Problem", "QUESTION"])
    def test_keys_in_capitals_are_keys(self, tmp_path, name):
        """AIME's documents: without this the prompt, examples and all, was the question."""
        rows = [{"ID": f"1983-{number}", name: f"Find {number}.", "Answer": number} for number in range(4)]
        path = self.log(
            tmp_path / "eval",
            Scripted([[f"{number}"] for number in range(4)]),
            custom_dataset=rows_given(rows),
            doc_to_text=f"Question: {{{{{name}}}}}\nAnswer:",
            doc_to_target="{{Answer}}",
            repeats=1,
            num_fewshot=2,
            fewshot_split="test",
            filter_list=None,
        )
        assert "Question: Find 3." in path.read_text()  # shown as an example too
        import_pool(tmp_path / "pool", [path])
        assert [(one.text, one.gold) for one in Pool(tmp_path / "pool").questions] == [
            (f"Find {number}.", str(number)) for number in range(4)
        ]
        assert [row["correct"] for row in rows_of(tmp_path / "pool").values()] == [True] * 4

    def test_golds_of_other_types_are_read_back_from_how_python_shows_them(self, tmp_path):
        rows = [{"question": "a?", "answer": 1e16}, {"question": "b?", "answer": 1e-5}]
        listed = [{"question": "c?", "answer": ["2", "3"]}, {"question": "d?", "answer": ["18"]}]
        said = [["#### 10000000000000000"], ["#### 0.00001"]], [[r"So \boxed{2, 3}"], ["#### 18"]]
        golds = ["10000000000000000", "0.00001"], ["2, 3", "18"]
        for part, texts, gold in zip((rows, listed), said, golds, strict=True):
            folder = tmp_path / gold[0]
            path = self.log(
                folder / "eval",
                Scripted(texts),
                custom_dataset=rows_given(part),
                doc_to_target="answer",
                repeats=1,
                filter_list=None,
            )
            import_pool(folder / "pool", [path], verdict="none")
            assert [one.gold for one in Pool(folder / "pool").questions] == gold
            assert [row["correct"] for row in rows_of(folder / "pool").values()] == [True, True]
