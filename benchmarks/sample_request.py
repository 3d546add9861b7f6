"""The one request that every case looks at: twelve headers, and the context they stand for."""

from __future__ import annotations

from tenaudit.security import extract_context

__all__ = ["CAPABILITY", "CONTEXT", "HEADERS", "ROLE"]

ROLE = "Cashier"
CAPABILITY = "payment_process"
HEADERS = [
    ("Host", "payments.internal:8443"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"),
    ("Accept", "application/json, text/plain, */*"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Content-Type", "application/json"),
    ("X-Forwarded-For", "203.0.113.7"),
    ("X-Tenant-ID", "7b0e4c9e-6f0a-4d5c-9f0e-0a1b2c3d4e5f"),
    ("X-User-ID", "user-4711"),
    ("X-Roles", ROLE),
    ("X-Auth-Method", "jwt"),
    ("X-Session-ID", "s-5c1d0f7a"),
    ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
]
CONTEXT = extract_context(HEADERS)
