"""Redaction rules from a TOML file, and from the environment.

| key of `[redaction]` | value |
| --- | --- |
| `mask`, `remove`, `hash` | lists of paths |
| `detect` | list of detectors |
| `mode` | `off`, `log` or `enforce` |
| `hash_key_env`, `hash_key_file` | where the secret of `hash` is: a variable, or a file, from the folder of this one |
| `tenants.<uuid>` | tables with `mask`, `remove` and `hash`, on top of those of all |

Rules of this file: a secret never stands in such a file, and no error repeats what may be one. A key or a value that is
not known is refused: a rule that is misspelled would hide nothing.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, get_args
from uuid import UUID

from tenaudit._kernel.error import ConfigurationError
from tenaudit._kernel.snapshot import read_snapshot, snapshot_bytes
from tenaudit._kernel.toml_place import line_of
from tenaudit.audit.redaction import RedactionAction, RedactionRule
from tenaudit.audit.redaction_detectors import DETECTORS
from tenaudit.audit.redaction_paths import MAX_PATHS
from tenaudit.audit.redaction_rules import RedactionMode, RedactionRules, checked_redactor

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FIELDS_VARIABLE", "MIN_HASH_KEY_BYTES", "MODE_VARIABLE", "environment_rules", "file_rules"]

FIELDS_VARIABLE = "AUDIT_REDACT_FIELDS"
"""Paths to mask, apart by commas; a key with a comma in it stands in quotes, as `payload["a,b"]`."""

MODE_VARIABLE = "AUDIT_REDACT_MODE"
"""`off`, `log` or `enforce`."""

MIN_HASH_KEY_BYTES = 16
"""Shortest secret: with one that can be guessed, so can what was hashed."""

_MAX_BYTES = 1024 * 1024
_MAX_KEY_BYTES = 64 * 1024
_ACTIONS: tuple[RedactionAction, ...] = get_args(RedactionAction)
_MODES: tuple[RedactionMode, ...] = get_args(RedactionMode)
_KEYS = (*_ACTIONS, "detect", "mode", "hash_key_env", "hash_key_file", "tenants")
# A sure value of any key that is asked of rules while the real one is not known.
_SOME_KEY = b"\x00"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Whatever stands between two commas that are not in quotes.
_LISTED = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,])+', re.DOTALL)


def file_rules(path: str | os.PathLike[str], environ: Mapping[str, str] | None = None) -> RedactionRules:
    """Return the rules of a file.

    Args:
        path: at most 1 MiB of TOML with the table `[redaction]`.
        environ: where `hash_key_env` is looked up; None is the environment of the process.

    Raises:
        ConfigurationError: it cannot be read or breaks a rule; the message names the file, the line and the key.
    """
    source = os.fspath(path)
    _, text = read_snapshot(source, _MAX_BYTES)
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{source}: {error}") from error
    return _Reading(source, text, os.environ if environ is None else environ).rules(data)


def environment_rules(environ: Mapping[str, str] | None = None) -> RedactionRules:
    """Return the rules of `AUDIT_REDACT_FIELDS` and `AUDIT_REDACT_MODE`, none where neither is set.

    >>> environment_rules({"AUDIT_REDACT_FIELDS": "payload.card, actor_id", "AUDIT_REDACT_MODE": "log"}).mode
    'log'

    Args:
        environ: None is the environment of the process.

    Raises:
        ConfigurationError: a path or the mode is wrong; the message names the variable.
    """
    environ = os.environ if environ is None else environ
    listed = (part.strip() for part in _LISTED.findall(environ.get(FIELDS_VARIABLE, "")))
    rules = tuple(RedactionRule(path) for path in listed if path)
    checked_redactor(FIELDS_VARIABLE, rules, None)
    mode = environ.get(MODE_VARIABLE, "").strip().lower()
    for known in _MODES:
        if mode == known:
            return RedactionRules(rules, mode=known)
    if mode:
        raise ConfigurationError(f"{MODE_VARIABLE} must be one of {', '.join(_MODES)}, not {mode[:32]!a}")
    return RedactionRules(rules)


class _Reading:
    """One file while it is read."""

    def __init__(self, source: str, text: str, environ: Mapping[str, str]) -> None:
        self._source = source
        self._text = text
        self._environ = environ

    def rules(self, data: Mapping[str, Any]) -> RedactionRules:
        for name in data:
            if name != "redaction":
                self._refuse((name,), f"unknown key {name!r}: the rules stand in the table [redaction]")
        table = data.get("redaction")
        if not isinstance(table, dict):
            self._refuse(("redaction",), "there is no table [redaction]")
        for name in table:
            if name not in _KEYS:
                self._refuse(("redaction", name), self._why_unknown(name))
        key = self._key(table)
        rules = self._rules(("redaction",), table, key)
        tenants = self._tenants(table.get("tenants", {}), key)
        if len(rules) + max(map(len, tenants.values()), default=0) > MAX_PATHS:
            self._refuse(("redaction",), f"more than {MAX_PATHS} paths for one tenant")
        read = RedactionRules(rules, MappingProxyType(tenants), self._detect(table), self._mode(table), key)
        if not read.redacts and read.mode != "off":
            self._refuse(("redaction",), f"nothing is redacted: list paths in {', '.join(_ACTIONS)} or detect")
        return read

    def _why_unknown(self, name: str) -> str:
        if "key" in name or "secret" in name:
            return f"redaction.{name}: a secret does not stand in this file; name hash_key_env or hash_key_file"
        return f"unknown key 'redaction.{name}'; known are {', '.join(_KEYS)}"

    def _rules(self, place: tuple[str, ...], table: Mapping[str, Any], key: bytes | None) -> tuple[RedactionRule, ...]:
        rules: list[RedactionRule] = []
        for action in _ACTIONS:
            inside = (*place, action)
            paths = self._texts(inside, table.get(action, []), "paths")
            if action == "hash" and paths and key is None:
                self._refuse(inside, f"{'.'.join(inside)} needs a key; name hash_key_env or hash_key_file")
            for path in paths:
                rule = RedactionRule(path, action)
                try:
                    checked_redactor(".".join(inside), [rule], key or _SOME_KEY)
                except ConfigurationError as error:
                    self._refuse((*inside, path), str(error), as_key=False)
                rules.append(rule)
        return tuple(rules)

    def _tenants(self, tables: object, key: bytes | None) -> dict[UUID, tuple[RedactionRule, ...]]:
        if not isinstance(tables, dict):
            self._refuse(("redaction", "tenants"), "redaction.tenants must hold a table for each tenant")
        tenants: dict[UUID, tuple[RedactionRule, ...]] = {}
        for name, table in tables.items():
            place = ("redaction", "tenants", name)
            try:
                tenant = UUID(name)
            except ValueError:
                self._refuse(place, f"redaction.tenants: {name[:64]!a} is no UUID")
            if tenant in tenants:
                self._refuse(place, f"redaction.tenants: {tenant} has two tables")
            if not isinstance(table, dict):
                self._refuse(place, f"redaction.tenants.{name} must be a table")
            for inner in table:
                if inner not in _ACTIONS:
                    why = f"unknown key {inner!r} of a tenant; known are {', '.join(_ACTIONS)}"
                    self._refuse((*place, inner), why)
            tenants[tenant] = self._rules(place, table, key)
        return tenants

    def _detect(self, table: Mapping[str, Any]) -> tuple[Any, ...]:
        place = ("redaction", "detect")
        names = self._texts(place, table.get("detect", []), "detectors")
        for name in names:
            if name not in DETECTORS:
                why = f"redaction.detect: {name!r} is not one of {', '.join(DETECTORS)}"
                self._refuse((*place, name), why, as_key=False)
        return tuple(dict.fromkeys(names))

    def _mode(self, table: Mapping[str, Any]) -> Any:
        mode = table.get("mode")
        if mode not in (None, *_MODES):
            self._refuse(("redaction", "mode"), f"redaction.mode must be one of {', '.join(_MODES)}")
        return mode

    def _key(self, table: Mapping[str, Any]) -> bytes | None:
        named = [name for name in ("hash_key_env", "hash_key_file") if name in table]
        if not named:
            return None
        place = ("redaction", named[0])
        value = table[named[0]]
        if len(named) > 1:
            self._refuse(("redaction", named[1]), "redaction: name hash_key_env or hash_key_file, not both")
        if not isinstance(value, str) or not value:
            self._refuse(place, f"redaction.{named[0]} must be a name in quotes")
        key = self._variable(place, value) if named == ["hash_key_env"] else self._file(place, value)
        if len(key) < MIN_HASH_KEY_BYTES:
            self._refuse(place, f"redaction.{named[0]}: the key has less than {MIN_HASH_KEY_BYTES} bytes")
        return key

    def _variable(self, place: tuple[str, ...], name: str) -> bytes:
        # The value may be the secret itself, put in the wrong place.
        if _VARIABLE.fullmatch(name) is None:
            self._refuse(place, "redaction.hash_key_env is no name of an environment variable")
        value = self._environ.get(name)
        if not value:
            self._refuse(place, "redaction.hash_key_env: the environment variable that it names is not set")
        return os.fsencode(value)

    def _file(self, place: tuple[str, ...], name: str) -> bytes:
        try:
            _, content = snapshot_bytes(os.fspath(Path(self._source).parent / name), _MAX_KEY_BYTES)
        except ConfigurationError as error:
            why = error.__cause__.strerror if isinstance(error.__cause__, OSError) else None
            self._refuse(place, f"redaction.hash_key_file cannot be read: {why or 'no regular file of up to 64 KiB'}")
        return content.rstrip(b"\r\n")

    def _texts(self, place: tuple[str, ...], value: object, what: str) -> list[str]:
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            self._refuse(place, f"{'.'.join(place)} must be a list of {what} in quotes")
        return value

    def _refuse(self, place: tuple[str, ...], why: str, *, as_key: bool = True) -> NoReturn:
        line = line_of(self._text, place, as_key=as_key)
        raise ConfigurationError(f"{self._source}{'' if line is None else f':{line}'}: {why}")
