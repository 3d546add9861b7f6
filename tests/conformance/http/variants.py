"""The gates that the shop is served behind; apart from the shop, whose tokens need an extra."""

from __future__ import annotations

VARIANTS = ("mesh", "limited", "roles", "none", "signed", "edge")
