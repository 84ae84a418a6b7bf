"""Merging: every draw once, none lost, none counted twice; what does not belong together is refused by name."""

import json
from itertools import pairwise

import pytest
from small_pools import VERIFIER, bytes_of, questions_of, refused, rows_of, settings_of, shown, write_pool, write_scored

from optscale_predictor.errors import InputError
from optscale_predictor.pools import Pool, PoolWriter
from optscale_predictor.pools.manifest import record_run
from optscale_predictor.pools.merging import merge_pools
from optscale_predictor.pools.validation import validate_pool


def texts_of(folder):
    return {key: row["text"] for key, row in rows_of(folder).items()}


def test_other_questions_and_other_samples_of_one_run(tmp_path):
    a = write_pool(tmp_path / "a", questions_of(3), samples=4)
    b = write_pool(tmp_path / "b", questions_of(3, first=2), samples=8, first=4)
    before = bytes_of(a.folder), bytes_of(b.folder)
    done = merge_pools([a.folder, b.folder], tmp_path / "out")
    assert rows_of(tmp_path / "out") == rows_of(a.folder) | rows_of(b.folder)
    merged = Pool(tmp_path / "out")
    assert [question.id for question in merged.questions] == ["q0", "q1", "q2", "q3", "q4"]
    assert (done.samples, done.questions, done.same, done.redrawn, done.renumbered) == (24, 5, 0, 0, 0)
    assert list(validate_pool(tmp_path / "out")) == [] and (bytes_of(a.folder), bytes_of(b.folder)) == before
    with PoolWriter(tmp_path / "out", questions_of(1), settings_of()):  # the run can go on in it
        pass


def test_copies_are_kept_once(tmp_path):
    a = write_pool(tmp_path / "a", questions_of(3), samples=4)
    b = write_pool(tmp_path / "b", questions_of(4, first=1), samples=6)
    done = merge_pools([a.folder, b.folder], tmp_path / "out")
    assert done.same == 8 and rows_of(tmp_path / "out") == rows_of(a.folder) | rows_of(b.folder)


def test_the_copy_with_more_scores_is_kept_whichever_comes_first(tmp_path):
    scored = write_scored(tmp_path / "scored", columns=("score", "score_b"))
    half = write_scored(tmp_path / "half", columns=("score",))
    for order in ([scored, half], [half, scored]):
        out = tmp_path / f"out_{order[0].folder.name}"
        assert merge_pools([pool.folder for pool in order], out).same == 16
        assert rows_of(out) == rows_of(scored.folder) and Pool(out).scores == scored.scores


def test_a_pool_that_lacks_a_score_gets_it_later(tmp_path):
    a = write_scored(tmp_path / "a", columns=("score_b",), questions=questions_of(2))
    b = write_pool(tmp_path / "b", questions_of(2, first=2))
    merge_pools([a.folder, b.folder], tmp_path / "out")
    assert Pool(tmp_path / "out").unscored("score_b") == 8


class TestSeeds:
    def pools(self, tmp_path):
        a = write_pool(tmp_path / "a", questions_of(3), samples=4, seed=0)
        b = write_pool(tmp_path / "b", questions_of(3, first=1), samples=3, seed=1)
        return a.folder, b.folder

    def test_other_draws_under_one_index_are_refused_with_the_way_out(self, tmp_path, capsys):
        said = refused(capsys, "pool", "merge", *self.pools(tmp_path), "--output", tmp_path / "out")
        assert said == (
            f"{tmp_path / 'b'}: sample 0 of question 'q1' is another draw than in {tmp_path / 'a'}; "
            "to keep both, under new numbers: --renumber true"
        )
        assert not (tmp_path / "out").exists()

    def test_they_are_renumbered_when_asked(self, tmp_path, capsys):
        a, b = self.pools(tmp_path)
        out = tmp_path / "out"
        printed = shown(capsys, "pool", "merge", "--output", out, "--renumber", "true", a, b)
        assert f"{out}: 21 samples of 4 questions from 2 pools" in printed and "renumbered 6 samples" in printed
        expected = texts_of(a) | {key: text for key, text in texts_of(b).items() if key[0] == "q3"}
        expected |= {(name, 4 + index): text for (name, index), text in texts_of(b).items() if name != "q3"}
        assert texts_of(out) == expected
        assert Pool(out).manifest["settings"] == settings_of([0, 1])
        with pytest.raises(InputError, match=r"generator.seed was \[0, 1\], now 0"):
            PoolWriter(out, questions_of(1), settings_of(0))

    def test_merging_what_was_merged(self, tmp_path):
        a, b = self.pools(tmp_path)
        c = write_pool(tmp_path / "c", questions_of(2), samples=2, seed=2).folder
        merge_pools([a, b], tmp_path / "ab", renumber=True)
        merge_pools([tmp_path / "ab", c], tmp_path / "all", renumber=True)
        assert Pool(tmp_path / "all").manifest["settings"] == settings_of([0, 1, 2])
        texts = sorted(texts_of(tmp_path / "all").values())
        assert texts == sorted([*texts_of(a).values(), *texts_of(b).values(), *texts_of(c).values()])
        for question in Pool(tmp_path / "all").questions:
            indices = [index for name, index in rows_of(tmp_path / "all") if name == question.id]
            assert all(later == earlier + 1 for earlier, later in pairwise(sorted(indices)))

    def test_one_draw_that_came_out_twice_is_no_further_sample(self, tmp_path):
        """Equal question, index and seed, another text: the engine rounded differently."""
        a = write_pool(tmp_path / "a", questions_of(1), samples=3)
        with PoolWriter(tmp_path / "b", questions_of(1), settings_of()) as writer:
            row = rows_of(a.folder)["q0", 1]
            writer.append_rows([{**row, "text": row["text"] + " indeed"}])
        for renumber in (False, True):
            done = merge_pools([a.folder, tmp_path / "b"], tmp_path / f"out{renumber}", renumber)
            assert (done.redrawn, done.renumbered) == (1, 0)
            assert rows_of(tmp_path / f"out{renumber}") == rows_of(a.folder)

    def test_without_seeds_equal_texts_are_copies_in_equal_pools_alone(self, tmp_path):
        rows = [{"question_id": "q0", "sample_index": index, "text": "2"} for index in range(2)]
        for name, files in (("a", ["x"]), ("b", ["x"]), ("c", ["y"])):
            with PoolWriter(tmp_path / name, questions_of(1), {"import": {"files": files}}) as writer:
                writer.append_rows(rows)
        assert merge_pools([tmp_path / "a", tmp_path / "b"], tmp_path / "ab").same == 2
        done = merge_pools([tmp_path / "a", tmp_path / "c"], tmp_path / "ac", renumber=True)
        assert done.samples == 4 and Pool(tmp_path / "ac").manifest["settings"] == {"import": {"files": ["x", "y"]}}


