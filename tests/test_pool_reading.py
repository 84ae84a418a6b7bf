"""Pools read by others: ``datasets``, pandas; and how they grow, by samples, questions and scores."""

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from crashing_work import CountingGenerator, LengthVerifier
from small_pools import bytes_of, questions_of, refused, rows_of, settings_of, shown, write_pool, write_scored

from optscale_predictor.backends.verifiers import Scores, Verifier
from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.pools.info import pool_info
from optscale_predictor.pools.preparation import generate_pool, score_pool
from optscale_predictor.pools.publishing import write_card
from optscale_predictor.pools.schema import DrawnSamples


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def keys_of(rows):
    return [(row["question_id"], row["sample_index"]) for row in rows]


class TestDatasets:
    def test_load_dataset_reads_the_shards(self, tmp_path):
        pool = write_scored(tmp_path / "pool")
        loaded = datasets.load_dataset("parquet", data_files=[str(path) for path in pool.shards()], split="train")
        assert loaded.column_names == pool.schema.names
        assert {key: row for key, row in zip(keys_of(loaded), loaded, strict=True)} == rows_of(pool.folder)

    @pytest.mark.parametrize("streaming", [False, True])
    def test_a_pool_becomes_a_data_set(self, tmp_path, streaming):
        pool = write_scored(tmp_path / "pool")
        rows = list(pool.to_dataset(["question_id", "sample_index", "score"], streaming))
        assert {key: row["score"] for key, row in zip(keys_of(rows), rows, strict=True)} == {
            key: row["score"] for key, row in rows_of(pool.folder).items()
        }
        assert list(rows[0]) == ["question_id", "sample_index", "score"]

    def test_the_folder_with_its_card_is_a_data_set(self, tmp_path):
        pool = write_scored(tmp_path / "pool")
        write_card(pool, "name/pool")
        samples = datasets.load_dataset(str(pool.folder), split="train")
        questions = datasets.load_dataset("json", data_files=str(pool.folder / "questions.jsonl"), split="train")
        assert {key: row for key, row in zip(keys_of(samples), samples, strict=True)} == rows_of(pool.folder)
        assert [row["question"] for row in questions] == [question.text for question in pool.questions]

    def test_the_card_says_what_is_in_it(self, tmp_path):
        card = write_card(write_scored(tmp_path / "pool"), "name/pool").read_text()
        assert "path: samples-*.parquet" in card and "- n<1K" in card
        assert "# 16 sampled answers to 4 questions" in card and "50.0% of the 16 samples" in card
        assert "Column `score` holds a verifier's score of 13 samples, 3 were refused." in card
        assert "| `refusal` | why the verifier refused" in card and str(tmp_path) not in card

    def test_an_unfinished_score_is_named(self, tmp_path):
        pool = write_pool(tmp_path / "pool")

        class OneShard(LengthVerifier):
            def score(self, items):
                if len(items) < 8 or hasattr(self, "done"):
                    raise InputError("enough")
                self.done = True
                return super().score(items)

        with pytest.raises(InputError, match="enough"):
            score_pool(pool.folder, OneShard(), "score_b", progress=False)
        says = r"column 'refusal_b' is not finished \(samples-000001.parquet lacks it\); run: optscale score .* score_b"
        with pytest.raises(InputError, match=says):
            Pool(pool.folder).to_dataset()
        assert len(list(Pool(pool.folder).to_dataset(["text", "score"]))) == 16
        score_pool(pool.folder, LengthVerifier(), "score_b", progress=False)
        assert len(list(Pool(pool.folder).to_dataset())) == 16

    def test_an_empty_pool(self, tmp_path):
        with PoolWriter(tmp_path, questions_of(2), settings_of()) as writer:
            pool = writer.pool
        with pytest.raises(InputError, match="has no samples"):
            pool.to_dataset()
        assert pool.read().num_rows == 0 and pool.read().schema == pool.schema
        assert pool_info(pool).samples == 0


def test_pandas_reads_shards_and_selected_columns(tmp_path):
    pool = write_scored(tmp_path / "pool")
    frame = pd.concat(pd.read_parquet(path) for path in pool.shards())
    rows = rows_of(pool.folder)
    assert frame.set_index(["question_id", "sample_index"])["text"].to_dict() == {k: v["text"] for k, v in rows.items()}
    means = pool.read(["score"]).to_pandas().groupby("question_id")["score"].mean()
    for question in pool.questions:
        scores = [row["score"] for (one, _), row in rows.items() if one == question.id and row["score"] is not None]
        assert means[question.id] == pytest.approx(np.mean(scores))
    assert pool.read(["score"]).column_names == ["question_id", "sample_index", "score"]


def test_reading_shard_by_shard_holds_one_shard_at_a_time(tmp_path):
    with PoolWriter(tmp_path, questions_of(20), settings_of(), 32) as writer:
        for question in writer.pool.questions:
            rows = [{"question_id": question.id, "sample_index": n, "text": f"{n}" * 10_000} for n in range(32)]
            writer.append_rows(rows)
    del rows
    before, shard = pa.total_allocated_bytes(), 32 * 20_000
    held = [pa.total_allocated_bytes() - before for _ in Pool(tmp_path).tables()]
    assert len(held) == 20 and max(held) < 4 * shard < 20 * shard


def test_drawn_against_sets():
    rng = np.random.default_rng(0)
    drawn, known = DrawnSamples(["a", "b"]), {"a": set(), "b": set()}
    for question, index in zip(rng.choice(["a", "b"], 500), rng.integers(0, 3000, 500).tolist(), strict=True):
        assert drawn.has(question, index) == (index in known[question])
        if not drawn.has(question, index):
            drawn.add(question, index)
            known[question].add(index)
    assert dict(drawn) == {name: sum(1 << index for index in indices) for name, indices in known.items()}


