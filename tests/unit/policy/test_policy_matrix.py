"""The matrix: the specification's table cell by cell, and what a policy file is refused for, with file and line."""

from __future__ import annotations

import itertools
import re

import pytest

from tenaudit.errors import ConfigurationError
from tenaudit.policy import Capability, PolicyMatrix, Role

# Copied by hand from the specification, section 2.
ROLES = ["SuperAdmin", "Admin", "Manager", "Inventory", "Cashier", "Support"]
TABLE = """
inventory_view         allow allow allow allow deny  deny  inventory_view
customer_view          allow allow allow deny  allow allow customer_view
customer_write         allow allow allow deny  deny  deny  customer_write
payment_process        allow allow allow deny  allow deny  payment_access
loyalty_view           allow allow allow allow allow deny  loyalty_view
gdpr_manage            allow allow deny  deny  deny  deny  gdpr_manage
audit_view             allow allow allow deny  deny  allow audit_view
audit_view_unredacted  allow allow deny  deny  deny  deny  audit_view_unredacted
"""
ROWS = [line.split() for line in TABLE.strip().splitlines()]
CELLS = [(role, row[0], row[1 + place] == "allow") for row in ROWS for place, role in enumerate(ROLES)]


@pytest.mark.parametrize(("role", "capability", "allowed"), CELLS)
def test_each_cell_of_the_default_matrix(role, capability, allowed):
    matrix = PolicyMatrix.default()
    assert matrix.allows({role}, capability) is allowed
    assert (role in matrix.roles_for(capability)) is allowed


def test_the_table_is_the_whole_default_matrix():
    matrix = PolicyMatrix.default()
    assert list(matrix.roles) == ROLES == [role.value for role in Role]
    assert set(matrix.capabilities) == {row[0] for row in ROWS} == {c.value for c in Capability}
    assert {row[0]: matrix.denial_name(row[0]) for row in ROWS} == {row[0]: row[7] for row in ROWS}


def test_enums_and_strings_are_the_same_names():
    assert PolicyMatrix.default().allows([Role.CASHIER], Capability.PAYMENT_PROCESS)
    made = PolicyMatrix.from_mapping({Role.CASHIER: [Capability.PAYMENT_PROCESS]})
    assert made.allows({"Cashier"}, "payment_process")


def test_nothing_is_granted_to_nobody_or_for_nothing():
    matrix = PolicyMatrix.default()
    for roles, capability in itertools.product(([], {"root"}, {"superadmin"}, "SuperAdmin"), ("gdpr_manage", "", "x")):
        assert not matrix.allows(roles, capability)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grants": {"Bad role": {"a"}}}, "'Bad role' is not a name"),
        ({"grants": {"R": [""]}}, "'' is not a name"),
        ({"grants": {"R": ["a\n"]}}, "is not a name"),
        ({"grants": {"R": ["é"]}}, "is not a name"),
        ({"grants": {"R": ["a" * 65]}}, "is not a name"),
        ({"grants": {"R": ["a"]}, "capabilities": ["a", "b c"]}, "'b c' is not a name"),
        ({"grants": {"R": "abc"}}, "role 'R' must list capability names"),
        ({"grants": {"R": ["a", "b", "a"]}}, "'a' is listed twice for R"),
        ({"grants": {"R": ["a"], "r": ["a"]}}, "'r' differs from role 'R' by case alone"),
        ({"grants": {"R": ["a"]}, "capabilities": ["b"]}, "'a' is granted to R and is no known capability"),
        ({"grants": {"R": ["a"]}, "capabilities": ["a", "b"]}, "'b' is a capability that no role grants"),
        ({"grants": {"R": ["a"]}, "capabilities": ["a", "a"]}, "'a' is listed twice"),
        ({"grants": {"R": ["a"]}, "denial_names": {"b": "x"}}, "'b' has a denial name and is no known capability"),
        ({"grants": {"R": ["a"]}, "denial_names": {"a": 7}}, "'a' has a denial name that is not a name"),
        ({"grants": {"R": ["a"]}, "denial_names": {"a": "x\r\ny"}}, "'a' has a denial name that is not a name"),
    ],
)
def test_a_broken_mapping_names_what_is_wrong(arguments, message):
    with pytest.raises(ConfigurationError) as caught:
        PolicyMatrix.from_mapping(**arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "b", "a"], "'a' is listed twice for R"),
        ("abc", "role 'R' must list capability names, not be one string"),
    ],
)
def test_a_mapping_has_no_file_to_name(names, message):
    with pytest.raises(ConfigurationError) as caught:
        PolicyMatrix.from_mapping({"R": names})
    assert str(caught.value) == message


def test_a_text_is_called_what_its_reader_calls_it():
    for options, name in (({}, "policy"), ({"source": "config map"}, "config map")):
        with pytest.raises(ConfigurationError) as caught:
            PolicyMatrix.from_toml_text('[roles]\nR = ["a", "a"]\n', **options)
        assert str(caught.value) == f"{name}:2: 'a' is listed twice for R"


def test_a_role_may_grant_nothing():
    matrix = PolicyMatrix.from_mapping({"Reader": set(), "Editor": {"write"}}, denial_names={"write": "editing"})
    assert (matrix.roles, matrix.capabilities) == (("Reader", "Editor"), ("write",))
    assert not matrix.allows({"Reader"}, "write")
    assert (matrix.denial_name("write"), matrix.denial_name("other")) == ("editing", "other")
    assert PolicyMatrix.from_mapping({}).capabilities == ()


