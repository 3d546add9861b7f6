"""Settings: the room of the pydantic-settings tree, which no code reads yet; commands take options instead."""

__all__: list[str] = []
