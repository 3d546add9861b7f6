"""Keys of checkpoints on the command line: a verifier key as text or in a file, a signer key only in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tenaudit._kernel.error import ConfigurationError
from tenaudit.audit.integrity.note import NoteError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenaudit.audit.integrity.note import NoteSigner, NoteVerifier

__all__ = ["read_signer", "read_verifiers"]

_LONGEST = 4096
_SIGNER_KEY = "PRIVATE+KEY+"


def read_signer(path: Path) -> tuple[NoteSigner, NoteVerifier]:
    """Return the signer of a key file, and its verifier.

    Raises:
        ConfigurationError: the file holds no signer key.
        OSError: it cannot be read.
    """
    from tenaudit.audit.integrity.note_keys import (  # noqa: PLC0415 - needs an extra, so only on use
        signer_from,
        verifier_from,
        verifier_key,
    )

    _check_name(str(path), "--key")
    text = _first_line(path)
    try:
        return signer_from(text), verifier_from(verifier_key(text))
    except NoteError as error:
        raise ConfigurationError(f"{path}: {error}") from None


def read_verifiers(keys: Iterable[str]) -> list[NoteVerifier]:
    """Return the verifiers of keys, each the text of one or the name of a file that holds it.

    Raises:
        ConfigurationError: one is neither.
        OSError: a file cannot be read.
    """
    from tenaudit.audit.integrity.note_keys import verifier_from  # noqa: PLC0415 - needs an extra, so only on use

    found = []
    for key in keys:
        _check_name(key, "--key")
        try:
            found.append(verifier_from(_first_line(Path(key)) if _is_file(key) else key))
        except NoteError as error:
            raise ConfigurationError(f"--key: {error}; give a verifier key, or a file that holds one") from None
    return found


def _check_name(name: str, option: str) -> None:
    if _SIGNER_KEY in name:
        # Not repeated: it is a secret, and by now others may have seen it in the list of processes.
        raise ConfigurationError(f"{option}: this is a signer key itself; make another one, and name its file")


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:
        return False


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline(_LONGEST)
