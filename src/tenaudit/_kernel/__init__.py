"""Parts that need nothing but the standard library: clock, ids, extras."""
