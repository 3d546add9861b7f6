"""Several sinks as one: required and best-effort members, each with its own deadline and circuit breaker."""

from tenaudit.audit.fan_out.breaker import BreakerPolicy
from tenaudit.audit.fan_out.member import FanOutMember
from tenaudit.audit.fan_out.sink import FanOutSink

__all__ = ["BreakerPolicy", "FanOutMember", "FanOutSink"]
