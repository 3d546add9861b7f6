"""One WSGI request from start to end, in a context of its own."""

from __future__ import annotations

from contextvars import copy_context
from itertools import chain
from time import perf_counter
from typing import TYPE_CHECKING, Any

from werkzeug.http import HTTP_STATUS_CODES

from tenaudit._kernel.portal import finish
from tenaudit.adapters.flask.portal import GRACE, PORTAL, answer_of
from tenaudit.adapters.flask.wire import EXCHANGE, replace_headers, request_view
from tenaudit.audit.bound_producer import BOUND_PRODUCER
from tenaudit.errors import ApiError
from tenaudit.gate import Exchange
from tenaudit.policy.guard import BOUND_GUARD
from tenaudit.security import extract_trace
from tenaudit.security.context import BOUND_CONTEXT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextvars import Context
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from tenaudit.errors import Reply
    from tenaudit.gate import Admission, Gate, Identity

__all__ = ["GateMiddleware"]

# Names that stand in an answer once, with the gate's value, whatever a view wrote.
_TRACED = frozenset({"x-trace-id"})
_LIMITED = _TRACED | {"ratelimit", "ratelimit-policy"}


class GateMiddleware:
    """Identifies, binds the context, turns errors into envelopes and counts; the routes ask for admission.

    Each request runs in a copy of the thread's context, and so does its body: what is bound for one request is gone
    with it, however the server reuses its threads, and a streaming body still finds it.

    Args:
        app: the next application.
        gate: what decides.
    """

    def __init__(self, app: WSGIApplication, gate: Gate) -> None:
        self._app = app
        self._gate = gate

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        context = copy_context()
        return context.run(self._serve, environ, start_response, context)

    def unavailable(self, environ: WSGIEnvironment, start_response: StartResponse, error: Exception) -> Iterable[bytes]:
        """Answer 503 `unavailable` in the place of the application, which *error* keeps from serving."""
        trace = extract_trace(request_view(environ).headers, settings=self._gate.security)
        self._gate.fault(error, trace)
        refusal = ApiError.unavailable("The service has not started.", retry_after=1)
        return _send(self._gate.reply(refusal, trace, accept=environ.get("HTTP_ACCEPT", "")), environ, start_response)

    def _serve(self, environ: WSGIEnvironment, start_response: StartResponse, context: Context) -> Iterable[bytes]:
        started = perf_counter()
        gate = self._gate
        exchange = environ[EXCHANGE] = Exchange(gate, self._identify(environ))
        BOUND_GUARD.set(gate.policy)
        BOUND_PRODUCER.set(gate.producer)
        # Also when nobody asks: the thread may have a context of its own.
        BOUND_CONTEXT.set(exchange.identity.context)

        def end() -> None:
            method = environ["REQUEST_METHOD"]
            gate.settle(
                method, exchange.template, exchange.status or 499, perf_counter() - started, exchange.identity.trace
            )
            if exchange.holds_slots and exchange.admission is not None:
                _release(gate, exchange.admission)

        start = _starting(exchange, environ, start_response)
        try:
            body = self._answer(exchange, environ, start)
        except BaseException:
            end()
            raise
        return _Body(context, body, end)

    def _identify(self, environ: WSGIEnvironment) -> Identity:
        gate = self._gate
        if not gate.is_edge:
            return gate.recognize(request_view(environ, target=gate.needs_target))
        view = request_view(environ, every_header=True)
        try:
            identity = answer_of(gate.identify(view), gate.deadline)
        except ApiError as error:
            identity = gate.nobody(view.headers, error)
        replace_headers(environ, identity.headers)
        return identity

    def _answer(self, exchange: Exchange, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        body: Iterable[bytes] = ()
        try:
            body = self._app(environ, start)
            # An application may start its response as late as with the first piece; what it raises until then can
            # still become an answer.
            return body if exchange.status else _begun(body)
        except Exception as error:
            _close(body)
            if exchange.status:
                raise
            return _send(exchange.reply(error, environ.get("HTTP_ACCEPT", "")), environ, start)


def _send(reply: Reply, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
    start(f"{reply.status} {HTTP_STATUS_CODES.get(reply.status, 'Error')}", list(reply.headers))
    return () if environ["REQUEST_METHOD"] == "HEAD" else (reply.body,)


def _release(gate: Gate, admission: Admission) -> None:
    release = gate.release(admission)
    if gate.limits.is_immediate:
        finish(release)
        return
    try:
        PORTAL.run(release, gate.deadline + GRACE)
    except TimeoutError as error:
        # The loop itself is blocked; what was begun there goes on when it is free.
        gate.unreleased(error, admission.identity.trace)


def _starting(exchange: Exchange, environ: WSGIEnvironment, start_response: StartResponse) -> StartResponse:
    def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Callable[[bytes], object]:
        code = int(status[:3])
        if exchange.template is None:
            exchange.refuse_unguarded(environ["REQUEST_METHOD"], code)
        exchange.status = code
        ours = [("X-Trace-ID", exchange.identity.trace.trace_id), *exchange.rate_headers]
        names = _LIMITED if exchange.rate_headers else _TRACED
        kept = [pair for pair in headers if pair[0].lower() not in names]
        return start_response(status, kept + ours, exc_info)

    return start


def _begun(body: Iterable[bytes]) -> Iterable[bytes]:
    iterator = iter(body)
    first = next(iterator, b"")
    return _Joined(chain((first,), iterator), body)


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()


class _Joined:
    """A body whose first piece was taken already."""

    __slots__ = ("_body", "_pieces")

    def __init__(self, pieces: Iterator[bytes], body: Iterable[bytes]) -> None:
        self._pieces = pieces
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        _close(self._body)


class _Body:
    """Hands a body on piece by piece, each made in the request's own context; the request ends with it."""

    __slots__ = ("_body", "_context", "_end", "_pieces")

    def __init__(self, context: Context, body: Iterable[bytes], end: Callable[[], None]) -> None:
        self._context = context
        self._body = body
        self._pieces: Iterator[bytes] | None = None
        self._end: Callable[[], None] | None = end

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return self._context.run(self._step)

    def _step(self) -> bytes:
        if self._pieces is None:
            self._pieces = iter(self._body)
        return next(self._pieces)

    def close(self) -> None:
        """Close the body and count the request; servers call it once, however the request ended (PEP 3333)."""
        end, self._end = self._end, None
        if end is not None:
            try:
                self._context.run(_close, self._body)
            finally:
                self._context.run(end)
