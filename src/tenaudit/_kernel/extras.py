"""The one wording of a missing optional dependency."""

from __future__ import annotations

from tenaudit._kernel.error import TenauditError

__all__ = ["MissingExtra"]


class MissingExtra(TenauditError, ImportError):  # noqa: N818 - reads as a fact where it is raised
    """An optional dependency is not installed.

    Args:
        extra: name of the extra in `pip install "tenaudit[extra]"`.
        package: the distribution that could not be imported, when it differs from the extra.

    Example:
        >>> str(MissingExtra("kafka", "aiokafka"))
        'aiokafka is not installed: pip install "tenaudit[kafka]"'
    """

    def __init__(self, extra: str, package: str | None = None) -> None:
        self.extra = extra
        self.package = package or extra
        super().__init__(f'{self.package} is not installed: pip install "tenaudit[{extra}]"')
