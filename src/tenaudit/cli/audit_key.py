"""`tenaudit audit key`: a key that signs checkpoints, and the one that checks them."""

from __future__ import annotations

import os
from pathlib import Path

import click

from tenaudit._kernel.error import ConfigurationError
from tenaudit.cli.output import write_line

__all__ = ["key"]


@click.command(
    short_help="Make a key that signs checkpoints.",
    epilog="Exit codes: 0 made; 2 bad usage, or a file that is there already.",
)
@click.argument("name")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="File for the signer key, which is a secret."
)
def key(name: str, out: Path) -> None:
    """Write a new Ed25519 signer key to a file, and print the verifier key that belongs to it.

    NAME tells whose checkpoints they are, by habit a domain and a path: audit.example/prod. Give the verifier key to
    everybody who checks; keep the file from those who run the database.
    """
    from tenaudit.audit.integrity.note import NoteError  # noqa: PLC0415 - needs an extra, so only on use
    from tenaudit.audit.integrity.note_keys import new_signer_key, verifier_key  # noqa: PLC0415 - as above

    try:
        text = new_signer_key(name)
    except NoteError as error:
        raise ConfigurationError(f"{error}; choose another NAME") from None
    try:
        file = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise ConfigurationError(f"{out} is there already; a key is never written over another") from None
    with open(file, "w", encoding="ascii" if name.isascii() else "utf-8") as written:  # noqa: PTH123 - see the mode above
        written.write(f"{text}\n")
    write_line(verifier_key(text))