class TestGrowing:
    def generate(self, folder, questions, samples):
        return generate_pool(folder, questions, CountingGenerator(), samples, shard_samples=4, progress=False)

    def test_by_samples_and_by_questions(self, tmp_path):
        pool, asked = tmp_path / "pool", questions_of(3)
        self.generate(pool, asked[:2], 3)
        score_pool(pool, LengthVerifier(), progress=False)
        before, shards = rows_of(pool), bytes_of(pool)
        self.generate(pool, asked, 5)
        after = rows_of(pool)
        assert len(after) == 15 and before.items() <= after.items()
        assert all((pool / name).read_bytes() == shards[name] for name in shards if name.startswith("samples-"))
        assert Pool(pool).unscored() == 9
        score_pool(pool, LengthVerifier(), progress=False)
        self.generate(tmp_path / "whole", asked, 5)
        score_pool(tmp_path / "whole", LengthVerifier(), progress=False)
        texts = {key: (row["text"], row["score"], row["correct"]) for key, row in rows_of(pool).items()}
        assert texts == {k: (r["text"], r["score"], r["correct"]) for k, r in rows_of(tmp_path / "whole").items()}

    def test_a_further_score_generates_nothing_and_changes_nothing_else(self, tmp_path):
        pool = tmp_path / "pool"
        self.generate(pool, questions_of(3), 4)
        score_pool(pool, LengthVerifier(), progress=False)
        before = rows_of(pool)
        score_pool(pool, Judge(), "score_judge", progress=False)
        after = rows_of(pool)
        assert {key: {name: row[name] for name in before[key]} for key, row in after.items()} == before
        assert all(row["score_judge"] == 0.5 and row["verifier_tokens_judge"] == 9 for row in after.values())
        info = pool_info(Pool(pool)).scores
        assert info["score_judge"].scored == 12 and info["score_judge"].made_by == {"adapter": "judge"}
        assert [run["stage"] for run in pool_info(Pool(pool)).runs] == ["generate", "score", "score"]

    def test_another_verifier_may_not_mix_its_scores_in(self, tmp_path, capsys):
        pool = tmp_path / "pool"
        self.generate(pool, questions_of(2), 2)
        score_pool(pool, LengthVerifier(), progress=False)
        before = bytes_of(pool)
        says = "column 'score' was scored by another verifier: adapter was 'length', now 'judge'; name another column"
        with pytest.raises(InputError, match=says):
            score_pool(pool, Judge(), progress=False)
        assert bytes_of(pool) == before
        assert "score_NAME" in refused(capsys, "score", pool, "--column", "prm")

    def test_refused_samples_are_scored_again_when_asked(self, tmp_path):
        pool = tmp_path / "pool"
        self.generate(pool, questions_of(2), 2)
        score_pool(pool, Judge(refuses=True), progress=False)
        assert pool_info(Pool(pool)).scores["score"].refused == 4
        score_pool(pool, Judge(), progress=False)
        assert pool_info(Pool(pool)).scores["score"].refused == 4
        score_pool(pool, Judge(), retry_refused=True, progress=False)
        assert pool_info(Pool(pool)).scores["score"].scored == 4
        assert all(row["refusal"] is None for row in rows_of(pool).values())


class Judge(Verifier):
    reads_tokens = False

    def __init__(self, refuses=False):
        self.refuses = refuses

    def score(self, items):
        refusals = {index: "no" for index in range(len(items))} if self.refuses else {}
        return Scores.of([0.5] * len(items), 9, refusals)

    def describe(self):
        return {"adapter": "judge"}


class TestInfo:
    def test_figures_are_those_of_the_rows(self, tmp_path):
        pool = write_scored(tmp_path / "pool", columns=("score", "score_b"), questions=questions_of(5), samples=3)
        info, rows = pool_info(pool), list(rows_of(pool.folder).values())
        assert (info.questions, info.samples, info.fewest, info.most, info.shards) == (5, 15, 3, 3, 2)
        assert info.tokens == sum(row["num_tokens"] for row in rows) and info.uncounted == 0
        assert info.correct == sum(row["correct"] for row in rows) and info.judged == 15
        scored = [row["score_b"] for row in rows if row["score_b"] is not None]
        found = info.scores["score_b"]
        assert (found.scored, found.refused, found.unscored) == (len(scored), 3, 0)
        assert found.mean == pytest.approx(np.mean(scored))
        assert found.verifier_tokens == sum(row["verifier_tokens_b"] for row in rows)

    def test_the_command_line_shows_them_and_each_runs_rate(self, tmp_path, capsys):
        pool = tmp_path / "pool"
        generate_pool(pool, questions_of(3), CountingGenerator(), 4, progress=False)
        score_pool(pool, LengthVerifier(), progress=False)
        lines = shown(capsys, "pool", "info", pool).splitlines()
        assert lines[0] == "questions  3" and lines[1].startswith("samples    12 (4 to 4 a question) in 1 shards")
        assert lines[2].startswith("correct    ") and "of 12" in lines[2]
        assert lines[4].startswith("tokens     ") and lines[4].endswith("generated, 0 discarded")
        assert lines[5].startswith("score      12 scored, 0 refused, 0 open, mean 0.")
        assert "generate: 12 samples in" in lines[7] and "samples/s" in lines[7] and "tokens/s" in lines[7]
        assert lines[-1].startswith('made by    {"generator": {"adapter": "counting"')

    def test_as_json(self, tmp_path, capsys):
        import json

        write_scored(tmp_path / "pool")
        info = json.loads(shown(capsys, "pool", "info", tmp_path / "pool", "--json", "true"))
        assert info["samples"] == 16 and info["scores"]["score"]["refused"] == 3
