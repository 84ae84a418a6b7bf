"""Imports: the paper's JSON, JSON lines of several makes, lm-eval's logs; bad input is named by its line."""

import gzip
import json

import pytest
from small_pools import refused, rows_of, shown

from optscale_predictor.backends.verifiers import Scores, Verifier
from optscale_predictor.pools import Pool
from optscale_predictor.pools.importing import _objects, import_pool
from optscale_predictor.pools.preparation import score_pool
from optscale_predictor.pools.validation import validate_pool
from optscale_predictor.replays.recorded_samples import RecordedSamples


def lines(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def paper_item(number, **changes):
    """As the paper's ``prm_scoring.py`` writes it."""
    score = {
        "problem": [f"What is {number} + {number}?"],
        "completions": [[f"\\boxed{{{2 * number}}}", "<think>hm</think> 7", ""]],
        "scores": [[0.9, 0.25, 0]],
        "last_scores": [[1.0, 0.5, 0]],
        "pred": ["7"],
        "completion_tokens": [[6, 5, 0]],
    }
    score = {key: value for key, value in {**score, **changes}.items() if value is not None}
    return {"id": number, "output": "7", "n": 3, "score": score}


class TestPaper:
    def test_the_published_form(self, tmp_path):
        (tmp_path / "scored.json").write_text(json.dumps([paper_item(1), paper_item(2)], indent=4))
        done = import_pool(tmp_path / "pool", [tmp_path / "scored.json"], verifier="Qwen/Qwen2.5-Math-PRM-7B")
        assert (done.form, done.questions, done.samples) == ("paper", 2, 6)
        pool, rows = Pool(tmp_path / "pool"), rows_of(tmp_path / "pool")
        assert [question.id for question in pool.questions] == ["1", "2"]
        row = rows["2", 0]
        assert (row["text"], row["score"], row["score_last"], row["num_tokens"]) == ("\\boxed{4}", 0.9, 1.0, 6)
        assert (row["answer"], row["correct"], row["seed"]) == ("4", None, None)
        assert rows["2", 2]["text"] == "" and rows["2", 2]["answer"] is None
        assert pool.scores["score"] == {"adapter": "import", "verifier": "Qwen/Qwen2.5-Math-PRM-7B"}
        assert list(validate_pool(tmp_path / "pool")) == []
        assert RecordedSamples.from_pool(pool).scores.tolist() == [[0.9, 0.25, 0], [0.9, 0.25, 0]]

    @pytest.mark.parametrize("with_text", [True, False])
    def test_gold_answers_come_from_the_file_of_prompts(self, tmp_path, with_text):
        """Without texts the published code pairs completions with prompts by position, and so does this."""
        changes = {} if with_text else {"problem": None}
        items = [paper_item(number, **changes) for number in (1, 2)]
        (tmp_path / "scored.json").write_text(json.dumps(items))
        prompts = [{"problem": f"What is {n} + {n}?", "answer": str(2 * n), "id": f"aime/{n}"} for n in (1, 2)]
        (tmp_path / "prompts.json").write_text(json.dumps(prompts))
        import_pool(tmp_path / "pool", [tmp_path / "scored.json"], questions=tmp_path / "prompts.json")
        rows = rows_of(tmp_path / "pool")
        assert [rows["aime/2", index]["correct"] for index in range(3)] == [True, False, False]
        assert Pool(tmp_path / "pool").questions[1].gold == "4"

    def test_an_array_larger_than_what_is_read_at_once(self, tmp_path, monkeypatch):
        """Cut at every place a reader may cut it."""
        items = [paper_item(1, completions=[['a "quoted"\n\\u00e9 é', "b", "c"]], scores=[[1e-3, 0.5, 1]])] * 3
        items = [{**item, "id": number} for number, item in enumerate(items)]
        for width in range(1, 40):
            monkeypatch.setattr(_objects, "_CHUNK", width)
            path = tmp_path / "array.json"
            path.write_text(json.dumps(items, indent=1))
            found = list(_objects.read_objects(path))
            assert [row for _, row in found] == items
        height = len(json.dumps(items[0], indent=1).splitlines())
        assert [place.rpartition(":")[2] for place, _ in found] == [str(2 + number * height) for number in range(3)]


class TestJsonLines:
    def test_one_question_a_line_with_lists(self, tmp_path):
        rows = [
            {
                "id": "a",
                "question": "1+1=",
                "answer": 2,
                "texts": ["2", "so 3"],
                "scores": [1, 0],
                "score_min": [0.5, 0],
            },
            {
                "id": "b",
                "problem": "2+2=",
                "gold": "4",
                "answers": ["4", None],
                "correct": [1, 0],
                "num_tokens": [7, 8],
            },
        ]
        import_pool(tmp_path / "pool", [lines(tmp_path / "in.jsonl", *rows)])
        found = rows_of(tmp_path / "pool")
        assert [found["a", index]["correct"] for index in (0, 1)] == [True, False]
        assert (found["a", 1]["answer"], found["a", 1]["score_min"]) == ("3", 0)
        assert (found["b", 0]["text"], found["b", 0]["answer"], found["b", 0]["correct"]) == (None, "4", True)
        assert found["b", 1]["num_tokens"] == 8 and found["b", 1]["score"] is None

    def test_one_sample_a_line_without_ids_or_indices(self, tmp_path):
        rows = [{"question": f"{n % 2}+1=", "completion": f"{n}", "completion_tokens": n} for n in range(6)]
        import_pool(tmp_path / "pool", [lines(tmp_path / "in.jsonl", *rows)])
        found = rows_of(tmp_path / "pool")
        assert {key: row["text"] for key, row in found.items()} == {(str(n % 2), n // 2): str(n) for n in range(6)}
        assert [row["num_tokens"] for row in found.values()] == [0, 2, 4, 1, 3, 5]

    def test_other_names_and_one_of_several_generators(self, tmp_path, capsys):
        rows = [
            {"prompt": "1+1=", "answer": "2", "output": text, "model": model, "reward": 0.5}
            for model in ("a", "b")
            for text in ("2", "3")
        ]
        path = lines(tmp_path / "in.jsonl", *rows)
        command = ["pool", "import", tmp_path / "pool", path, "--where", "model=b", "--column", "score_rm"]
        renames = "prompt=question,answer=gold,output=text,reward=score"
        said = refused(capsys, *command, "--rename", renames.replace("answer=gold,", ""))
        assert "in.jsonl:3: 'answer' may be the gold answer or this sample's own; say which" in said
        printed = shown(capsys, *command, "--rename", renames, "--generator", "b", "--verifier", "rm")
        assert printed.endswith("2 samples added; the files hold 2 of 1 questions, with score_rm\n")
        found = rows_of(tmp_path / "pool")
        assert [found["0", index]["score_rm"] for index in (0, 1)] == [0.5, 0.5]
        assert [found["0", index]["correct"] for index in (0, 1)] == [True, False]
        assert Pool(tmp_path / "pool").manifest["settings"]["import"]["generator"] == "b"

    def test_several_files_and_gzip(self, tmp_path):
        rows = [{"question_id": "q", "question": "1+1=", "text": str(n)} for n in range(4)]
        first = lines(tmp_path / "a.jsonl", *rows[:2])
        (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(r) + "\n" for r in rows[2:]).encode()))
        import_pool(tmp_path / "pool", [first, tmp_path / "b.jsonl.gz"])
        assert [row["text"] for row in rows_of(tmp_path / "pool").values()] == ["0", "1", "2", "3"]
        assert str(tmp_path) not in (tmp_path / "pool" / "manifest.json").read_text()

    def test_the_same_import_again_adds_nothing_and_other_files_are_refused(self, tmp_path, capsys):
        rows = [{"question": "1+1=", "text": str(n)} for n in range(3)]
        path = lines(tmp_path / "a.jsonl", *rows)
        assert "3 samples added" in shown(capsys, "pool", "import", tmp_path / "pool", path)
        before = {file.name: file.read_bytes() for file in (tmp_path / "pool").iterdir()}
        assert "0 samples added" in shown(capsys, "pool", "import", tmp_path / "pool", path)
        assert {file.name: file.read_bytes() for file in (tmp_path / "pool").iterdir()} == before
        more = lines(tmp_path / "b.jsonl", {"question": "1+1=", "text": "9"})
        assert "import.files was" in refused(capsys, "pool", "import", tmp_path / "pool", path, more)
        copy = lines(tmp_path / "c.jsonl", *rows)
        said = refused(capsys, "pool", "import", tmp_path / "new", path, copy)
        assert said == f"{copy}: holds the same as {path}"

    def test_an_import_that_broke_off_goes_on(self, tmp_path, monkeypatch):
        from optscale_predictor.pools.writer import PoolWriter

        path = lines(tmp_path / "a.jsonl", *({"question": f"{n % 3}", "text": str(n)} for n in range(30)))
        commit = PoolWriter.commit

        def break_off(writer):
            if len(list(writer._folder.glob("samples-*"))) == 2:
                raise KeyboardInterrupt
            commit(writer)

        monkeypatch.setattr(PoolWriter, "commit", break_off)
        with pytest.raises(KeyboardInterrupt):
            import_pool(tmp_path / "pool", [path], shard_samples=7)
        monkeypatch.undo()
        kept = rows_of(tmp_path / "pool")
        assert len(kept) == 14 and import_pool(tmp_path / "pool", [path], shard_samples=7).added == 16
        import_pool(tmp_path / "whole", [path])
        assert rows_of(tmp_path / "pool") == rows_of(tmp_path / "whole")

    @pytest.mark.parametrize(
        ("said", "read", "answer"),
        [
            ("eos_token", "stop", "3"),
            ("MAX_TOKENS", "length", None),
            ("max_new_tokens", "length", None),
            ("abort", "length", None),
            ("of another world", "of another world", "3"),
            (None, None, "3"),
        ],
    )
    def test_finish_reasons_are_read_in_the_words_of_servers(self, tmp_path, said, read, answer):
        row = {"id": "a", "question": "1+1=", "text": "we add 3", "finish_reason": said, "score": 0.9, "num_tokens": 4}
        import_pool(tmp_path / "pool", [lines(tmp_path / "a.jsonl", row)])
        found = rows_of(tmp_path / "pool")["a", 0]
        assert (found["finish_reason"], found["answer"]) == (read, answer)
        assert RecordedSamples.from_pool(Pool(tmp_path / "pool")).usable.tolist() == [[answer is not None]]

    def test_a_sample_without_a_text_is_refused_by_verifiers(self, tmp_path):
        path = lines(tmp_path / "a.jsonl", {"id": "a", "question": "1+1=", "answers": ["2", "3"], "texts": ["2", None]})
        import_pool(tmp_path / "pool", [path])

        class Lengths(Verifier):
            reads_tokens = False

            def score(self, items):
                return Scores.of([len(item.text) / 10 for item in items])

            def describe(self):
                return {"adapter": "lengths"}

        score_pool(tmp_path / "pool", Lengths(), progress=False)
        rows = rows_of(tmp_path / "pool")
        assert rows["a", 0]["score"] == 0.1 and rows["a", 1]["refusal"] == "it has no text"


GOOD = {"question": "1+1=", "text": "2"}
BAD = {
    "not JSON": ([GOOD, '{"question": '], ":2: not valid JSON: "),
    "no object": ([GOOD, "[1]"], ":2: expected a JSON object, got list"),
    "score": ([GOOD, {**GOOD, "score": 1.5}], ":2: 'score' must be a number in [0, 1], got 1.5"),
    "score NaN": ([GOOD, {**GOOD, "score_b": float("nan")}], ":2: 'score_b' must be a number in [0, 1], got nan"),
    "tokens": ([{**GOOD, "num_tokens": -1}], ":1: 'num_tokens' must be a whole number >= 0, got -1"),
    "half a token": ([{**GOOD, "num_tokens": 1.5}], ":1: 'num_tokens' must be a whole number >= 0, got 1.5"),
    "text": ([{**GOOD, "text": ["2", 3]}], ":1: 'text' must be a text, got 3"),
    "correct": ([{**GOOD, "correct": "yes"}], ":1: 'correct' must be true or false, got 'yes'"),
    "nothing": ([{"question": "1+1="}], ":1: no sample in it: neither a text nor an answer"),
    "no question": ([{"text": "2"}], ":1: no question text in it; name a file of questions"),
    "lengths": ([{**GOOD, "texts": ["a"], "scores": [1, 0]}], ":1: lists of different lengths: 1 text, 2 score"),
    "twice": ([{**GOOD, "sample_index": 1}] * 2, ":2: sample 1 of question '0' occurs twice"),
    "other text": (
        [{**GOOD, "question_id": "a"}, {**GOOD, "question_id": "a", "question": "2"}],
        ":2: question 'a' has another text than at",
    ),
    "other gold": ([{**GOOD, "gold": "2"}, {**GOOD, "gold": "3"}], ":2: question '0' has another gold answer than at"),
    "seed": ([{**GOOD, "seed": 2**70}], ":1: 'seed' must be a whole number"),
    "index": ([{**GOOD, "sample_index": 2**25}], "sample_index must lie in [0, 16777216), got 33554432"),
    "nested": (["[" * 100_000], "nested too deeply"),
    "digits": (
        [GOOD, '{"question": "1+1=", "text": "2", "seed": ' + "9" * 5000 + "}"],
        ":2: cannot read it: a whole number of",
    ),
    "surrogate": (['{"question": "\\ud800", "text": "2"}'], "half of a surrogate pair"),
    "empty": ([], "nothing in it"),
}


@pytest.mark.parametrize("mistake", BAD)
def test_bad_lines_are_named_and_nothing_is_written(tmp_path, capsys, mistake):
    rows, says = BAD[mistake]
    path = lines(tmp_path / "in.jsonl", *rows)
    assert says in refused(capsys, "pool", "import", tmp_path / "pool", path)
    assert not list((tmp_path / "pool").glob("*")), mistake


ARRAYS = {
    "unequal": (
        json.dumps([paper_item(1), paper_item(2, scores=[[1]])], indent=1),
        "lists of different lengths: 3 text",
    ),
    "missing": (json.dumps([paper_item(1, completion_tokens=None)]), ":1: 'score.completion_tokens' is missing"),
    "flat": (json.dumps([paper_item(1, scores=[1, 1, 1])]), ":1: 'score.scores' must be a list with one list in it"),
    "range": (json.dumps([paper_item(1, scores=[[1, 2, 0]])]), ":1: 'score' must be a number in [0, 1], got 2"),
    "cut off": (json.dumps([paper_item(1), paper_item(2)], indent=1)[:-9], "not valid JSON: "),
    "no comma": (
        f"[\n{json.dumps(paper_item(1))}\n{json.dumps(paper_item(2))}\n]",
        ":3: not valid JSON: expected , or ], got '{'",
    ),
    "no object": ("[\n1\n]", ":2: expected a JSON object, got int"),
    "digits": (f'[\n{{"id": {"9" * 5000}}}\n]', ":2: cannot read it: a whole number of more than 308 digits"),
}


@pytest.mark.parametrize("mistake", ARRAYS)
def test_bad_arrays_are_named(tmp_path, capsys, mistake):
    text, says = ARRAYS[mistake]
    (tmp_path / "in.json").write_text(text)
    said = refused(capsys, "pool", "import", tmp_path / "pool", tmp_path / "in.json", "--format", "paper")
    assert says in said and "in.json:" in said and not list((tmp_path / "pool").glob("*"))


def test_files_and_flags_that_are_none(tmp_path, capsys):
    path = lines(tmp_path / "a.jsonl", GOOD)
    assert "none.jsonl: cannot read" in refused(capsys, "pool", "import", tmp_path / "pool", tmp_path / "none.jsonl")
    said = refused(capsys, "pool", "import", tmp_path / "pool", path, "--questions", tmp_path / "none")
    assert "none: cannot read" in said
    assert "format must be one of" in refused(capsys, "pool", "import", tmp_path / "pool", path, "--format", "xml")
    assert "expected pairs" in refused(capsys, "pool", "import", tmp_path / "pool", path, "--rename", "a")
    assert "score_NAME" in refused(capsys, "pool", "import", tmp_path / "pool", path, "--column", "prm")
    (tmp_path / "broken.gz").write_bytes(gzip.compress(b'{"question": "1"}' * 100)[:-20])
    assert "broken.gz: cannot read" in refused(capsys, "pool", "import", tmp_path / "pool", tmp_path / "broken.gz")
    other = lines(tmp_path / "q.jsonl", {"question": "2+2="})
    said = refused(capsys, "pool", "import", tmp_path / "pool", path, "--questions", other)
    assert said.endswith("question '1+1=' is not among the 1 questions given")


#: What lm-eval 0.4.13 logged of a task with three repeats and two filters (hashes left out).
LOGGED = {
    "doc_id": 0,
    "doc": {"question": "0 + 1?", "answer": "So it is #### 1"},
    "target": "So it is #### 1",
    "arguments": {"gen_args_0": {"arg_0": "Q: 0 + 1?", "arg_1": {"until": ["Q:"], "do_sample": True}}},
    "resps": [["0 + 1? I roll 4. #### 9", "#### 1", "I roll 1."]],
    "filtered_resps": ["0 + 1? I roll 4. #### 9"],
    "filter": "first",
    "metrics": ["exact_match"],
    "exact_match": 0.0,
}
NAME = "samples_five_sums_2026-11-24T10-06-58.154083.jsonl"


class TestLmEval:
    """From a log of lm-eval's; ``test_pool_lm_eval.py`` has it write its own."""

    def test_repeats_become_samples_and_filters_do_not(self, tmp_path):
        other = {**LOGGED, "doc_id": 7, "doc": {"x": 1}, "target": " ", "resps": [["2"]]}
        numbers = [{**row, "filter": "numbers", "filtered_resps": ["0"]} for row in (LOGGED, other)]
        done = import_pool(tmp_path / "pool", [lines(tmp_path / NAME, LOGGED, other, *numbers)])
        assert (done.form, done.questions, done.samples, list(done.scores)) == ("lm_eval", 2, 4, [])
        rows, pool = rows_of(tmp_path / "pool"), Pool(tmp_path / "pool")
        asked = [(question.id, question.text, question.gold) for question in pool.questions]
        # Where the document has no question of a known name, the prompt is the question.
        assert asked == [("five_sums/0", "0 + 1?", "So it is #### 1"), ("five_sums/7", "Q: 0 + 1?", None)]
        assert [rows["five_sums/0", index]["correct"] for index in range(3)] == [False, True, True]
        # lm-eval's verdict is known where our gold answer is not.
        assert rows["five_sums/7", 0]["correct"] is False and rows["five_sums/0", 0]["num_tokens"] is None

    @pytest.mark.parametrize(
        ("row", "says"),
        [
            ({**LOGGED, "resps": [[["-1.5", "True"]], [["-2.5", "False"]]]}, ":2: the replies are not generated texts"),
            ({**LOGGED, "resps": "9"}, ":2: 'resps' must be a list of lists of replies"),
            ({**LOGGED, "doc": {}, "arguments": {}}, ":2: no question in it: 'doc' has none of question, problem"),
            (LOGGED, ":2: document 0 occurs twice"),
        ],
    )
    def test_what_cannot_be_imported_is_named(self, tmp_path, capsys, row, says):
        path = lines(tmp_path / NAME, LOGGED, {**row, "doc_id": 0 if row is LOGGED else 1})
        assert says in refused(capsys, "pool", "import", tmp_path / "pool", path)
