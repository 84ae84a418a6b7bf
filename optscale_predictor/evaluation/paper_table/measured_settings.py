"""What every setting of every method does on one benchmark at one cap, question by question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from optscale_predictor.errors import InputError
from optscale_predictor.evaluation.paper_table.benchmark_pools import BenchmarkPool
from optscale_predictor.evaluation.paper_table.setting_choice import RULES, SettingOutcomes
from optscale_predictor.evaluation.paper_table.table_methods import BEST_OF_N, Method
from optscale_predictor.evaluation.paper_table.table_priors import Priors
from optscale_predictor.policies import Policy
from optscale_predictor.replays.replaying import METRICS, ReplayEntry, measure_orders


@dataclass(frozen=True)
class TableSettings:
    """How the table is made.

    Attributes:
        rule: How settings are chosen off the test set, one of ``RULES``.
        folds: Folds of the questions, >= 2, where they choose for one another.
        num_orders: Random orders of the samples to average over, >= 1.
        seed: Of folds, orders and resamples, >= 0.
        predictions: Folder with the published predictions, for OptScale^t; None where there are none.
        progress: Whether to show progress bars.

    Raises:
        InputError: One is out of its range.
    """

    rule: str = "at_par"
    folds: int = 5
    num_orders: int = 10
    seed: int = 0
    predictions: str | None = None
    progress: bool = False

    def __post_init__(self) -> None:
        """Checks every range."""
        if self.rule not in RULES:
            raise InputError(f"rule must be one of {', '.join(RULES)}, got {self.rule!r}")
        for name, least in (("folds", 2), ("num_orders", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise InputError(f"{name} must be >= {least}, got {getattr(self, name)}")


@dataclass(frozen=True, eq=False)
class MethodOutcomes:
    """What the settings of one method do.

    Attributes:
        policies: The settings.
        outcomes: Of each on every question.
    """

    policies: Sequence[Policy]
    outcomes: SettingOutcomes


@dataclass(frozen=True, eq=False)
class MeasuredSettings:
    """What the settings of all methods that draw independent samples do, by method.

    Attributes:
        benchmark: On which benchmark.
        shuffled: All settings, over random orders of the samples.
        in_order: Those of the published way, over the order in which the samples lie in the pool.
    """

    benchmark: BenchmarkPool
    shuffled: Mapping[str, MethodOutcomes]
    in_order: Mapping[str, MethodOutcomes]


def measure_settings(
    benchmark: BenchmarkPool, methods: Sequence[Method], size: int, priors: Priors, settings: TableSettings
) -> MeasuredSettings:
    """Replays every setting of every method that draws independent samples.

    Args:
        benchmark: Whose samples.
        methods: The methods.
        size: Cap on a question's samples, >= 1.
        priors: Of its questions.
        settings: How.
    """
    drawn = [method for method in methods if method.settings]
    policies = {method.name: method.policies(size) for method in drawn}
    as_published = {method.name: method.published_policies(size) for method in drawn}
    return MeasuredSettings(
        benchmark,
        _measure(benchmark, policies, priors, settings, settings.num_orders, f"{benchmark.title}, N = {size}"),
        _measure(benchmark, as_published, priors, settings, 0, f"{benchmark.title}, N = {size}, in order"),
    )


def _measure(
    benchmark: BenchmarkPool,
    policies: Mapping[str, Sequence[Policy]],
    priors: Priors,
    settings: TableSettings,
    num_orders: int,
    what: str,
) -> dict[str, MethodOutcomes]:
    entries = [
        ReplayEntry(policy, name, priors.get(name, priors[""])) for name, found in policies.items() for policy in found
    ]
    measured = measure_orders(
        entries, benchmark.recorded, num_orders, settings.seed, settings.progress, description=what
    )
    accuracy, tokens = (
        measured[:, METRICS.index(metric)].mean(1, dtype=np.float64) for metric in ("accuracy", "tokens")
    )
    labels = np.array([entry.label for entry in entries])
    reference = accuracy[labels == BEST_OF_N][0]
    weight = np.full(len(reference), 1 / len(reference))
    return {
        name: MethodOutcomes(
            found, SettingOutcomes(accuracy[labels == name], tokens[labels == name], reference, weight)
        )
        for name, found in policies.items()
    }