def test_the_hash_follows_the_cells_and_not_their_order():
    one = PolicyMatrix.from_mapping({"A": ["x", "y"], "B": ["x"]})
    two = PolicyMatrix.from_mapping({"B": ["x"], "A": ["y", "x"]})
    assert one.content_hash == two.content_hash
    assert one.content_hash != PolicyMatrix.from_mapping({"A": ["x", "y"], "B": ["y"]}).content_hash
    assert len(one.content_hash) == 64


def test_a_matrix_cannot_be_changed():
    matrix = PolicyMatrix.from_mapping({"A": ["x"]})
    with pytest.raises(TypeError):
        matrix.grants["B"] = frozenset({"x"})
    with pytest.raises(AttributeError):
        matrix.grants = {}


GOOD = """# Support may not see "page_write".
capabilities = ["page_view", "page_write"]

[roles]
Editor = ["page_view", "page_write"]
Reader = ["page_view"]  # not page_write
"Night.Shift" = []

[denial_names]
page_write = "editing"
"""


def load(tmp_path, text):
    path = tmp_path / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return PolicyMatrix.from_toml(path)


def test_a_file_is_read(tmp_path):
    matrix = load(tmp_path, GOOD)
    assert matrix.roles == ("Editor", "Reader", "Night.Shift")
    assert matrix.roles_for("page_write") == {"Editor"}
    assert matrix.denial_name("page_write") == "editing"
    assert PolicyMatrix.from_toml(str(tmp_path / "policy.toml")) == matrix


@pytest.mark.parametrize(
    ("before", "after", "line", "message"),
    [
        ('Reader = ["page_view"]', 'Reader = ["page_view",\n  "page_view"]', 7, "listed twice for Reader"),
        ('Reader = ["page_view"]', 'Reader = ["page_viwe"]', 6, "'page_viwe' is granted to Reader"),
        ("Reader = [", "editor = [", 6, "differs from role 'Editor'"),
        ('"Night.Shift"', '"Night Shift"', 7, "'Night Shift' is not a name"),
        ('["page_view", "page_write"]\n\n', '["page_view", "page_write",\n "page_view"]\n\n', 3, "listed twice"),
        ('capabilities = ["page', 'capabilities = ["spare", "page', 2, "'spare' is a capability that no role"),
        ('page_write = "editing"', 'page_wirte = "editing"', 10, "'page_wirte' has a denial name"),
        ('page_write = "editing"', "page_write = 7", 10, "'page_write' has a denial name that is not a name"),
        ('Reader = ["page_view"]', 'Reader = ["page_view",\n  "page view"]', 7, "'page view' is not a name"),
        (
            '"page_view", "page_write"]\n\n',
            '"page_view",\n "page_write", "page view"]\n\n',
            3,
            "'page view' is not a name",
        ),
        ("[denial_names]", "[denial_name]", 9, "unknown key 'denial_name'"),
        ('Reader = ["page_view"]', "Reader = 'page_view'", 6, "role 'Reader' must have a list"),
        ('Reader = ["page_view"]', "Reader = [1]", 6, "role 'Reader' must have a list"),
        ('capabilities = ["page_view", "page_write"]', "capabilities = 'page_view'", 2, "must be a list of names"),
        ("[roles]", "[[roles]]", 4, "must be a table of roles"),
        ("[denial_names]", "[[denial_names]]", 9, "must be a table"),
    ],
)
def test_a_broken_file_names_file_and_line(tmp_path, before, after, line, message):
    assert before in GOOD
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, GOOD.replace(before, after))
    assert str(caught.value).startswith(f"{tmp_path / 'policy.toml'}:{line}: ")
    assert message in str(caught.value)


def test_a_name_that_is_written_with_escapes_has_the_file_and_no_line(tmp_path):
    with pytest.raises(ConfigurationError, match=r"policy\.toml: 'view' is listed twice for Editor"):
        load(tmp_path, '[roles]\n"Ed\\u0069tor" = ["view", "view"]\n')


def test_a_role_called_like_a_capability_is_told_apart(tmp_path):
    with pytest.raises(ConfigurationError, match=r"policy\.toml:5: 'view' is listed twice for view"):
        load(tmp_path, '[roles]\nFirst = ["view",\n  "edit"]\nview = [ # view\n  "view", "view"]\n')


def test_a_capability_called_like_a_role_is_told_apart(tmp_path):
    with pytest.raises(ConfigurationError, match=r"policy\.toml:3: 'Edit' differs from role 'edit'"):
        load(tmp_path, '[roles]\nedit = ["Edit"]\nEdit = ["x"]\n')


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[roles\n", "line 1"),
        ('[roles]\nA = ["x"]\nA = ["y"]\n', "line 3"),
        ("", "must be a table of roles"),
        ("x = 1\n", "unknown key"),
    ],
)
def test_a_file_that_is_no_policy_is_refused(tmp_path, text, message):
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text)
    assert message in str(caught.value)
    assert re.match(rf"{re.escape(str(tmp_path))}/policy\.toml(:\d+)?: \S", str(caught.value))


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9\n[roles]\n")
    for name in ("absent.toml", "latin.toml", "."):
        with pytest.raises(ConfigurationError) as caught:
            PolicyMatrix.from_toml(tmp_path / name)
        assert str(caught.value).startswith(f"{tmp_path / name}: ")
