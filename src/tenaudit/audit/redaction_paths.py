r"""Redaction paths: their grammar, and the one automaton that a set of them compiles to.

Path grammar, from the top of the event:

| written | means |
| --- | --- |
| `actor_id`, `payload.card.number` | keys of objects |
| `payload.items[0].x`, `payload.items[*].x` | one item of an array, every item |
| `payload.*.x` | every key of one object |
| `payload.**.ssn` | `ssn` in `payload` or anywhere below it, through objects and arrays |
| `payload.labels["a.b"]` | a key with signs of this grammar in it; `\"` and `\\` inside the quotes |

Rules of this file: pure. The paths become a trie whose `**` nodes loop; sets of its nodes become states, made
when a walk first needs them (the subset construction, lazily). So a step costs one dict look-up however many
paths there are, and no path is ever retried: `**.a.**.a` cannot backtrack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from tenaudit._kernel.error import TenauditError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "MAX_PATHS",
    "MAX_PATH_CHARS",
    "CompiledPaths",
    "InvalidRedactionPath",
    "PathState",
    "compile_paths",
    "key_place",
]

MAX_PATHS = 1000
MAX_PATH_CHARS = 1024

_MAX_STATES = 512
# Of one state: places come from keys, which may be hostile.
_MAX_PLACES = 16
_MAX_PLACE_CHARS = 256
_MAX_KEY_CHARS = 64
_NAME = r"[^\s.\[\]*\"\\\x00-\x1f\x7f\ud800-\udfff]+"
_PLAIN_KEY = re.compile(_NAME)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_STEP = re.compile(rf"(?P<deep>\*\*)|(?P<any>\*)|(?P<name>{_NAME})")
_BRACKET = re.compile(r"\[(?:(?P<any>\*)|(?P<index>0|[1-9][0-9]{0,8})|\"(?P<name>(?:[^\"\\]|\\[\"\\])*)\")\]")
_ESCAPED = re.compile(r"\\(.)")


class _Wild(Enum):
    KEY = "*"
    ITEM = "[*]"
    DEEP = "**"


# A key, an index, or one of the wild cards.
_Token: TypeAlias = str | int | _Wild
# The state at the value of a key, and the name of its place.
_Step: TypeAlias = "tuple[PathState, str]"


class InvalidRedactionPath(TenauditError, ValueError):  # noqa: N818 - the contract's name
    """A redaction path does not follow the grammar.

    Attributes:
        path: the path as given, cut to 80 characters.
        position: offset of the character where reading failed.
    """

    code = "invalid_redaction_path"

    def __init__(self, path: str, position: int, why: str) -> None:
        self.path = path[:80]
        self.position = position
        super().__init__(f"redaction path {self.path!a}, position {position}: {why}")


@dataclass(slots=True, eq=False)
class _Node:
    edges: dict[_Token, _Node] = field(default_factory=dict)
    loops: bool = False
    mark: int = 0


class PathState:
    """Where all paths stand at one place of an event.

    Attributes:
        hit: the highest mark of the paths that end here, 0 where none does.
        live: a path may end further below.
        is_kept: it is one of the bounded number that is.
    """

    __slots__ = ("_any_key", "_known", "_moves", "_names", "_nodes", "_paths", "_steps", "hit", "is_kept", "live")

    def __init__(self, paths: CompiledPaths, nodes: frozenset[_Node]) -> None:
        self._paths = paths
        self._nodes = nodes
        self._known = frozenset(token for node in nodes for token in node.edges if not isinstance(token, _Wild))
        self._names = sorted(token for token in self._known if isinstance(token, str))
        self._any_key = any(node.loops or _Wild.KEY in node.edges for node in nodes)
        self._moves: dict[_Token, PathState] = {}
        self._steps: dict[str, dict[Any, _Step]] = {}
        self.hit = max((node.mark for node in nodes), default=0)
        self.live = any(node.edges for node in nodes)
        self.is_kept = False

    @property
    def only_names(self) -> Sequence[str] | None:
        """The keys that a path may go through, None where it may be any."""
        return None if self._any_key else self._names

    @property
    def names_items(self) -> bool:
        """Whether a path names an item by its index."""
        return any(isinstance(token, int) for token in self._known)

    def keys_of(self, value: Mapping[Any, Any]) -> Iterable[Any]:
        """Return keys of an object that a path may go through: the few named ones, there or not, where that is all."""
        return value if self._any_key or len(self._names) > len(value) else self._names

    def steps_at(self, place: str) -> dict[Any, _Step]:
        """Return the steps from here at a place that are known; `step` adds to them."""
        steps = self._steps.get(place)
        if steps is None:
            steps = {}
            if len(self._steps) < _MAX_PLACES:
                self._steps[place] = steps
        return steps

    def step(self, steps: dict[Any, _Step], place: str, key: object, below: PathState) -> str:
        """Return the name of a key's place; the step there is remembered if a path names the key."""
        if isinstance(key, str) and key in self._known:
            there = key_place(place, key)
            if below.is_kept:
                # Else hostile keys in a row would grow a tree of states that nothing bounds.
                steps[key] = (below, there)
            return there
        # A key that a wild card ends at may be what is to be hidden.
        return f"{place}.*" if below.hit and place else key_place(place, key)

    def after_key(self, key: object) -> PathState:
        """Return the state at the value of a key."""
        # Keys that no path names all lead to one state, so hostile keys cannot grow the table.
        token: _Token = key if isinstance(key, str) and key in self._known else _Wild.KEY
        return self._moves.get(token) or self._move(token, _Wild.KEY)

    def after_item(self, index: int) -> PathState:
        """Return the state at an item of an array."""
        token: _Token = index if index in self._known else _Wild.ITEM
        return self._moves.get(token) or self._move(token, _Wild.ITEM)

    def item_place(self, place: str, index: int) -> str:
        """Name an item's place: by its index if a path does so, else `[*]`."""
        return f"{place}[{index}]" if index in self._known else f"{place}[*]"

    def _move(self, token: _Token, wild: _Wild) -> PathState:
        reached = {node for node in self._nodes if node.loops}
        for node in self._nodes:
            for edge in (token, wild):
                if edge in node.edges:
                    reached.add(node.edges[edge])
        state, kept = self._paths.state(reached)
        if kept:
            self._moves[token] = state
        return state


