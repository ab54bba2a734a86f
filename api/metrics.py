"""Prometheus metrics of this process: how long each route takes, and how it answers."""

from functools import lru_cache

from prometheus_client import Gauge, Histogram

METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

REQUESTS = Histogram(
    "santral_http_request_seconds",
    "Seconds from the first byte of a request to the last of its answer.",
    ("route", "method", "status"),
    buckets=BUCKETS,
)
LISTENERS = Gauge("santral_realtime_listeners", "Open WebSockets of /realtime.")
WATCHERS = Gauge("santral_board_watchers", "Open WebSockets of /queue/board/ws.")


@lru_cache(maxsize=4096)
def _series(route: str, method: str, status: int) -> Histogram:
    return REQUESTS.labels(route, method, str(status))


def observe(route: str, method: str, status: int, seconds: float) -> None:
    """Note one answered request; `route` is its template, never the address that was called."""
    _series(route, method, status).observe(seconds)
