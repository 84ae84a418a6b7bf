"""The paper's table: from the authors' layout to Markdown and CSV, held against figures read off the files by hand."""

import csv
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from fitted_policies import folder_of
from paper_pools import best_of, last_of, samples_file, texts_of, write, write_layout
from small_pools import refused

from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.paper_table.benchmark_pools import open_benchmark, open_benchmarks
from optscale_predictor.evaluation.paper_table.measured_settings import TableSettings
from optscale_predictor.evaluation.paper_table.published_results import (
    SIZES,
    TableResult,
    read_predictions,
    read_results,
)
from optscale_predictor.evaluation.paper_table.table_cells import Cell, make_cells
from optscale_predictor.evaluation.paper_table.table_files import csv_text, markdown, summarize
from optscale_predictor.evaluation.paper_table.table_methods import Method, table_methods
from optscale_predictor.pools.importing import import_pool
from optscale_predictor.replays.run_policy import run_policy

SCRIPT = Path(__file__).parents[1] / "eval" / "paper_table.py"
FEW = [
    Method("best_of_n", "Best-of-N", ("best_of_n",)),
    Method("mr_thinking", "MR-Thinking", ()),
    Method("asc", "ASC", ("asc_beta:confidence=0.8", "asc_beta:confidence=0.95"), ("asc_beta:confidence=0.95",)),
    Method("optscale", "optscale", tuple(f"optscale:score_min={target}" for target in (0.3, 0.6, 0.8, 0.9, 0.99))),
]
QUICK = TableSettings(folds=3, num_orders=2)


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("paper_table_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def imported(root, benchmark="aime24", **layout):
    """The authors' files as pools in the folder that is returned, and what stands in the files."""
    items = write_layout(root, benchmark, **layout)
    prompts = next((root / "data" / "test_prompts").glob(f"{benchmark}*"))
    for kind, short, ending in (("parallel", "par", ""), ("sequential", "seq", "_sequential")):
        if kind in items:
            file = samples_file(root, kind, f"{short}_{benchmark}")
            import_pool(root / "pools" / f"{benchmark}{ending}", [file], "paper", prompts)
    return root / "pools", items


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    return imported(tmp_path_factory.mktemp("one"), depth=16)


def cells_by_key(cells):
    return {(cell.benchmark, cell.method.name, cell.size): cell for cell in cells}


class TestPublished:
    def test_every_cell_of_the_published_table_is_there(self):
        found = read_results()
        assert len(found) == 5 * 8 * len(SIZES)
        assert found["math500", "best_of_n", 64] == TableResult(0.94, 174693)
        assert found["aime25", "optscale_t", 8] == TableResult(0.467, 69661)

    def test_what_the_published_table_saves(self):
        """The means over its twenty cells that were computed from the result files when the table came out."""
        cells = [
            Cell(name, Method(method, method, ()), size, 1, found)
            for (name, method, size), found in read_results().items()
        ]
        summary = summarize(cells, "published")
        assert summary["optscale_0"].saved == pytest.approx(0.386, abs=5e-4)
        assert summary["optscale_t"].saved == pytest.approx(0.316, abs=5e-4)
        assert summary["best_of_n"].saved == summary["best_of_n"].gain == 0 and summary["esc"].cells == 20

    def test_predictions_are_one_pair_a_question(self, tmp_path):
        write(tmp_path / "p.json", [[0.6, 0.1], [1.2, 0.9]])
        prior = read_predictions(tmp_path / "p.json", 2)
        assert prior.mean.tolist() == [0.6, 0.999] and prior.std[0] == 0.1
        for content, says in (
            ([[0.5, 0.1]], "expected 2 pairs"),
            ([["a", 1]], "expected one list"),
            ([[1]], "2 pairs"),
        ):
            write(tmp_path / "p.json", content)
            with pytest.raises(InputError, match=says):
                read_predictions(tmp_path / "p.json", 2)
        with pytest.raises(InputError, match="cannot read"):
            read_predictions(tmp_path / "none.json", 2)


class TestMethods:
    def test_the_caps_and_the_looks_fit(self):
        for method in table_methods():
            for size in SIZES:
                policies = method.policies(size) if method.settings else []
                assert {policy.max_samples for policy in policies} <= {size}
                assert all(getattr(policy, "peek", 0) < size for policy in policies)
                own = {str(policy) for policy in policies}
                assert {str(policy) for policy in method.published_policies(size) if method.settings} <= own

    def test_published_settings_are_those_of_the_published_scripts(self):
        found = {method.name: method.published_policies(8) for method in table_methods() if method.settings}
        assert [policy.window for policy in found["esc"]] == [5]
        assert [policy.confidence for policy in found["asc"]] == [0.95]
        assert {round(1 - policy.alpha, 4) for policy in found["optscale_t"]} == {0.01, 0.02, 0.035, 0.05, 0.075, 0.1}


class TestCells:
    def test_fixed_numbers_in_the_order_of_the_file_are_those_of_the_published_scripts(self, one):
        folder, items = one
        cells = cells_by_key(make_cells(open_benchmarks(folder), FEW, read_results(), QUICK))
        assert {size for _, _, size in cells} == {8, 16}  # as deep as the pool is
        for size in (8, 16):
            for method, by_hand in (
                ("best_of_n", best_of(items["parallel"], size)),
                ("mr_thinking", last_of(items["sequential"], size)),
            ):
                found = cells["AIME24", method, size]
                assert (found.on_test.accuracy, found.on_test.tokens) == pytest.approx(by_hand)
                assert found.published == read_results()["aime24", method, size]
        whole = cells["AIME24", "best_of_n", 16].off_test
        assert (whole.accuracy.mean, whole.tokens.mean) == pytest.approx(best_of(items["parallel"], 16))
        assert (whole.gain.low, whole.gain.high, whole.saved.low, whole.saved.high) == (0, 0, 0, 0)
        sequential = cells["AIME24", "mr_thinking", 16]
        assert sequential.off_test.gain.mean == pytest.approx(
            sequential.on_test.accuracy - cells["AIME24", "best_of_n", 16].on_test.accuracy
        )

    def test_the_published_way_takes_the_best_settings_of_the_test_set(self, one):
        folder, _ = one
        benchmark = open_benchmarks(folder)[0]
        cells = cells_by_key(make_cells([benchmark], FEW, {}, QUICK))
        found = cells["AIME24", "asc", 16]
        assert found.on_test_settings == "asc_beta:max_samples=16" and found.published is None  # 0.95 is the default
        runs = [run_policy(policy, benchmark.recorded.first(16)) for policy in FEW[2].published_policies(16)]
        row = np.arange(12)
        assert found.on_test.accuracy == pytest.approx(benchmark.recorded.correct[row, runs[0].chosen].mean())
        assert found.on_test.tokens == pytest.approx(runs[0].tokens.mean())

    def test_other_benchmarks_choose(self, tmp_path):
        folder, _ = imported(tmp_path, "aime24", sequential=False)
        imported(tmp_path, "aime25", questions=30, sequential=False)
        benchmarks = open_benchmarks(folder)
        assert [benchmark.title for benchmark in benchmarks] == ["AIME24", "AIME25"]
        cells = cells_by_key(make_cells(benchmarks, FEW, {}, QUICK, benchmarks))
        again = cells_by_key(make_cells(benchmarks[:1], FEW, {}, QUICK, benchmarks[1:]))
        for method in ("asc", "optscale"):
            found = cells["AIME24", method, 8]
            assert len(found.off_test.settings) == 1 and found == again["AIME24", method, 8]
        assert cells["AIME24", "mr_thinking", 8].off_test is None
        with pytest.raises(InputError, match="no other pool on which"):
            make_cells(benchmarks[:1], FEW, {}, QUICK, benchmarks[:1])

    def test_a_fitted_policy_is_a_row_up_to_the_samples_that_it_was_fitted_to(self, one):
        fitted = table_methods(folder_of())[-1]
        assert {policy.max_samples for policy in fitted.policies(64)} == {32}
        assert [policy.price for policy in fitted.policies(8)] == pytest.approx([0.01, 0.1, 1.0])  # of 1,000 tokens
        cells = cells_by_key(make_cells(open_benchmarks(one[0]), [FEW[0], fitted], {}, QUICK))
        found = cells["AIME24", "fitted", 16]
        assert found.on_test_settings.startswith("fitted:path=") and found.off_test.tokens.mean > 0

    def test_what_cannot_choose_is_said(self, tmp_path, one):
        folder, _ = one
        shallow, _ = imported(tmp_path / "a", "aime25", depth=8)
        with pytest.raises(InputError, match="has 8 samples a question, too few to choose for 16"):
            make_cells(open_benchmarks(folder), FEW, {}, QUICK, [open_benchmark(shallow / "aime25")])
        same, _ = imported(tmp_path / "b", depth=16)
        with pytest.raises(InputError, match="has questions of"):
            make_cells(open_benchmarks(folder), FEW, {}, QUICK, [open_benchmark(same / "aime24")])
        few, _ = imported(tmp_path / "c", depth=4)
        with pytest.raises(InputError, match="a table needs 8 samples"):
            make_cells(open_benchmarks(few), FEW, {}, QUICK)

    def test_files_say_what_the_cells_are(self, one):
        cells = make_cells(open_benchmarks(one[0]), FEW, read_results(), QUICK)
        rows = list(csv.DictReader(csv_text(cells).splitlines()))
        assert len(rows) == len(cells) == 8
        for cell, row in zip(cells, rows, strict=True):
            assert (row["benchmark"], row["method"], int(row["n"])) == (cell.benchmark, cell.method.name, cell.size)
            assert float(row["off_test_saved"]) == cell.off_test.saved.mean
            assert float(row["off_test_gain_low"]) <= float(row["off_test_gain"]) <= float(row["off_test_gain_high"])
        said = markdown(cells, "Chosen somehow.")
        best = cells[0]
        shown = f"{100 * best.off_test.accuracy.mean:.1f} ({100 * best.published.accuracy:.1f})"
        assert (
            "## N = 8" in said
            and shown in said
            and "Chosen somehow." in said
            and f"({best.published.tokens:,.0f})" in said
        )


class TestRecipe:
    def test_from_the_authors_files_to_the_table(self, tmp_path, script, capsys):
        items = write_layout(tmp_path)
        script.paper_table(tmp_path, tmp_path / "out", "text", ["--num_orders", "1", "--folds", "2"])
        printed = capsys.readouterr()
        assert (
            "left out: there is no" in printed.err
            and "caps beyond a pool's samples are left out: AIME24" in printed.out
        )
        rows = list(csv.DictReader((tmp_path / "out" / "table.csv").read_text().splitlines()))
        assert [row["method"] for row in rows] == [method.name for method in table_methods()]
        assert [float(rows[0][f"on_test_{name}"]) for name in ("accuracy", "tokens")] == pytest.approx(
            best_of(items["parallel"], 8)
        )
        assert (
            float(rows[0]["published_accuracy"]) == 0.7
            and "# The paper's table" in (tmp_path / "out" / "table.md").read_text()
        )

    @pytest.mark.parametrize(
        ("field", "content", "says"),
        [
            ("completion_tokens", None, "'score.completion_tokens' is missing"),
            ("scores", [[1.5] * 8], "'score' must be a number in [0, 1], got 1.5"),
            ("scores", [[0.5] * 7], "lists of different lengths: 8 text, 7 score"),
            ("problem", ["Another question"], "question 'Another question' is not among the 12 questions given"),
        ],
    )
    def test_one_wrong_field_is_one_line_and_exit_code_2(self, tmp_path, script, capsys, field, content, says):
        items = write_layout(tmp_path, sequential=False)["parallel"]
        items[3]["score"][field] = content
        if content is None:
            del items[3]["score"][field]
        write(samples_file(tmp_path, "parallel", "par_aime24"), items)
        with pytest.raises(SystemExit) as stopped:
            script.paper_table(tmp_path, tmp_path / "out", "text", [])
        error = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("left out")]
        assert stopped.value.code == 2 and len(error) == 1 and says in error[0] and "par_aime24_64.json:" in error[0]
        assert not (tmp_path / "out" / "table.csv").exists()

    def test_questions_of_another_wording_are_found_by_position(self, tmp_path, capsys):
        items = write_layout(tmp_path)["parallel"]
        for item in items:
            item["score"]["problem"] = [f"Answer this: {item['score']['problem'][0]}"]
        file, prompts = tmp_path / "file.json", tmp_path / "data" / "test_prompts" / "aime24.json"
        write(file, items)
        import_pool(tmp_path / "pool", [file], "paper", prompts, pair="position")
        found = open_benchmark(tmp_path / "pool")
        assert found.texts == texts_of("aime24", 12)
        wanted = [item["score"]["completions"][0][0].endswith(f"{{{number}}}") for number, item in enumerate(items)]
        assert found.recorded.correct[:, 0].tolist() == wanted
        write(prompts, json.loads(prompts.read_text())[:5])
        command = ["pool", "import", tmp_path / "new", file, "--questions", prompts, "--pair"]
        assert refused(capsys, *command, "position").endswith("there are only 5 questions given")
        assert refused(capsys, *command, "guess") == "pair must be text or position, got 'guess'"
        assert "with a file of questions" in refused(capsys, *command[:4], "--pair", "position")


def test_bad_flags_and_folders_are_one_line(tmp_path, capsys, one):
    folder, items = one
    assert "no pools in it" in refused(capsys, "paper-table", tmp_path)
    for flags, says in (
        (["--rule", "best"], "rule must be one of at_par, most_accurate, got 'best'"),
        (["--folds", "1"], "folds must be >= 2, got 1"),
        (["--num_orders", "0"], "num_orders must be >= 1, got 0"),
        (["--fitted", tmp_path], "no fitted policy"),
        (["--chosen_on", tmp_path], "not a pool"),
        (["--chosen_on", "others"], "there is no other pool"),
        (["--predictions", tmp_path], "AIME24_train_mu_sigma.json: cannot read"),
    ):
        assert says in refused(capsys, "paper-table", folder, *flags)
    write(tmp_path / "in.json", items["parallel"])
    import_pool(tmp_path / "pools" / "aime24", [tmp_path / "in.json"], "paper")
    assert "not every sample is known to be right or wrong" in refused(capsys, "paper-table", tmp_path / "pools")
    (tmp_path / "pools" / "aime24").rename(tmp_path / "pools" / "aime24_sequential")
    assert "there is no pool aime24 beside it" in refused(capsys, "paper-table", tmp_path / "pools")