class CompiledPaths:
    """A set of redaction paths, ready to walk events with.

    >>> compiled = compile_paths(["payload.**.ssn"])
    >>> compiled.start.after_key("payload").after_item(3).after_key("ssn").hit
    1

    Attributes:
        paths: the paths as given.
        start: the state at the top of an event.
    """

    __slots__ = ("_states", "paths", "start")

    def __init__(self, paths: tuple[str, ...], marks: tuple[int, ...]) -> None:
        self.paths = paths
        self._states: dict[frozenset[_Node], PathState] = {}
        root = _Node()
        for path, mark in zip(paths, marks, strict=True):
            _insert(root, _parse(path), mark)
        self.start, _ = self.state({root})

    def state(self, nodes: Iterable[_Node]) -> tuple[PathState, bool]:
        """Return the state of a set of nodes and whether it is kept; only a bounded number is."""
        closed = frozenset(nodes)
        closed |= {node.edges[_Wild.DEEP] for node in closed if _Wild.DEEP in node.edges}
        state = self._states.get(closed)
        if state is not None:
            return state, True
        state = PathState(self, closed)
        keep = len(self._states) < _MAX_STATES
        if keep:
            self._states[closed] = state
            state.is_kept = True
        return state, keep


def compile_paths(paths: Sequence[str], marks: Sequence[int] | None = None) -> CompiledPaths:
    """Compile paths; the last few sets are cached.

    Args:
        paths: the paths.
        marks: what a state tells where the path at the same place of *paths* ends, above 0; by default 1.

    Raises:
        InvalidRedactionPath: a path does not follow the grammar, is longer than `MAX_PATH_CHARS`, or there are
            more than `MAX_PATHS`.
    """
    if isinstance(paths, str):
        raise InvalidRedactionPath(paths, 0, "give a list of paths, not one string")
    if len(paths) > MAX_PATHS:
        raise InvalidRedactionPath(paths[MAX_PATHS], 0, f"more than {MAX_PATHS} paths")
    return _compile(tuple(paths), (1,) * len(paths) if marks is None else tuple(marks))


def key_place(place: str, key: object) -> str:
    """Name the place of a key in path grammar; long names are cut and long places stop growing."""
    if len(place) > _MAX_PLACE_CHARS:
        return place
    name = key if isinstance(key, str) else type(key).__name__
    if len(name) <= _MAX_KEY_CHARS and _PLAIN_KEY.fullmatch(name):
        return f"{place}.{name}" if place else name
    shown = _UNPRINTABLE.sub("\ufffd", name[:_MAX_KEY_CHARS]).replace("\\", "\\\\").replace('"', '\\"')
    return f'{place}["{shown}"]'


@lru_cache(maxsize=32)
def _compile(paths: tuple[str, ...], marks: tuple[int, ...]) -> CompiledPaths:
    return CompiledPaths(paths, marks)


def _insert(root: _Node, tokens: Iterable[_Token], mark: int) -> None:
    node = root
    for token in tokens:
        node = node.edges.setdefault(token, _Node(loops=token is _Wild.DEEP))
    node.mark = max(node.mark, mark)


def _parse(path: str) -> list[_Token]:
    if len(path) > MAX_PATH_CHARS:
        raise InvalidRedactionPath(path, MAX_PATH_CHARS, f"longer than {MAX_PATH_CHARS} characters")
    tokens: list[_Token] = []
    position = 0
    while position < len(path) or not tokens:
        token, end = _next_token(path, position)
        if token is _Wild.DEEP and tokens and tokens[-1] is _Wild.DEEP:
            raise InvalidRedactionPath(path, position, "** follows **")
        tokens.append(token)
        position = end
    if tokens[-1] is _Wild.DEEP:
        raise InvalidRedactionPath(path, position, "** needs a key or an item after it")
    return tokens


def _next_token(path: str, position: int) -> tuple[_Token, int]:
    if path.startswith("[", position):
        return _bracket(path, position)
    if position:
        if not path.startswith(".", position):
            raise InvalidRedactionPath(path, position, "expected . or [")
        position += 1
    found = _STEP.match(path, position)
    if found is None:
        raise InvalidRedactionPath(path, position, "expected a key, * or **")
    wild = {"deep": _Wild.DEEP, "any": _Wild.KEY}.get(found.lastgroup or "")
    return wild or found.group(), found.end()


def _bracket(path: str, position: int) -> tuple[_Token, int]:
    found = _BRACKET.match(path, position)
    if found is None:
        raise InvalidRedactionPath(path, position, 'expected [*], [index] or ["key"]')
    if found["any"]:
        return _Wild.ITEM, found.end()
    if found["index"]:
        return int(found["index"]), found.end()
    return _ESCAPED.sub(r"\1", found["name"]), found.end()
