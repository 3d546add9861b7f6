"""HTTP metrics whose label values are bounded: declared codes, route templates, known methods."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tenaudit.errors.catalogue import ErrorCatalogue
from tenaudit.errors.instruments import counter, durations, gauge, is_multiprocess, tallies
from tenaudit.errors.labels import LabelGuard

if TYPE_CHECKING:
    from collections.abc import Callable

    from prometheus_client import CollectorRegistry, Counter

__all__ = ["UNMATCHED_ROUTE", "HttpMetrics"]

UNMATCHED_ROUTE = "_unmatched"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"})
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROUTES_KEPT = 1000
_CHILDREN_KEPT = 4 * _ROUTES_KEPT


class HttpMetrics:
    """Counts requests and errors of one service.

    Args:
        service: value of the `service` label.
        catalogue: codes that are registered with the guard before any request.
        registry: where the families live; `None` is prometheus-client's default registry.
        code_limit: distinct error codes that keep their own label.

    Example:
        >>> from prometheus_client import CollectorRegistry
        >>> registry = CollectorRegistry()
        >>> HttpMetrics("orders", registry=registry).error("not_found", 404)
        >>> registry.get_sample_value(
        ...     "http_errors_total", {"service": "orders", "code": "not_found", "status": "404"})
        1.0
    """

    def __init__(
        self,
        service: str,
        *,
        catalogue: ErrorCatalogue | None = None,
        registry: CollectorRegistry | None = None,
        code_limit: int = 40,
    ) -> None:
        self.service = service
        # Workers of a multiprocess server cannot agree on who came first, so there only declared codes count.
        self.codes = LabelGuard(
            code_limit,
            known=(catalogue or ErrorCatalogue()).codes,
            sealed=is_multiprocess(),
        )
        self.routes = LabelGuard(_ROUTES_KEPT)
        self._errors = counter(
            registry, "http_errors_total", "Error responses by stable code.", ("service", "code", "status")
        )
        self._requests = tallies(
            registry,
            "http_requests_total",
            "Responses by route template.",
            ("service", "method", "route", "status"),
        )
        self._durations = durations(
            registry,
            "http_request_duration_seconds",
            "Time from the first byte read to the last byte handed over.",
            ("service", "method", "route"),
            buckets=_BUCKETS,
        )
        self._distinct = gauge(
            registry,
            "http_error_codes_distinct",
            "Error codes with a label of their own.",
            across_processes="livemax",
        )
        self._saturation = gauge(
            registry,
            "http_error_code_saturation",
            "How full the error code label is, in percent.",
            across_processes="livemax",
        )
        self._overflow = counter(
            registry, "http_error_code_overflow_total", "Errors whose code got the overflow label."
        )
        # A cached child costs a fifth of a labels() call; the guards bound how many there can be.
        self._children: dict[
            tuple[str, str, int], tuple[Callable[[], object], Callable[[float, str | None], None]]
        ] = {}
        self._error_children: dict[tuple[str, int], Counter] = {}
        self._publishing = threading.Lock()
        # prometheus-client's multiprocess files hold no exemplars, so there none is made.
        self._has_exemplars = not is_multiprocess()
        self._publish()

    def request(self, method: str, route: str | None, status: int, seconds: float, trace_id: str | None = None) -> None:
        """Count one finished request.

        Args:
            method: as it was sent.
            route: the template, never the raw path; None when no route matched.
            status: of the answer.
            seconds: how long it took.
            trace_id: of a sampled trace, which becomes the exemplar of the bucket.
        """
        key = (method, route or UNMATCHED_ROUTE, status)
        children = self._children.get(key)
        if children is None:
            children = self._child(key)
        children[0]()
        children[1](seconds, trace_id)

    def error(self, code: str, status: int, trace_id: str | None = None) -> None:
        """Count one error response by its code; *trace_id* makes it the exemplar of its series."""
        label = self.codes.label(code)
        child = self._error_children.get((label, status))
        if child is None:
            child = self._error_children[label, status] = self._errors.labels(self.service, label, str(status))
            self._publish()
        child.inc(1, {"trace_id": trace_id} if trace_id is not None and self._has_exemplars else None)
        if label == self.codes.overflow:
            self._overflow.inc()

    def _child(self, key: tuple[str, str, int]) -> tuple[Callable[[], object], Callable[[float, str | None], None]]:
        method, template, status = key
        known = method in _METHODS
        method = method if known else "_other"
        route = template if template == UNMATCHED_ROUTE else self.routes.label(template)
        children = (
            self._requests.of(self.service, method, route, str(status)),
            self._durations.of(self.service, method, route),
        )
        # A made-up method or a route over the limit must not take the place of a real one.
        if known and route == template and len(self._children) < _CHILDREN_KEPT:
            self._children[key] = children
        return children

    def _publish(self) -> None:
        # Read and set under one lock: the last one in has seen every code, so no older number stays.
        with self._publishing:
            self._distinct.set(self.codes.distinct)
            self._saturation.set(self.codes.saturation)
