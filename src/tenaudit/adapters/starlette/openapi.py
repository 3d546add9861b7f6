"""What a FastAPI application's OpenAPI document says of its gate: identity, capabilities and every error."""

from __future__ import annotations

from copy import deepcopy
from importlib import import_module
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response

from tenaudit._kernel.error import ConfigurationError
from tenaudit.adapters.starlette.included import each_route
from tenaudit.adapters.starlette.validation import is_fastapi
from tenaudit.errors.openapi import CODES
from tenaudit.gate import Declarations, gate_codes, identity_schemes, public

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from starlette.requests import Request

    from tenaudit.gate import Declaration, Gate, RouteRule

__all__ = ["document", "own_routes"]

_FASTAPIS_OWN = ("HTTPValidationError", "ValidationError")
_URLS = ("openapi_url", "docs_url", "redoc_url", "swagger_ui_oauth2_redirect_url")
_TRACE = {
    "traceparent": {
        "name": "traceparent",
        "in": "header",
        "required": False,
        "description": "W3C Trace Context; a trace begins here without it.",
        "schema": {"type": "string", "maxLength": 512},
    }
}


def document(
    app: Any,
    gate: Gate,
    *,
    rules: Mapping[str, Declaration] | None = None,
    openapi_url: str | None = None,
    docs_url: str | None = None,
    security: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Make `app.openapi()` tell what the gate does.

    Guarded operations get the identity headers as security schemes, `x-tenaudit-capability`, and the errors that the
    gate may answer with; 422 gets our shape in the place of FastAPI's. Codes that a route lists with
    `responses=catalogue.openapi_responses(...)` stay beside them.

    Args:
        app: a FastAPI application.
        gate: the one that is installed.
        rules: the same as for `install`.
        openapi_url: serve the document here, to anyone; give FastAPI `openapi_url=None` then.
        docs_url: serve Swagger UI here, to anyone; it needs *openapi_url*.
        security: OpenAPI security schemes by name, all of them needed at once, in the place of those that the gate's
            settings give.

    Raises:
        ConfigurationError: *app* is no FastAPI application, or *docs_url* has no *openapi_url*.
    """
    if not is_fastapi(app):
        raise ConfigurationError(f"document() needs a FastAPI application, not a {type(app).__name__}")
    if docs_url is not None and openapi_url is None:
        raise ConfigurationError("docs_url needs openapi_url")
    describe = _Describer(app, gate, rules or {}, identity_schemes(gate) if security is None else security)
    make = app.openapi
    told: list[Any] = [None, None]

    def openapi() -> dict[str, Any]:
        source = make()
        # FastAPI gives the same object until its routes change.
        if told[0] is not source:
            told[:] = [source, describe(deepcopy(source))]
        described: dict[str, Any] = told[1]
        return described

    app.openapi = openapi
    _serve(app, openapi_url, docs_url)


def own_routes(app: Any, declaration: Declaration | None = None) -> dict[str, Declaration]:
    """Return *declaration* (`public()` unless given) for each route that FastAPI adds by itself, for `install(rules=)`.

    Example:
        >>> from fastapi import FastAPI
        >>> sorted(own_routes(FastAPI()))
        ['/docs', '/docs/oauth2-redirect', '/openapi.json', '/redoc']
    """
    urls = (getattr(app, name, None) for name in _URLS)
    return {url: declaration or public() for url in urls if url}


def _serve(app: Any, openapi_url: str | None, docs_url: str | None) -> None:
    @public()
    async def schema(_request: Request) -> Response:
        return JSONResponse(app.openapi())

    @public()
    async def swagger(request: Request) -> Response:
        root = request.scope.get("root_path", "").rstrip("/")
        page: Response = import_module("fastapi.openapi.docs").get_swagger_ui_html(
            openapi_url=f"{root}{openapi_url}", title=f"{app.title} - Swagger UI"
        )
        return page

    if openapi_url is not None:
        app.add_route(openapi_url, schema, include_in_schema=False)
    if docs_url is not None:
        app.add_route(docs_url, swagger, include_in_schema=False)


class _Describer:
    """Adds to a document what a gate does."""

    def __init__(
        self, app: Any, gate: Gate, rules: Mapping[str, Declaration], schemes: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._app = app
        self._gate = gate
        # Whether such a route is served at all was decided by install.
        self._declarations = Declarations(gate, "identify", rules)
        self._schemes = schemes

    def __call__(self, schema: dict[str, Any]) -> dict[str, Any]:
        components = schema.setdefault("components", {})
        for path, method, rule in self._rules():
            operation = schema["paths"].get(path, {}).get(method)
            if operation is not None:
                self._tell(operation, rule, has_parameters="{" in path)
        for kind, parts in self._gate.errors.openapi_components().items():
            components.setdefault(kind, {}).update(parts)
        components.setdefault("securitySchemes", {}).update(deepcopy(dict(self._schemes)))
        components.setdefault("parameters", {}).update(deepcopy(_TRACE))
        _forget(schema, _FASTAPIS_OWN)
        return schema

    def _rules(self) -> Iterator[tuple[str, str, RouteRule]]:
        for route in each_route(self._app.routes):
            path = getattr(route, "path_format", None)
            methods = getattr(route, "methods", None)
            if path is not None and methods and route.include_in_schema:
                for method, rule in self._declarations.of(route.path, route.endpoint, methods).items():
                    yield path, method.lower(), rule

    def _tell(self, operation: dict[str, Any], rule: RouteRule, *, has_parameters: bool) -> None:
        operation.setdefault("parameters", []).append({"$ref": "#/components/parameters/traceparent"})
        if rule.is_public:
            operation["security"] = []
        else:
            operation["security"] = [{name: [] for name in self._schemes}]
        if rule.capability is not None:
            operation["x-tenaudit-capability"] = rule.capability
        responses = operation.setdefault("responses", {})
        codes = [*gate_codes(self._gate, rule, has_parameters=has_parameters), *_validation(responses)]
        # What a route says of a status in its own words stays.
        worded = {status for status, response in responses.items() if CODES not in response} - {"422"}
        for response in responses.values():
            codes += response.get(CODES, ())
        ours = self._gate.errors.openapi_responses(*codes)
        responses.update({status: response for status, response in ours.items() if status not in worded})


def _validation(responses: Mapping[str, Any]) -> tuple[str, ...]:
    schema = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    return ("unprocessable",) if schema.get("$ref") == f"#/components/schemas/{_FASTAPIS_OWN[0]}" else ()


def _forget(schema: dict[str, Any], names: tuple[str, ...]) -> None:
    """Take schemas out that nothing refers to any more, each before the next."""
    for name in names:
        left = {key: value for key, value in schema.items() if key != "components"}
        others = {key: value for key, value in schema["components"]["schemas"].items() if key != name}
        if f"'#/components/schemas/{name}'" not in repr((left, others)):
            schema["components"]["schemas"] = others