class TestRefusals:
    def test_other_settings(self, tmp_path):
        a = write_pool(tmp_path / "a")
        b = write_pool(tmp_path / "b", temperature=0.5)
        with pytest.raises(InputError, match=r"b: made with other settings than .*a: generator.temperature was None"):
            merge_pools([a.folder, b.folder], tmp_path / "out")

    def test_another_verifier_under_one_name(self, tmp_path):
        a = write_scored(tmp_path / "a")
        made = {"score": {**VERIFIER, "model": "org/other", "column": "score"}}
        with PoolWriter(tmp_path / "b", questions_of(1), settings_of(), scores=made):
            pass
        says = (
            r"b: column 'score' was scored by another verifier than in .*a: model was 'org/verifier', now 'org/other'"
        )
        with pytest.raises(InputError, match=says):
            merge_pools([a.folder, tmp_path / "b"], tmp_path / "out")

    def test_another_text_under_one_id(self, tmp_path):
        a, other = write_pool(tmp_path / "a"), questions_of(2)[1]
        changed = type(other)(other.id, other.text, "3")
        b = write_pool(tmp_path / "b", [changed])
        with pytest.raises(InputError, match=r"b: question 'q1' has another gold answer than in .*a"):
            merge_pools([a.folder, b.folder], tmp_path / "out")

    def test_an_output_that_is_something_else(self, tmp_path):
        a, b = write_pool(tmp_path / "a"), write_pool(tmp_path / "b", questions_of(2))
        for output in (a.folder, b.folder):
            with pytest.raises(InputError, match="exists, and was not merged from these pools"):
                merge_pools([a.folder, b.folder], output)
        merge_pools([a.folder], tmp_path / "out")
        with pytest.raises(InputError, match="exists, and was not merged from these pools"):
            merge_pools([b.folder], tmp_path / "out")

    def test_no_pools_and_no_pool(self, tmp_path, capsys):
        assert "not a pool" in refused(capsys, "pool", "merge", tmp_path, "--output", tmp_path / "out")
        with pytest.raises(InputError, match="no pools named"):
            merge_pools([], tmp_path / "out")


def test_a_merge_that_broke_off_goes_on(tmp_path, monkeypatch):
    folders = [write_pool(tmp_path / name, questions_of(6), seed=seed).folder for name, seed in (("a", 0), ("b", 1))]
    merge_pools(folders, tmp_path / "whole", renumber=True, shard_samples=4)
    commits = PoolWriter.commit

    def break_off(writer):
        if len(list(writer._folder.glob("samples-*"))) == 3:
            raise KeyboardInterrupt
        commits(writer)

    monkeypatch.setattr(PoolWriter, "commit", break_off)
    with pytest.raises(KeyboardInterrupt):
        merge_pools(folders, tmp_path / "out", renumber=True, shard_samples=4)
    monkeypatch.undo()
    kept = rows_of(tmp_path / "out")
    assert 0 < len(kept) < 48
    merge_pools(folders, tmp_path / "out", renumber=True, shard_samples=4)
    assert (
        rows_of(tmp_path / "out") == rows_of(tmp_path / "whole") and kept.items() <= rows_of(tmp_path / "out").items()
    )
    merge_pools(folders, tmp_path / "out", renumber=True, shard_samples=4)
    assert rows_of(tmp_path / "out") == rows_of(tmp_path / "whole")


def test_runs_come_along_and_one_pool_alone_gets_larger_shards(tmp_path):
    pool = write_pool(tmp_path / "a", questions_of(20), shard=4)
    record_run(pool.folder, {"stage": "generate", "seconds": 2.0, "samples": 80, "discarded_tokens": 7})
    done = merge_pools([pool.folder], tmp_path / "out", shard_samples=1000)
    assert len(pool.shards()) == 20 and len(Pool(tmp_path / "out").shards()) == 1 and done.samples == 80
    assert rows_of(tmp_path / "out") == rows_of(pool.folder)
    assert json.loads((tmp_path / "out" / "runs.jsonl").read_text())["discarded_tokens"] == 7
