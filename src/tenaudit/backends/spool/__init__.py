"""A spool on disk, with nothing but the standard library: `DiskSpool`."""

from tenaudit.backends.spool.disk import DiskSpool

__all__ = ["DiskSpool"]
