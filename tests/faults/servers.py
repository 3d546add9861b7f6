"""Servers of a test's own: where the machine has none the test is skipped, or fails where services are required."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager

import pytest

from tenaudit._kernel.extras import MissingExtra
from tenaudit.testing.services import ServiceUnavailable


@contextmanager
def or_skipped(started):
    """Enter what starts a server; what it raises later is no reason to skip."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(started)
        except (MissingExtra, ServiceUnavailable) as error:
            if os.environ.get("TENAUDIT_REQUIRE_SERVICES") == "1":
                raise
            pytest.skip(str(error))
        yield server
