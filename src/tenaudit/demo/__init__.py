"""The compact platform that `tenaudit demo` runs: a gateway, two services and the audit service, over real sockets.

The one place that looks for the extra's libraries: every module below may import them plainly.
"""

from tenaudit._kernel.extras import MissingExtra

try:
    import httpx as _httpx  # noqa: F401 - looked for, used below this package
    import jwt as _jwt  # noqa: F401
    import rich as _rich  # noqa: F401
    import starlette as _starlette  # noqa: F401
    import uvicorn as _uvicorn  # noqa: F401
except ImportError as error:
    raise MissingExtra("demo", error.name) from error

__all__: list[str] = []
