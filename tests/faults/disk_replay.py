"""What a disk may hold after the power went: the journal of a recorded process, replayed up to any of its calls.

The model, after ALICE (Pillai and others, OSDI 2014): what was synced is there. Of the writes of a file since its last
sync any subset may be, whole or torn at sectors of 512 bytes; of the names made, moved and removed in a folder since
that folder's last sync, any subset. Where a sync failed, what it should have written is there or not, for ever: no
later sync brings it, as on Linux, which marks the pages clean.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

OPENED, CLOSED, WRITTEN, CUT, SYNCED, NOT_SYNCED, REMOVED, RENAMED, MADE = range(1, 10)
SAID = "SAID"
_HEAD = struct.Struct("<IIIIIQ")
_SECTOR = 512


class Call(NamedTuple):
    """One call of the recorded process."""

    kind: int
    file: int
    flags: int
    offset: int
    path: str
    data: bytes


def calls(journal: Path) -> list[Call]:
    """Return every call in a journal that the shim wrote."""
    found = []
    data = journal.read_bytes()
    at = 0
    while at < len(data):
        kind, file, flags, path_size, data_size, offset = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        path = data[at : at + path_size].decode()
        at += path_size
        found.append(Call(kind, file, flags, offset, path, data[at : at + data_size]))
        at += data_size
    assert at == len(data), "the journal is cut"
    return found


class Write(NamedTuple):
    """A write at an offset; a cut to a size when it has no data."""

    offset: int
    data: bytes | None


@dataclass(eq=False)
class File:
    """The bytes that are on disk, and what came since."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Write] = field(default_factory=list)

    def sync(self) -> None:
        for one in self.pending:
            _put(self.durable, one)
        self.pending.clear()

    def lose(self, chance: random.Random) -> None:
        """A sync failed: what it should have written is decided now."""
        self.durable = self.after_crash(chance)
        self.pending.clear()

    def after_crash(self, chance: random.Random) -> bytearray:
        """Return what may be left of it."""
        content = bytearray(self.durable)
        way = chance.choice(["none", "all", "some", "torn"]) if self.pending else "none"
        for one in () if way == "none" else self.pending:
            if way == "torn" and one.data is not None:
                for place in range(0, len(one.data), _SECTOR):
                    # A sector of the disk, not of the write.
                    if chance.random() < 0.5:
                        begin = one.offset + place
                        stop = min(begin - begin % _SECTOR + _SECTOR, one.offset + len(one.data))
                        _put(content, Write(begin, one.data[place : place + stop - begin]))
            elif way == "all" or chance.random() < 0.5:
                _put(content, one)
        return content


def _put(content: bytearray, write: Write) -> None:
    if write.data is None:
        size = write.offset
        content[size:] = bytes(max(0, size - len(content)))
    else:
        if len(content) < write.offset:
            content.extend(bytes(write.offset - len(content)))
        content[write.offset : write.offset + len(write.data)] = write.data


class Name(NamedTuple):
    """A change of a folder: *path* names *file* from now on, or nothing; or it is a folder that was made."""

    path: str
    file: File | None
    is_folder: bool = False


class Disk:
    """The files below one folder, as of some call.

    Args:
        folder: where they really are; what it holds when this is made is on disk.
        empty: whether it held nothing when the journal began.
    """

    def __init__(self, folder: Path, *, empty: bool = False) -> None:
        self.folder = str(folder)
        self.names: dict[str, File] = {}
        self.folders = {self.folder}
        self.said = b""
        for path in () if empty else folder.rglob("*"):
            if path.is_dir():
                self.folders.add(str(path))
            else:
                self.names[str(path)] = File(bytearray(path.read_bytes()))
        self._durable_names = dict(self.names)
        self._durable_folders = set(self.folders)
        self._pending: list[Name] = []
        self._open: dict[int, File | str] = {}

    def follow(self, call: Call, chance: random.Random) -> None:
        """Do one call."""
        thing = self._open.get(call.file)
        if call.kind == OPENED:
            self._opened(call)
        elif call.kind == CLOSED:
            del self._open[call.file]
        elif call.kind == MADE:
            self.folders.add(call.path)
            self._pending.append(Name(call.path, None, is_folder=True))
        elif call.kind == REMOVED:
            del self.names[call.path]
            self._pending.append(Name(call.path, None))
        elif call.kind == RENAMED:
            self.names[call.data.decode()] = file = self.names.pop(call.path)
            # One change: never both names, never none.
            self._pending.append(Name(f"{call.path}\0{call.data.decode()}", file))
        elif isinstance(thing, str):
            if call.kind == SYNCED and thing != SAID:
                self._sync_names(thing)
            elif call.kind == WRITTEN:
                self.said += call.data
        else:
            assert thing is not None, call
            self._changed(thing, call, chance)

    def _opened(self, call: Call) -> None:
        if call.path.endswith(f"/{SAID}"):
            self._open[call.file] = SAID
        elif call.path in self.folders:
            self._open[call.file] = call.path
        else:
            file = self.names.get(call.path)
            if file is None:
                file = self.names[call.path] = File()
                self._pending.append(Name(call.path, file))
            self._open[call.file] = file
            if call.flags & os.O_TRUNC:
                file.pending.append(Write(0, None))

    def _changed(self, file: File, call: Call, chance: random.Random) -> None:
        if call.kind == SYNCED:
            file.sync()
        elif call.kind == NOT_SYNCED:
            file.lose(chance)
        else:
            file.pending.append(Write(call.offset, call.data if call.kind == WRITTEN else None))

    def _sync_names(self, folder: str) -> None:
        mine = [one for one in self._pending if one.path.split("\0")[0].rpartition("/")[0] == folder]
        _rename(self._durable_names, self._durable_folders, mine)
        self._pending = [one for one in self._pending if one not in mine]

    def crash(self, chance: random.Random, target: Path) -> None:
        """Lay what may be left under *target*, which is emptied first; this disk stays as it is."""
        names, folders = dict(self._durable_names), set(self._durable_folders)
        way = chance.choice(["none", "all", "first", "some"])
        if way == "all":
            kept = self._pending
        elif way == "first":
            kept = self._pending[: chance.randint(0, len(self._pending))]
        else:
            kept = [one for one in self._pending if way == "some" and chance.random() < 0.5]
        _rename(names, folders, kept)
        self._lay(target, folders, {path: bytes(file.after_crash(chance)) for path, file in names.items()})

    def whole(self) -> Iterator[tuple[str, bytes]]:
        """Yield each file as the process saw it."""
        for path, file in sorted(self.names.items()):
            content = bytearray(file.durable)
            for one in file.pending:
                _put(content, one)
            yield os.path.relpath(path, self.folder), bytes(content)

    def _lay(self, target: Path, folders: set[str], files: dict[str, bytes]) -> None:
        target.mkdir(exist_ok=True)
        for path in sorted(target.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        for folder in sorted(folders):
            place = target / os.path.relpath(folder, self.folder)
            if place.parent.is_dir():
                place.mkdir(exist_ok=True)
        for path, content in files.items():
            place = target / os.path.relpath(path, self.folder)
            if place.parent.is_dir():
                place.write_bytes(content)


def _rename(names: dict[str, File], folders: set[str], changes: list[Name]) -> None:
    for path, file, is_folder in changes:
        if is_folder:
            folders.add(path)
        elif file is None:
            names.pop(path, None)
        elif "\0" in path:
            before, after = path.split("\0")
            if names.get(before) is file:
                del names[before]
            names[after] = file
        else:
            names[path] = file
