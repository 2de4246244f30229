"""Figures for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from plait.serve.counting import Counted

SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
TEXTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048)


class Metrics:
    """Counters of one server.

    Example:
        >>> metrics = Metrics()
        >>> metrics.request("/health", 200, 0.001)
        >>> b'plait_requests_total{path="/health",status="200"} 1.0' in metrics.text()
        True
    """

    def __init__(self) -> None:
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._registry = registry
        self._requests = Counter("plait_requests", "Requests answered.", ["path", "status"], registry=registry)
        self._seconds = Histogram(
            "plait_request_seconds", "Seconds to answer.", ["path"], buckets=SECONDS, registry=registry
        )
        self._given_up = Counter("plait_requests_given_up", "Requests whose client went away.", registry=registry)
        self._batch_texts = Histogram("plait_batch_texts", "Texts in a batch.", buckets=TEXTS, registry=registry)
        self._batch_seconds = Histogram(
            "plait_batch_seconds", "Seconds to encode a batch.", buckets=SECONDS, registry=registry
        )
        self._tokens = Counter("plait_tokens", "Tokens read.", registry=registry)
        self._cut = Counter("plait_cut_tokens", "Tokens that a length limit dropped.", registry=registry)

    def request(self, path: str, status: int, seconds: float) -> None:
        """A request was answered.

        Args:
            path: one that the server knows, or "other".
            status: of HTTP.
            seconds: from its first byte to the last of the answer.
        """
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def given_up(self) -> None:
        """A client went away before its answer was there."""
        self._given_up.inc()

    def batch(self, counted: Counted, seconds: float) -> None:
        """A batch was encoded."""
        self._batch_texts.observe(len(counted.tokens))
        self._batch_seconds.observe(seconds)
        self._tokens.inc(float(counted.tokens.sum()))
        self._cut.inc(float(counted.cut.sum()))

    def gauge(self, name: str, about: str, value: Callable[[], float]) -> None:
        """A figure that is looked up when somebody asks."""
        Gauge(name, about, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return bytes(generate_latest(self._registry))
