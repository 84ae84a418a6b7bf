"""The verb that makes the paper's table from recorded pools."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from optscale_predictor._support.outputs import require_folder

if TYPE_CHECKING:
    from optscale_predictor.pools import Pool
    from optscale_predictor.stats.estimators import Prior


def paper_table(
    pools: str,
    output: str = "runs/paper_table",
    chosen_on: str = "folds",
    rule: str = "at_par",
    folds: int = 5,
    num_orders: int = 10,
    seed: int = 0,
    predictor: str | None = None,
    predictions: str | None = None,
    fitted: str = "",
    source: str | None = None,
    allow_source_mismatch: bool = False,
) -> None:
    """Make the paper's table from recorded pools: every method at N = 8 to 64 beside the published figures.

    Settings are chosen off the test set; beside them stand those of the published way, chosen on it.

    Args:
        pools: Folder of labelled and scored pools, each in a folder with its benchmark's name: math500, gsm8k, aime24,
            aime25, amc23, or others, of which nothing was published. A pool of MR-Thinking's sequential samples of the
            same questions is named math500_sequential, and so on.
        output: Folder for table.md and table.csv.
        chosen_on: What chooses settings: `folds`, the other folds of the benchmark's own questions; `others`, the other
            benchmarks; or the folder of one more labelled and scored pool.
        rule: How: `at_par`, the fewest tokens among settings that are less accurate than Best-of-N by no more than its
            standard error; `most_accurate`, as published: the most accurate, and of those the cheapest.
        folds: Folds of the questions, >= 2; near-duplicates stay together.
        num_orders: Random orders of the samples to average over, >= 1.
        seed: Seed of folds, orders and resamples, >= 0.
        predictor: Predictor checkpoint whose priors the policies get, in place of the mean score distribution of the
            questions that choose; it must not have learnt from these questions.
        predictions: Folder with the predictions that were published for OptScale^t (MATH500_train_mu_sigma.json and so
            on); without them it gets the same prior as the others.
        fitted: Folder of a policy that was fitted (optscale fit-policy) to other questions.
        source: Name of one of the predictor's score sources; by default the one that matches each pool.
        allow_source_mismatch: Whether predictor and fitted policy may have learnt from another generator, verifier or
            setting.
    """
    from optscale_predictor.evaluation.paper_table.benchmark_pools import open_benchmark, open_benchmarks
    from optscale_predictor.evaluation.paper_table.measured_settings import TableSettings
    from optscale_predictor.evaluation.paper_table.published_results import SIZES, read_results
    from optscale_predictor.evaluation.paper_table.table_cells import make_cells
    from optscale_predictor.evaluation.paper_table.table_files import summary_table, write_table
    from optscale_predictor.evaluation.paper_table.table_methods import table_methods

    settings = TableSettings(rule, folds, num_orders, seed, predictions, progress=True)
    require_folder(output)
    methods = table_methods(fitted)
    benchmarks = open_benchmarks(pools)
    if chosen_on == "folds":
        choosing = None
    else:
        choosing = benchmarks if chosen_on == "others" else [open_benchmark(Path(chosen_on))]
    every = [*benchmarks, *(choosing or ())]
    for one in every:
        _require_fitting(one.pool, fitted, allow_source_mismatch)
    predicted = _predicted([one.pool for one in every], predictor, source, allow_source_mismatch)
    cells = make_cells(benchmarks, methods, read_results(), settings, choosing, predicted)
    how = {
        "folds": f"Settings are chosen on the other folds ({folds}) of a benchmark's questions",
        "others": "Settings are chosen on the other benchmarks",
    }.get(chosen_on, f"Settings are chosen on the pool {Path(chosen_on).name}")
    files = write_table(
        cells, output, f"{how}, by the rule `{rule}`; mean of {num_orders} random orders of the samples."
    )
    print(f"{how}, by the rule {rule}. Against Best-of-N at the same cap:\n\n{summary_table(cells)}\n")
    shallow = sorted(one.title for one in benchmarks if one.recorded.depth < SIZES[-1])
    if shallow:
        print(f"caps beyond a pool's samples are left out: {', '.join(shallow)}")
    print(f"wrote {' and '.join(map(str, files))}")


def _require_fitting(pool: "Pool", fitted: str, allow_source_mismatch: bool) -> None:
    from optscale_predictor.policies import parse_policy
    from optscale_predictor.predictor.provenance import require_policy_source, source_of_pool

    if fitted:
        policy = parse_policy(f"fitted:path={fitted}")
        require_policy_source(policy, source_of_pool(pool.manifest), allow_source_mismatch)


def _predicted(
    pools: "Sequence[Pool]", predictor: str | None, source: str | None, allow_source_mismatch: bool
) -> "dict[str, Prior]":
    """Of each pool the priors that a predictor gives its questions, by the pool's folder."""
    from optscale_predictor.cli.replay_command import make_prior

    if predictor is None:
        return {}
    priors = {str(pool.folder): make_prior(pool, predictor, None, source, allow_source_mismatch) for pool in pools}
    return {folder: prior for folder, prior in priors.items() if prior is not None}
