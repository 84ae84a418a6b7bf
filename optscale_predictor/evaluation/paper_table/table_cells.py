"""The cells of the table: what each method does on each benchmark at each cap, published, on and off the test set.

The published way replays the samples in the order in which they lie in the file, once, and takes the settings that are
best on the very questions that it reports. Beside it stand settings chosen on other questions, over random orders of
the samples, with intervals over questions that are paired with Best-of-N.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from optscale_predictor._support.arrays import Floats, Ints
from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.assessment.baselines import grouped_folds
from optscale_predictor.evaluation.paper_table.benchmark_pools import BenchmarkPool
from optscale_predictor.evaluation.paper_table.measured_settings import (
    MeasuredSettings,
    TableSettings,
    measure_settings,
)
from optscale_predictor.evaluation.paper_table.published_results import SIZES, TableResult
from optscale_predictor.evaluation.paper_table.setting_choice import choose_by_folds, together
from optscale_predictor.evaluation.paper_table.table_methods import BEST_OF_N, Method
from optscale_predictor.evaluation.paper_table.table_priors import fold_prior, prior_of_others, with_predictions
from optscale_predictor.replays.tuning import short_form
from optscale_predictor.stats.bootstrap import Estimate, Resampled, Resamples
from optscale_predictor.stats.estimators import Prior


@dataclass(frozen=True)
class OffTest:
    """What settings that were chosen on other questions do.

    Attributes:
        accuracy: Share of questions answered rightly, in [0, 1].
        tokens: Generated tokens a question.
        gain: Its accuracy less that of Best-of-N at the same cap, paired.
        saved: Share of Best-of-N's tokens that it does not spend, paired; negative where it spends more.
        settings: Those that were chosen, each once; empty for MR-Thinking, which has none.
    """

    accuracy: Estimate
    tokens: Estimate
    gain: Estimate
    saved: Estimate
    settings: tuple[str, ...]


@dataclass(frozen=True)
class Cell:
    """One method on one benchmark at one cap.

    Attributes:
        benchmark: The benchmark's title.
        method: The method.
        size: Cap on a question's samples.
        questions: Questions of the benchmark.
        published: The published figures; None where there are none.
        on_test: The published way on these samples; None where the samples do not allow it.
        on_test_settings: The settings that it chose.
        off_test: Settings chosen on other questions; None where the samples do not allow it.
    """

    benchmark: str
    method: Method
    size: int
    questions: int
    published: TableResult | None
    on_test: TableResult | None = None
    on_test_settings: str = ""
    off_test: OffTest | None = None


def make_cells(
    benchmarks: Sequence[BenchmarkPool],
    methods: Sequence[Method],
    published: Mapping[tuple[str, str, int], TableResult],
    settings: TableSettings,
    chosen_on: Sequence[BenchmarkPool] | None = None,
    predicted: Mapping[str, Prior] | None = None,
) -> list[Cell]:
    """All cells, benchmark by benchmark, by cap and then by method; caps beyond a pool's samples are left out.

    Args:
        benchmarks: The test sets.
        methods: The rows.
        published: Published figures.
        settings: How.
        chosen_on: Pools on which settings are chosen, the test set itself left out where it is among them; None: by
            folds of the test set's own questions.
        predicted: Priors of the questions of benchmarks, by the pool's folder, for those that a predictor knows.

    Raises:
        InputError: A benchmark leaves nothing to choose settings on, or too few samples for it.
    """
    choosing = {one.folder: [other for other in chosen_on or () if other.folder != one.folder] for one in benchmarks}
    if chosen_on is not None:
        _require_choosing(benchmarks, choosing)
    every = {one.folder: one for one in (*(chosen_on or ()), *benchmarks)}
    folds = {} if chosen_on is not None else {folder: _folds(one, settings) for folder, one in every.items()}
    priors = {}
    for folder, one in every.items():
        prior = (predicted or {}).get(folder)
        if prior is None and folder in folds:
            prior = fold_prior(one.recorded, folds[folder])
        elif prior is None:
            prior = prior_of_others(choosing.get(folder) or [one])
        priors[folder] = with_predictions(prior, one, settings.predictions)
    cells = []
    for size in SIZES:
        deep = [one for one in every.values() if one.recorded.depth >= size]
        measured = {one.folder: measure_settings(one, methods, size, priors[one.folder], settings) for one in deep}
        for one in benchmarks:
            if one.folder in measured:
                others = [measured[other.folder] for other in choosing[one.folder]]
                choice = _Choice(measured[one.folder], others, folds.get(one.folder), settings)
                for method in methods:
                    cells.append(_cell(choice, method, size, published.get((one.name, method.name, size))))
    if not cells:
        raise InputError(f"{benchmarks[0].folder}: a table needs {SIZES[0]} samples of each question")
    names = [one.title for one in benchmarks]
    return sorted(cells, key=lambda cell: names.index(cell.benchmark))


def _require_choosing(benchmarks: Sequence[BenchmarkPool], choosing: Mapping[str, Sequence[BenchmarkPool]]) -> None:
    for one in benchmarks:
        if not choosing[one.folder]:
            raise InputError(f"{one.folder}: there is no other pool on which its settings could be chosen")
        sizes = [size for size in SIZES if size <= one.recorded.depth]
        for other in choosing[one.folder]:
            depth = other.recorded.depth
            if sizes and depth < sizes[-1]:
                raise InputError(f"{other.folder}: has {depth} samples a question, too few to choose for {sizes[-1]}")
            if common := set(one.texts) & set(other.texts):
                raise InputError(f"{other.folder}: has questions of {one.folder}, such as {min(common)[:60]!r}")


def _folds(benchmark: BenchmarkPool, settings: TableSettings) -> Ints:
    fold = np.asarray(grouped_folds(benchmark.texts, settings.folds, settings.seed))
    if len(np.unique(fold)) < 2:
        raise InputError(f"{benchmark.folder}: all questions are near-duplicates: none can choose for another")
    return fold


@dataclass(frozen=True, eq=False)
class _Choice:
    """What there is to choose settings for one benchmark at one cap."""

    test: MeasuredSettings
    others: Sequence[MeasuredSettings]
    fold: Ints | None
    settings: TableSettings

    def chosen(self, method: str) -> Ints:
        """Of each question of the benchmark the index of the settings that other questions choose."""
        outcomes, rule = self.test.shuffled[method].outcomes, self.settings.rule
        if self.fold is not None:
            return choose_by_folds(outcomes, self.fold, rule)
        units = [float(other.shuffled[BEST_OF_N].outcomes.tokens.mean()) for other in self.others]
        known = together([other.shuffled[method].outcomes for other in self.others], units)
        return np.full(outcomes.accuracy.shape[1], known.choose(rule))


def _cell(choice: _Choice, method: Method, size: int, published: TableResult | None) -> Cell:
    benchmark = choice.test.benchmark
    cell = Cell(benchmark.title, method, size, benchmark.recorded.num_questions, published)
    if method.settings:
        found = choice.test.in_order[method.name]
        best = found.outcomes.choose("most_accurate")
        on_test = _means(found.outcomes.accuracy[best], found.outcomes.tokens[best])
        off_test = _chosen_off_test(choice, method.name)
        return replace(cell, on_test=on_test, on_test_settings=short_form(found.policies[best]), off_test=off_test)
    rounds = benchmark.after_rounds(size)
    # MR-Thinking has nothing to choose, and its samples have one order alone.
    return cell if rounds is None else replace(cell, on_test=_means(*rounds), off_test=_off_test(choice, *rounds, ()))


def _chosen_off_test(choice: _Choice, method: str) -> OffTest:
    found, chosen = choice.test.shuffled[method], choice.chosen(method)
    place = (chosen, np.arange(len(chosen)))
    names = tuple(short_form(found.policies[index]) for index in np.unique(chosen).tolist())
    return _off_test(choice, found.outcomes.accuracy[place], found.outcomes.tokens[place], names)


def _off_test(
    choice: _Choice,
    accuracy: Float[Floats, " questions"],
    tokens: Float[Floats, " questions"],
    settings: tuple[str, ...],
) -> OffTest:
    reference = choice.test.shuffled[BEST_OF_N].outcomes
    resamples = Resamples(len(accuracy), choice.settings.seed)
    right, spent, their_right, their_spent = (
        _mean(resamples, values) for values in (accuracy, tokens, reference.accuracy[0], reference.tokens[0])
    )
    gain, saved = right - their_right, spent.saved(their_spent)
    return OffTest(right.estimate, spent.estimate, gain.estimate, saved.estimate, settings)


def _mean(resamples: Resamples, values: Float[Floats, " questions"]) -> Resampled:
    return resamples.mean(np.arange(len(values)), values)


def _means(accuracy: Float[Floats, " questions"], tokens: Float[Floats, " questions"]) -> TableResult:
    return TableResult(float(accuracy.mean()), float(tokens.mean()))
