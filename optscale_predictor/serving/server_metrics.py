"""What the server counts, for Prometheus."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from optscale_predictor.inference.limits import Spending
from optscale_predictor.policies import StopReason
from optscale_predictor.serving.api_errors import OUTCOMES

_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500)  # seconds


@dataclass(eq=False)
class _Spent(Collector):
    """What the inference session has spent; it counts for itself."""

    spending: Spending

    def collect(self) -> Iterator[Metric]:
        """Every count, as it is now."""
        for name, about, value in (
            ("optscale_samples", "Samples drawn.", self.spending.samples),
            ("optscale_tokens", "Tokens generated for them.", self.spending.tokens),
            (
                "optscale_cancelled_samples",
                "Samples that were under way when nobody wanted them.",
                self.spending.cancelled,
            ),
        ):
            yield CounterMetricFamily(name, about, value)


class Metrics:
    """The counts of one server.

    Args:
        spending: What the inference session has spent.
        in_flight: Says how many questions are at work.
        waiting: Says how many wait.
    """

    def __init__(self, spending: Spending, in_flight: Callable[[], float], waiting: Callable[[], float]) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter("optscale_requests", "Requests by outcome.", ["outcome"], registry=registry)
        self._stops = Counter("optscale_stops", "Answers by the reason to stop.", ["reason"], registry=registry)
        self._seconds = Histogram(
            "optscale_request_seconds", "Seconds to an answer.", buckets=_BUCKETS, registry=registry
        )
        Gauge("optscale_requests_in_flight", "Questions at work.", registry=registry).set_function(in_flight)
        Gauge("optscale_requests_waiting", "Questions that wait.", registry=registry).set_function(waiting)
        registry.register(_Spent(spending))
        ProcessCollector(registry=registry)
        for outcome in OUTCOMES:  # so that none is missing before it happens
            self._requests.labels(outcome)
        for reason in StopReason:
            self._stops.labels(reason.value)

    def count(self, outcome: str) -> None:
        """Counts a request."""
        self._requests.labels(outcome).inc()

    def answered(self, reason: str, seconds: float) -> None:
        """Takes note of an answer: why it stopped, and how long it took."""
        self._stops.labels(reason).inc()
        self._seconds.observe(seconds)

    def page(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)
