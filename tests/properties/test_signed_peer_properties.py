"""The reader of signature fields beside a general reader of structured fields: where both read, they read the same."""

from __future__ import annotations

from base64 import b64encode

import http_sf
from hypothesis import given
from hypothesis import strategies as st

from tenaudit.security.signing.fields import FieldError, read_inputs, read_signatures

_strings = st.text('ab \\";=,()?1', max_size=5).map(
    lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
)
_bare = st.one_of(
    _strings,
    st.integers(-(10**15) + 1, 10**15 - 1).map(str),
    st.sampled_from(["1.5", "-0.25", "tok/en", "*t:", "?0", "?1", ":AAAA:", "::", "007", "-0"]),
)
_spaces = st.sampled_from(["", "", " ", "  "])
_keys = st.sampled_from(["a", "b", "created", "*k-1.x_y", "tag"])


@st.composite
def _parameters(draw: st.DrawFn) -> str:
    pairs = draw(st.lists(st.tuples(_spaces, _keys, st.one_of(st.none(), _bare)), max_size=4))
    return "".join(f";{space}{key}" if value is None else f";{space}{key}={value}" for space, key, value in pairs)


@st.composite
def _dictionaries(draw: st.DrawFn) -> str:
    members = []
    for _ in range(draw(st.integers(1, 3))):
        items = draw(st.lists(st.builds("{}{}".format, _strings, _parameters()), max_size=4))
        between = draw(st.sampled_from([" ", "   "]))
        members.append(f"{draw(_keys)}=({draw(_spaces)}{between.join(items)}{draw(_spaces)}){draw(_parameters())}")
    text = draw(st.sampled_from([",", ", ", "\t,  "])).join(members)
    if draw(st.booleans()):
        return text
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.sampled_from([*' ";=,()?1a\\:', ""])) + text[at + 1 :]


@given(_dictionaries())
def test_where_a_general_reader_reads_a_field_too_both_read_the_same(field: str) -> None:
    try:
        ours = read_inputs(field)
    except FieldError:
        return
    theirs = http_sf.parse(field.encode(), tltype="dictionary")
    assert list(ours) == list(theirs)
    for label, member in ours.items():
        items, parameters = theirs[label]
        # Ours keeps the text; read again, it must be what the other made of it.
        assert [http_sf.parse(item.encode(), tltype="item") for item in member.components] == items
        assert list(member.parameters) == list(parameters)
        for name, text in member.parameters.items():
            assert http_sf.parse(text.encode(), tltype="item") == (parameters[name], {})
        assert http_sf.parse(f"x={member.text}".encode(), tltype="dictionary")["x"] == (items, parameters)


@given(st.lists(st.tuples(_keys, st.binary(max_size=9)), max_size=3), st.data())
def test_signatures_are_what_a_general_reader_finds(pairs: list[tuple[str, bytes]], data: st.DataObject) -> None:
    field = ", ".join(f"{key}=:{b64encode(value).decode()}:{data.draw(_parameters())}" for key, value in pairs)
    try:
        ours = read_signatures(field)
    except FieldError:
        assert len({key for key, _ in pairs}) < len(pairs)
        return
    theirs = http_sf.parse(field.encode(), tltype="dictionary") if field else {}
    assert ours == {label: value for label, (value, _) in theirs.items()}
