"""Prometheus' counts of a server: requests by what became of them, what was drawn, and how long answers took."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from optscale_predictor.inference.admission import TokenBudget
from optscale_predictor.policies import StopReason
from optscale_predictor.serving.api_errors import OUTCOMES
from optscale_predictor.serving.request_handler import Admission

_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500)  # seconds


@dataclass(eq=False)
class _SessionCounts(Collector):
    """What the inference session has drawn; it counts for itself."""

    budget: TokenBudget

    def collect(self) -> Iterator[Metric]:
        """Every count, as it is now."""
        cancelled = "Samples that were under way when their request was cancelled."
        estimated = "Those of the tokens that no engine has told: of samples cancelled under way, by its pace."
        generated = "Tokens generated for them, and for replies that came and could not be used."
        yield CounterMetricFamily("optscale_samples", "Samples drawn.", self.budget.samples)
        yield CounterMetricFamily("optscale_tokens", generated, self.budget.tokens)
        yield CounterMetricFamily("optscale_estimated_tokens", estimated, self.budget.estimated_tokens)
        yield CounterMetricFamily("optscale_cancelled_samples", cancelled, self.budget.cancelled_samples)


class Metrics:
    """The counts of one server, for Prometheus.

    Args:
        budget: What the inference session has drawn.
        admission: How many questions are answered, and wait.
        generator_up: Whether samples can be drawn.
    """

    def __init__(self, budget: TokenBudget, admission: Admission, generator_up: Callable[[], bool]) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter("optscale_requests", "Requests by outcome.", ["outcome"], registry=registry)
        self._stops = Counter("optscale_stops", "Answers by the reason to stop.", ["reason"], registry=registry)
        self._seconds = Histogram(
            "optscale_request_seconds", "Seconds to an answer.", buckets=_BUCKETS, registry=registry
        )
        for name, about, read in (
            ("optscale_requests_in_flight", "Questions at work.", lambda: admission.in_flight),
            ("optscale_requests_waiting", "Questions that wait.", lambda: admission.waiting),
            ("optscale_generator_up", "1 while the generator can be reached, else 0.", generator_up),
        ):
            Gauge(name, about, registry=registry).set_function(read)
        registry.register(_SessionCounts(budget))
        ProcessCollector(registry=registry)
        for outcome in OUTCOMES:  # so that none is missing before it happens
            self._requests.labels(outcome)
        for reason in StopReason:
            self._stops.labels(reason.value)

    def count(self, outcome: str) -> None:
        """Counts a request; ``outcome`` is one of ``OUTCOMES``."""
        self._requests.labels(outcome).inc()

    def count_answer(self, reason: str, seconds: float) -> None:
        """Counts an answer.

        Args:
            reason: Why it stopped.
            seconds: That it took from the request's arrival, >= 0.
        """
        self._stops.labels(reason).inc()
        self._seconds.observe(seconds)

    def page(self) -> bytes:
        """All counts in Prometheus' text format."""
        return generate_latest(self._registry)
