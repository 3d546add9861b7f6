"""A decorator that records what became of each call: success, denial or failure."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.call_record import CallRecorder
from tenaudit.audit.call_resource import resource_reader
from tenaudit.audit.event import ACTION_PATTERN, normal_severity

if TYPE_CHECKING:
    from tenaudit.audit.call_record import AuditedCall
    from tenaudit.audit.producer import AuditProducer

__all__ = ["audited"]

_F = TypeVar("_F", bound=Callable[..., Any])
_MAX_ACTION = 128


def audited(
    action: str,
    *,
    resource: str | Callable[[Mapping[str, Any], Any], tuple[str, str | None] | None] | None = None,
    payload: Callable[[Mapping[str, Any], Any], Mapping[str, Any]] | None = None,
    severity: str = "info",
    durability: Literal["buffered", "durable"] = "buffered",
    deadline: float = 5.0,
    producer: AuditProducer | None = None,
) -> Callable[[_F], _F]:
    """Record every call of a function, with its outcome, as an event of *action*.

    `success` when it returns, `denied` when it raises an `ApiError` 401 or 403, `failure` for every other exception.
    The payload of the last two is `{"error": CODE}`: the code of an `ApiError`, else the name of the exception's
    class, never its text. Every exception passes on unchanged. A call that is cancelled is a failure: it may have
    done a part of its work, and a trail that is silent about it would say that nothing happened.

    Args:
        action: what the events are called.
        resource: a template of the arguments and the result, such as `"order:{order_id}"` or `"order:{result.id}"`,
            or a callable of (arguments by name, result, None without one) that gives `(type, id)` or None.
        payload: a callable of the same two that gives the payload of a success.
        severity: of every event.
        durability: with `"durable"`, for async functions, a result is returned only once the sink has the event; a
            caller gets `DeliveryUnknown` or `EmitRejected` when that fails, though the work is done.
        deadline: seconds that a durable event may take.
        producer: where the events go; by default the one that is bound when the function is called.

    Raises:
        ConfigurationError: a setting that no event can have, or a generator, a class or a `staticmethod` instead of
            a function; at a call, before the function runs, when no producer is given or bound.

    Example:
        >>> @audited("order.created", resource="order:{order_id}")
        ... def create(order_id: str) -> None: ...
        >>> create.__name__
        'create'
    """
    severity = _checked(action, severity, durability, deadline)

    def decorate(function: _F) -> _F:
        is_async = _check_function(function, durability)
        signature = inspect.signature(function)
        recorder = CallRecorder(
            action,
            severity,
            signature,
            resource_reader(resource, frozenset(signature.parameters)),
            payload,
            deadline,
            producer,
        )
        wrap = _around_coroutine if is_async else _around_function
        return cast("_F", functools.wraps(function)(wrap(function, recorder, durable=durability == "durable")))

    return decorate


def _around_function(function: Callable[..., Any], recorder: CallRecorder, *, durable: bool) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = recorder.begin(args, kwargs)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            call.failed(error)
            raise
        if inspect.isawaitable(result):
            # Another decorator may hide that it is async; nothing is done before this is awaited.
            return _recorded(call, lambda: result, durable=durable)
        call.succeeded(result)
        return result

    return wrapper


def _around_coroutine(function: Callable[..., Any], recorder: CallRecorder, *, durable: bool) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = recorder.begin(args, kwargs)
        return await _recorded(call, functools.partial(function, *args, **kwargs), durable=durable)

    return wrapper


async def _recorded(call: AuditedCall, start: Callable[[], Awaitable[Any]], *, durable: bool) -> Any:
    try:
        result = await start()
    except Exception as error:
        if durable:
            await call.failed_durably(error)
        else:
            call.failed(error)
        raise
    except BaseException as error:
        # Cancelled, or closed before its end: nothing may be awaited now.
        call.failed(error)
        raise
    if durable:
        await call.succeeded_durably(result)
    else:
        call.succeeded(result)
    return result


def _checked(action: str, severity: str, durability: str, deadline: float) -> str:
    """Return the severity by its usual name, when everything can stand in an event."""
    if ACTION_PATTERN.match(action) is None or len(action) > _MAX_ACTION:
        raise ConfigurationError(f"an action is a lower-case dotted name such as payment.voided, not {action!r}")
    if durability not in ("buffered", "durable"):
        raise ConfigurationError(
            f'durability must be "buffered" or "durable", not {durability!r}: atomic events go through an outbox, in '
            "the transaction of the function itself"
        )
    if not deadline > 0:  # which NaN is not
        raise ConfigurationError("deadline must be above 0 seconds")
    try:
        return normal_severity(severity)
    except ValueError as error:
        raise ConfigurationError(str(error)) from error


def _check_function(function: Any, durability: str) -> bool:
    """Return whether it is a coroutine function."""
    name = getattr(function, "__qualname__", None) or repr(function)
    if isinstance(function, (staticmethod, classmethod, type)) or not callable(function):
        raise ConfigurationError(f"{name} is no function: put @audited nearest to the function itself")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(f"{name} is a generator, whose call is over before its work begins: audit who uses it")
    is_async = inspect.iscoroutinefunction(function)
    if durability == "durable" and not is_async:
        raise ConfigurationError(f"{name} is not async, so it cannot wait for a durable event")
    return is_async
