"""The kit's own plugin for our tests, and the depth of hypothesis."""

from __future__ import annotations

import os
from importlib.metadata import entry_points

from hypothesis import settings

_PLUGIN = "tenaudit.testing.plugin"
# Pytest refuses one plugin under two names: an installed entry point has loaded it already.
_installed = any(point.value == _PLUGIN for point in entry_points(group="pytest11"))
pytest_plugins = [] if _installed else [_PLUGIN]

# No deadlines: on two shared cores a slow example says nothing about the code.
settings.register_profile("quick", max_examples=20, deadline=None, print_blob=True)
settings.register_profile("ci", max_examples=100, deadline=None, derandomize=False, print_blob=True)
settings.register_profile("deep", max_examples=2000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("TENAUDIT_HYPOTHESIS_PROFILE", "quick"))
