"""`tenaudit audit dlq show`: one dead letter, and on demand what is in it."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import click

from tenaudit.cli.audit_dlq_file import any_store_option, dead_letters_at, dead_letters_option, no_letter
from tenaudit.cli.audit_dlq_list import letter_view
from tenaudit.cli.output import json_option, write_json, write_line

if TYPE_CHECKING:
    from tenaudit.audit.consumer import DeadLetter, SourceRecord

__all__ = ["show_letter"]


@click.command(
    "show",
    short_help="Show one dead letter.",
    epilog="Exit codes: 0 shown; 2 bad usage, a store that cannot be used, or no such dead letter.",
)
@click.argument("letter_id", metavar="ID", type=int)
@any_store_option
@dead_letters_option
@click.option("--payload", is_flag=True, help="Show key, headers and value too; they may hold personal data.")
@json_option
def show_letter(
    letter_id: int,
    store_url: str | None,
    dead_letters_url: str | None,
    payload: bool,  # noqa: FBT001 - click's call
    as_json: bool,  # noqa: FBT001 - click's call
) -> int:
    """Show one dead letter; control characters and what is no UTF-8 are written as escapes.

    With --json: the object of tenaudit audit dlq list; with --payload it has key, headers and value too, in Base64.
    """
    letter, record = asyncio.run(_found(letter_id, store_url, dead_letters_url))
    if as_json:
        write_json(letter_view(letter) | (_bytes_view(record) if payload else {}))
        return 0
    for name, told in letter_view(letter).items():
        write_line(f"{name:10} {'-' if told is None else told}")
    if payload:
        _write_bytes("key", record.key)
        for name, told in record.headers:
            _write_bytes(f"header {name}", told)
        _write_bytes("value", record.value)
    return 0


async def _found(
    letter_id: int, store_url: str | None, dead_letters_url: str | None
) -> tuple[DeadLetter, SourceRecord]:
    async with dead_letters_at(store_url, dead_letters_url, must_exist=True) as letters:
        letter, record = await letters.get(letter_id), await letters.record(letter_id)
    if letter is None or record is None:
        raise no_letter(letter_id)
    return letter, record


def _write_bytes(name: str, told: bytes | None) -> None:
    write_line(f"{name:10} {'-' if told is None else told.decode('utf-8', 'backslashreplace')}")


def _bytes_view(record: SourceRecord) -> dict[str, Any]:
    return {
        "key": _encoded(record.key),
        "headers": [[name, _encoded(told)] for name, told in record.headers],
        "value": _encoded(record.value),
    }


def _encoded(told: bytes | None) -> str | None:
    return None if told is None else b64encode(told).decode()
