"""Routes that come late, lie deep or are swapped: none serves without its guard."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router

from tenaudit import ConfigurationError, Gate
from tenaudit.adapters.starlette import install, require
from tests.unit.adapters.shop import IDENTITY, ask, assert_refused, crash, erase, hello, make, refuse, teapot


async def bare(_request: Request) -> PlainTextResponse:
    raise AssertionError("must not be reached")


def test_a_route_that_declares_nothing_is_refused_before_anything_is_served() -> None:
    with pytest.raises(ConfigurationError, match="route /bare declares nothing"):
        install(Starlette(routes=[Route("/bare", bare)]), Gate("shop", registry=CollectorRegistry()))
    inner = Starlette(routes=[Mount("/deep", routes=[Route("/bare", bare)])])
    with pytest.raises(ConfigurationError, match="route /sub/deep/bare declares nothing"):
        install(Starlette(routes=[Mount("/sub", inner)]), Gate("shop", registry=CollectorRegistry()))


@pytest.mark.parametrize("way", ["append", "insert", "extend", "setitem", "iadd", "slice", "add_route"])
@pytest.mark.parametrize("place", ["app", "mount"])
def test_a_route_that_comes_late_is_guarded_before_it_can_serve(way: str, place: str) -> None:
    app, _ = make()
    assert ask(app, "GET", "/hello").status_code == 200
    mount = next(route for route in app.routes if isinstance(route, Mount))
    router = app.router if place == "app" else mount.app
    path = "/late" if place == "app" else "/sub/late"

    def add(route: Route) -> None:
        routes = router.routes
        ways = {
            "append": lambda: routes.append(route),
            "insert": lambda: routes.insert(0, route),
            "extend": lambda: routes.extend([route]),
            "setitem": lambda: routes.__setitem__(0, route),
            "iadd": lambda: routes.__iadd__([route]),
            "slice": lambda: routes.__setitem__(slice(0, 0), [route]),
            "add_route": lambda: router.add_route(route.path, route.endpoint),
        }
        ways[way]()

    with pytest.raises(ConfigurationError, match="declares nothing"):
        add(Route("/late", bare))

    @require("gdpr_manage")
    async def late(_request: Request) -> PlainTextResponse:
        raise AssertionError("must not be reached")

    add(Route("/late", late))
    assert_refused(ask(app, "GET", path), 400, "missing_tenant_id")
    assert_refused(ask(app, "GET", path, IDENTITY), 403, "missing_role")


@pytest.mark.parametrize("what", ["router.routes", "router", "router.default"])
def test_nothing_is_served_once_routes_are_swapped_behind_the_gate(what: str) -> None:
    app, _ = make()
    assert ask(app, "GET", "/hello").status_code == 200
    if what == "router.routes":
        app.router.routes = [Route("/hello", hello)]
    elif what == "router":
        app.router = Router([Route("/hello", hello)])
    else:
        app.router.default = hello
    assert ask(app, "GET", "/hello", IDENTITY).status_code == 500


def test_a_mounted_application_answers_like_the_rest() -> None:
    inner = Starlette(
        routes=[Route("/erase", erase), Route("/refuse", refuse), Route("/crash", crash), Route("/teapot", teapot)]
    )
    app = Starlette(routes=[Mount("/sub", inner)])
    install(app, Gate("shop", registry=CollectorRegistry()))
    assert_refused(ask(app, "GET", "/sub/erase", IDENTITY), 403, "missing_role")
    assert_refused(ask(app, "GET", "/sub/refuse", IDENTITY), 409, "order_closed")
    assert_refused(ask(app, "GET", "/sub/crash", IDENTITY), 500, "internal_error")
    assert_refused(ask(app, "GET", "/sub/teapot", IDENTITY), 409, "conflict")
    assert_refused(ask(app, "GET", "/sub/nowhere", IDENTITY), 404, "not_found")
    assert_refused(ask(app, "POST", "/sub/erase", IDENTITY), 405, "method_not_allowed")
    assert_refused(ask(app, "GET", "/sub/erase"), 400, "missing_tenant_id")


def test_a_host_route_is_guarded_too() -> None:
    app = Starlette(routes=[Host("shop", Router([Route("/erase", erase)]))])
    install(app, Gate("shop", registry=CollectorRegistry()))
    assert_refused(ask(app, "GET", "/erase", IDENTITY), 403, "missing_role")
