"""A TCP proxy that breaks a connection on demand, between a client and a real server.

Put it in front of PostgreSQL, Redis, Kafka or an HTTP service, point the client at `proxy.address`, and switch
faults while the test runs. `TcpFaultProxy` lives in the test's event loop, `run_in_thread` serves a test that
has none. Faults of different kinds combine; a second fault of a kind replaces the first; `heal()` ends all.

=======================  ===================================================================================
fault                    what a peer sees
=======================  ===================================================================================
`delay`                  every read is held for a while before it is passed on
`half_open`              silence: sockets stay open, nothing is read (so TCP pushes back), nothing is answered
`slice`                  the stream in tiny pieces
`bandwidth`              the stream at so many bytes a second
`corrupt`                single bits flipped, at places the seed decides
`cut`                    a real RST (or a FIN), now or after so many bytes
`refuse`                 connection refused; the port stays reserved
`accept_nowhere`         a connection that opens and leads to nothing
=======================  ===================================================================================
"""

from __future__ import annotations

from tenaudit.testing.proxy.fault import (
    Bandwidth,
    Corrupt,
    CutAfter,
    Delay,
    Direction,
    Ending,
    Fault,
    HalfOpen,
    Slice,
)
from tenaudit.testing.proxy.ledger import ProxyStats
from tenaudit.testing.proxy.tcp import TcpFaultProxy
from tenaudit.testing.proxy.thread import ThreadedTcpFaultProxy, run_in_thread

__all__ = [
    "Bandwidth",
    "Corrupt",
    "CutAfter",
    "Delay",
    "Direction",
    "Ending",
    "Fault",
    "HalfOpen",
    "ProxyStats",
    "Slice",
    "TcpFaultProxy",
    "ThreadedTcpFaultProxy",
    "run_in_thread",
]
