"""FastAPI's validation errors in our form: 422 `unprocessable` with the wrong fields, without what the client sent."""

from __future__ import annotations

from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any, get_args

from pydantic_core.core_schema import ErrorType

from tenaudit.adapters.starlette.exchange import answer_of
from tenaudit.adapters.starlette.wire import EXCHANGE, response_of
from tenaudit.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

__all__ = ["is_fastapi", "register_validation", "unprocessable"]

_ERRORS_TOLD = 32
_FIELD_CHARACTERS = 128
_MESSAGE_CHARACTERS = 200
_LEAVES_READ = 256
_ANONYMOUS = "is not valid"
# Pydantic words its own errors without the input, but for these: their text comes from elsewhere, or quotes a tag.
_OWN_WORDS = frozenset(get_args(ErrorType)) - {"value_error", "assertion_error", "union_tag_invalid"}


def is_fastapi(app: object) -> bool:
    """Tell whether *app* is a FastAPI application, without importing FastAPI."""
    return any(kind.__module__.partition(".")[0] == "fastapi" for kind in type(app).__mro__)


def register_validation(app: Starlette) -> None:
    """Answer the validation errors of a FastAPI application with our envelope; others have none."""
    if is_fastapi(app):
        # Never missing where there is an application of it; its own name keeps it out of the `starlette` extra.
        errors = import_module("fastapi.exceptions")
        app.add_exception_handler(errors.RequestValidationError, _answer)
        app.add_exception_handler(errors.WebSocketRequestValidationError, _close)


async def _answer(request: Request, error: Any) -> Response:
    return response_of(answer_of(request.scope[EXCHANGE], unprocessable(error.errors()), request.scope))


async def _close(websocket: WebSocket, _error: Any) -> None:
    # Policy violation (RFC 6455 section 7.4.1); FastAPI would tell the client's own values as the reason.
    await websocket.close(1008)


def unprocessable(errors: Iterable[Any]) -> ApiError:
    """Return pydantic's errors as 422 with `errors`: the path of each field and what is wrong, never its value.

    Args:
        errors: mappings with `loc`, `msg`, `type` and `input`, as pydantic and FastAPI make them.

    Example:
        >>> error = unprocessable([{"loc": ("body", "items", 0, "price"), "msg": "Field required", "type": "missing"}])
        >>> error.errors
        ({'field': 'body.items.0.price', 'message': 'Field required'},)
    """
    return ApiError.unprocessable(errors=[_field_error(error) for error in islice(errors, _ERRORS_TOLD)])


def _field_error(error: Any) -> dict[str, str]:
    field = ".".join(str(part) for part in error.get("loc", ()))
    message = str(error.get("msg", _ANONYMOUS))
    if error.get("type") not in _OWN_WORDS and _quotes(message, error.get("input")):
        message = _ANONYMOUS
    return {"field": field[:_FIELD_CHARACTERS], "message": message[:_MESSAGE_CHARACTERS]}


def _quotes(message: str, value: Any) -> bool:
    """Tell whether *message* holds any value of the input; an input too large to look through counts as held."""
    leaves = list(islice(_leaves(value), _LEAVES_READ + 1))
    return len(leaves) > _LEAVES_READ or any(leaf in message for leaf in leaves if leaf)


def _leaves(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, list | tuple | set | frozenset):
            waiting += part
        elif part is not None:
            yield part.decode("utf-8", "replace") if isinstance(part, bytes) else str(part)
