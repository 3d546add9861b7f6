"""Cedar policies that are wrong are refused when they are loaded, by file, line and name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tenaudit import ConfigurationError
from tenaudit.backends.cedar import CedarEngine, matrix_to_cedar
from tenaudit.policy import PolicyMatrix
from tests.unit.backends.cedar_parts import POLICIES, SCHEMA, caller, invoice

PERMIT = "permit (principal, action, resource);"


def refusal(policies: str, schema: str = SCHEMA, **options: object) -> str:
    with pytest.raises(ConfigurationError) as refused:
        CedarEngine.from_text(policies, schema, **options)  # type: ignore[arg-type]
    return str(refused.value)


def shop(folder: Path, **files: str) -> tuple[Path, Path]:
    (folder / "policies").mkdir()
    for name, text in files.items():
        (folder / "policies" / f"{name}.cedar").write_text(text, encoding="utf-8")
    schema = folder / "shop.cedarschema"
    schema.write_text(SCHEMA, encoding="utf-8")
    return folder / "policies", schema


def test_a_folder_is_read_by_name_and_files_as_given(tmp_path: Path) -> None:
    folder, schema = shop(tmp_path, b=PERMIT, a=POLICIES)
    (folder / "notes.txt").write_text("no policy")
    engine = CedarEngine.from_files(folder, schema, denial_names={"refund": "refunds"})
    assert [policy.name for policy in engine.policies[-2:]] == ["overflow", f"{folder / 'b.cedar'}:1"]
    assert engine.denial_name("refund") == "refunds"
    one = CedarEngine.from_files([str(folder / "b.cedar")], str(schema))
    assert one.decide(caller(), "refund", invoice()).policies == (f"{folder / 'b.cedar'}:1",)


def test_more_than_ten_policies_keep_their_names() -> None:
    policies = "\n".join(
        f'@id("p{n}") permit (principal == Tenaudit::Actor::"u-{n}", action, resource);' for n in range(25)
    )
    engine = CedarEngine.from_text(policies, SCHEMA)
    assert [engine.decide(caller(actor=f"u-{n}"), "refund", invoice()).policies for n in range(25)] == [
        (f"p{n}",) for n in range(25)
    ]


def test_no_policy_at_all_denies() -> None:
    assert CedarEngine.from_text("// nothing yet\n", SCHEMA).decide(caller("Manager"), "audit_view").allowed is False


def test_a_schema_may_be_json() -> None:
    context = {"type": "Record", "attributes": {"tenant": {"type": "String"}, "auth_method": {"type": "String"}}}
    for name, kind in (("client_ip", "ipaddr"), ("session_id", "String"), ("user_agent", "String")):
        told = {"type": "Extension", "name": kind} if kind == "ipaddr" else {"type": kind}
        context["attributes"][name] = {**told, "required": False}  # type: ignore[index]
    actor = {"tenant": {"type": "String"}, "type": {"type": "String"}}
    schema = {
        "Tenaudit": {
            "entityTypes": {
                "Role": {},
                "Tenant": {},
                "Actor": {"memberOfTypes": ["Role"], "shape": {"type": "Record", "attributes": actor}},
            },
            "actions": {
                "read": {"appliesTo": {"principalTypes": ["Actor"], "resourceTypes": ["Tenant"], "context": context}}
            },
        }
    }
    assert CedarEngine.from_text(PERMIT, f"\n{json.dumps(schema)}").decide(caller(), "read").allowed


@pytest.mark.parametrize(
    ("policies", "told"),
    [
        (f"{PERMIT}\n\n// why\npermit (principal);\n{PERMIT}", "policies:4: "),
        (f"{PERMIT}\nforbid (principal, action, resource)", "policies:2: unexpected end of input"),
        (f"{PERMIT};", "policies:1:38: unexpected token `;`"),
        (f'{PERMIT}\n@id("x)\n{PERMIT}', "policies:2: "),
        ("permit (principal == ?principal, action, resource);", "policies:1: is a template"),
        (f'@id("x"){PERMIT}\n@id("x")\n{PERMIT}', "policies:2: policy 'x' is also at policies:1"),
        (
            f'{PERMIT}\n@id("typo") permit (principal, action, resource is Tenaudit::Invoice) unless {{resource.no}};',
            "policies:2: policy 'typo': attribute `no` on entity type `Tenaudit::Invoice` not found",
        ),
        ('permit (principal in Role::"Cashier", action, resource);', "policies:1: policy 'policies:1': unrecognized"),
        ('permit (principal, action == Tenaudit::Action::"no", resource);', "unrecognized action"),
        (f"permit (principal, action, resource) when {{ {'(' * 30}true{')' * 30} }};", "deeper than 30 brackets"),
        (f"permit (principal, action, resource) when {{ {'1>(' * 30}0{')' * 30} }};", "deeper than 30 brackets"),
        (f"permit (principal, action, resource) when {{ {'1>' * 201}0 }};", "more than 200 operators"),
        (f"{PERMIT}\npermit (principal, action, resource) when {{ {'true && ' * 201}true }};", "policies:2: has more"),
    ],
)
def test_a_wrong_policy_is_refused_at_its_line(policies: str, told: str) -> None:
    assert told in refusal(policies)


def test_a_file_is_named(tmp_path: Path) -> None:
    folder, schema = shop(tmp_path, a=PERMIT, b="\npermit (")
    with pytest.raises(ConfigurationError, match=r"b\.cedar:2: unexpected end of input"):
        CedarEngine.from_files(folder, schema)


def test_ten_errors_are_told_and_the_rest_counted() -> None:
    wrong = 'permit (principal in Rolle::"x", action, resource);\n' * 12
    lines = refusal(wrong).splitlines()
    assert len(lines) == 11
    assert lines[0].startswith("policies:1: ")
    assert lines[-1].startswith("and ")


def test_as_much_as_the_bounds_allow_is_taken() -> None:
    policy = f"permit (principal, action, resource) when {{ {'(' * 29}true{')' * 29}{' && true' * 199} }};"
    assert CedarEngine.from_text(policy, SCHEMA).decide(caller(), "refund", invoice()).allowed


def test_a_long_schema_is_taken() -> None:
    many = "".join(f"entity E{n} in [E{n}] = {{ a: Set<Set<Long>> }};\n" for n in range(300))
    assert CedarEngine.from_text(PERMIT, many + SCHEMA).decide(caller(), "refund", invoice()).allowed


def test_a_comment_ends_where_cedar_ends_it() -> None:
    # Were the carriage return part of the comment, the forbid would silently be gone.
    engine = CedarEngine.from_text(f"{PERMIT}\n// never\rforbid (principal, action, resource);", SCHEMA)
    assert engine.decide(caller("Manager"), "refund", invoice()).reason == "forbidden_by_policy"


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ("namespace Tenaudit {", "schema: error parsing schema"),
        ('{"Tenaudit": 1}', "schema: "),
        (SCHEMA.replace("entity Role;", ""), "schema: failed to resolve type: Role"),
        ("entity A;", "schema: declares no action in the namespace Tenaudit"),
        (
            SCHEMA.replace("client_ip?: ipaddr, ", ""),
            "schema: action 'audit_view' does not take an engine's requests: ",
        ),
        (SCHEMA.replace("context: Request", "context: {}"), "record attribute `"),
        (SCHEMA.replace("session_id?", "session_id"), "expected the record to have an attribute `session_id`"),
        (SCHEMA.replace("type: String }", "type: Long }"), "type mismatch"),
        (SCHEMA.replace("Actor in [Role]", "Actor"), "is not allowed to have an ancestor of type `Tenaudit::Role`"),
        (SCHEMA.replace("principal: [Actor]", "principal: [Role]"), "principal type `Tenaudit::Actor` is not valid"),
        (f"namespace Tenaudit {{ type X = {'Set<' * 30}Long{'>' * 30}; }}", "schema: is nested deeper"),
    ],
)
def test_a_schema_that_no_request_would_fit_is_refused(schema: str, told: str) -> None:
    assert told in refusal("", schema)


def test_files_that_are_not_there_are_refused(tmp_path: Path) -> None:
    folder, schema = shop(tmp_path)
    with pytest.raises(ConfigurationError, match=r"policies: no \*\.cedar file"):
        CedarEngine.from_files(folder, schema)
    with pytest.raises(ConfigurationError, match=r"^policies: no"):
        CedarEngine.from_files([], schema)
    with pytest.raises(ConfigurationError, match=r"none\.cedar"):
        CedarEngine.from_files([folder / "none.cedar"], schema)
    (folder / "a.cedar").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match=r"a\.cedar: .*utf-8"):
        CedarEngine.from_files(folder, schema)


def test_options_are_checked() -> None:
    assert refusal(PERMIT, trials=-1) == "trials must be 0 or more, not -1"
    assert refusal(PERMIT, denial_names={"pay": "x"}) == "denial_names: 'pay' is no action of the schema"
    assert refusal(POLICIES, roles=["Cashier", "Manager"]) == (
        "a policy mentions 'Support', which is not among the roles"
    )


def test_the_schema_of_a_matrix_takes_one_line_an_action() -> None:
    policies, schema = matrix_to_cedar(PolicyMatrix.from_mapping({"Admin": {"a", "b"}, "Guest": set()}))
    assert policies.count("permit") == 1
    strange, _ = matrix_to_cedar(PolicyMatrix({'é"': frozenset({"a"})}, {}))
    assert 'Tenaudit::Role::"\\u{e9}\\u{22}"' in strange
    assert 'action "a" appliesTo { principal: [Actor], resource: [Tenant], context: Request };' in schema
    assert "client_ip?: ipaddr" in schema
