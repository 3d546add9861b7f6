"""Which resource a call was about: a template of its arguments, or a callable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from string import Formatter
from typing import Any

from tenaudit._kernel.error import ConfigurationError

__all__ = ["CallReader", "Resource", "fitting", "resource_reader"]

Resource = tuple[str | None, str | None]
CallReader = Callable[[Mapping[str, Any], Any], Any]

_MAX_TYPE_BYTES = 128
# The two together have 1 KiB in an event.
_MAX_ID_BYTES = 1024 - _MAX_TYPE_BYTES


def resource_reader(template: str | CallReader | None, names: frozenset[str]) -> Callable[..., Resource]:
    """Return a function of (arguments, result) that gives type and id, whatever was asked for.

    Args:
        template: `"order:{order_id}"`, a callable, or None for no resource.
        names: the parameters that a template may name, beside `result`.

    Raises:
        ConfigurationError: a template without a type, or with a name that is no parameter.

    Example:
        >>> resource_reader("order:{order_id}", frozenset({"order_id"}))({"order_id": 7}, None)
        ('order', '7')
    """
    if template is None:
        return lambda _arguments, _result: (None, None)
    if not isinstance(template, str):
        asked = template
        return lambda arguments, result: _fitted(asked(arguments, result))
    kind, colon, identity = template.partition(":")
    if not kind or not colon or not identity or "{" in kind:
        raise ConfigurationError(f'a resource is a template such as "order:{{order_id}}", not {template!r}')
    for root in _roots(identity):
        if root not in names and root != "result":
            raise ConfigurationError(f"the resource {template!r} names {root!r}, which is no parameter")

    def read(arguments: Mapping[str, Any], result: Any) -> Resource:
        try:
            return _fitted((kind, identity.format_map({"result": result, **arguments})))
        except Exception:  # noqa: BLE001 - a call that failed has no result to look into
            return _fitted((kind, None))

    return read


def _roots(template: str) -> list[str]:
    try:
        fields = [name for _, name, _, _ in Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise ConfigurationError(f"the resource {template!r} is no template: {error}") from error
    return [name.partition(".")[0].partition("[")[0] for name in fields]


def _fitted(resource: Any) -> Resource:
    if resource is None:
        return None, None
    kind, identity = resource
    return fitting(kind, _MAX_TYPE_BYTES), fitting(identity, _MAX_ID_BYTES)


def fitting(value: object, max_bytes: int) -> str | None:
    """Return *value* as text that an event can carry: who chooses an odd id must not get out of the trail by it."""
    if value is None:
        return None
    text = str(value)[:max_bytes].replace("\x00", "?")
    return text.encode("utf-8", "replace")[:max_bytes].decode("utf-8", "ignore")
