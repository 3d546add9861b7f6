"""CloudTrail records as events: names, identity, outcome, tenant, and what is refused and why."""

from __future__ import annotations

import asyncio
import hashlib
import json
from uuid import NAMESPACE_DNS, UUID, uuid5

import pytest

from tenaudit.audit import AppendResult, AuditEvent, SinkRejected
from tenaudit.audit.importers import (
    ACCOUNT_NAMESPACE,
    FORMATS,
    BrokenFile,
    Loader,
    Refused,
    snake_case,
    storable,
    tenant_of_account,
)
from tenaudit.testing.clock import ManualClock

CLOUDTRAIL = FORMATS["cloudtrail"]
ALICE = "arn:aws:iam::123456789012:user/alice"
# 2023-07-10T11:45:12Z
MOMENT_MS = 1_688_989_512_000


def record(**changes):
    base = {
        "eventVersion": "1.08",
        "userIdentity": {"type": "IAMUser", "principalId": "AIDA1", "arn": ALICE, "accountId": "123456789012"},
        "eventTime": "2023-07-10T11:45:12Z",
        "eventSource": "iam.amazonaws.com",
        "eventName": "CreateUser",
        "requestParameters": {"userName": "bob"},
        "responseElements": None,
        "eventID": "8b5b9a8c-5f2a-4f64-a6a3-9f3f0d1c2b3a",
        "recipientAccountId": "123456789012",
    }
    return {name: value for name, value in {**base, **changes}.items() if value is not ...}


def derived_id(unix_ms, source_id):
    """RFC 9562 section 5.7, the 74 bits that are free being the first of SHA-256."""
    bits = f"{unix_ms:048b}" + "0111" + "{}" + "10" + "{}"
    tail = "".join(f"{byte:08b}" for byte in hashlib.sha256(source_id.encode()).digest())[:74]
    return UUID(int=int(bits.format(tail[:12], tail[12:]), 2))


def event(**changes):
    return CLOUDTRAIL.event(record(**changes))


def refusal(**changes):
    with pytest.raises(Refused) as caught:
        event(**changes)
    return caught.value.reason


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("CreateUser", "create_user"),
        ("DescribeVPCs", "describe_vpcs"),
        ("DescribeVpcs", "describe_vpcs"),
        ("BatchGetQueryIDsByName", "batch_get_query_ids_by_name"),
        ("ListObjectsV2", "list_objects_v2"),
        ("GetS3Bucket", "get_s3_bucket"),
        ("GetEC2InstanceProfile", "get_ec2_instance_profile"),
        ("AssumeRoleWithSAML", "assume_role_with_saml"),
        ("PutBucketPublicAccessBlock", "put_bucket_public_access_block"),
        ("ListSSHPublicKeys", "list_ssh_public_keys"),
        ("DescribeDBSubnetGroups", "describe_db_subnet_groups"),
        ("DescribeOrderableDBInstanceOptions", "describe_orderable_db_instance_options"),
        ("AssignIpv6Addresses", "assign_ipv6_addresses"),
        ("GetFunction20150331v2", "get_function20150331v2"),
        ("CheckMfa", "check_mfa"),
        ("REST.GET.OBJECT", "rest_get_object"),
        ("resource-explorer-2", "resource_explorer_2"),
        ("already_snake", "already_snake"),
        ("A", "a"),
        ("", ""),
        ("ÄÖ--", ""),
    ],
)
def test_a_name_in_snake_case(name, snake):
    assert snake_case(name) == snake


@pytest.mark.parametrize(
    ("source", "name", "action", "service"),
    [
        ("iam.amazonaws.com", "CreateUser", "iam.create_user", "iam"),
        ("devops-guru.amazonaws.com", "ListInsights", "devops_guru.list_insights", "devops_guru"),
        ("ec2.amazonaws.com.cn", "RunInstances", "ec2.run_instances", "ec2"),
        ("models.lex.amazonaws.com", "GetBot", "models_lex.get_bot", "models_lex"),
        ("example.partner.com", "Mutation: Pay", "example_partner_com.mutation_pay", "example_partner_com"),
    ],
)
def test_action_and_service_come_from_source_and_name(source, name, action, service):
    made = event(eventSource=source, eventName=name)
    assert (made.action, made.service) == (action, service)


def test_every_field_of_a_plain_record():
    given = record()
    made = CLOUDTRAIL.event(given)
    assert made.payload == given
    assert made.record() | {"payload": None} == {
        "event_id": str(derived_id(MOMENT_MS, f"cloudtrail:{given['eventID']}")),
        "tenant_id": str(tenant_of_account("123456789012")),
        "occurred_at": "2023-07-10T11:45:12.000000Z",
        "actor_id": ALICE,
        "actor_type": "user",
        "action": "iam.create_user",
        "resource_type": "AWS::IAM::User",
        "resource_id": "bob",
        "outcome": "success",
        "severity": "info",
        "service": "iam",
        "trace_id": None,
        "schema_version": 1,
        "payload": None,
        "redactions": [],
        "producer_id": None,
        "seq": None,
    }


def test_the_id_carries_the_time_and_the_source_id():
    first, again = event(), event(awsRegion="eu-west-1")
    other = event(eventID="other")
    assert first.event_id == again.event_id != other.event_id
    assert first.event_id.int >> 80 == other.event_id.int >> 80 == MOMENT_MS
    assert event(eventTime="2023-07-10T11:45:12.250Z").event_id.int >> 80 == MOMENT_MS + 250


def test_the_tenant_is_the_account_unless_given():
    assert uuid5(NAMESPACE_DNS, "cloudtrail.amazonaws.com") == ACCOUNT_NAMESPACE
    assert event().tenant_id == uuid5(ACCOUNT_NAMESPACE, "123456789012")
    assert event(recipientAccountId=...).tenant_id == tenant_of_account("123456789012")
    assert event(recipientAccountId="210987654321").tenant_id == tenant_of_account("210987654321")
    assert CLOUDTRAIL.event(record(recipientAccountId=...), UUID(int=7)).tenant_id == UUID(int=7)
    assert refusal(recipientAccountId="x", userIdentity={}) == "missing_account"


@pytest.mark.parametrize(
    ("identity", "actor_id", "actor_type"),
    [
        ({"type": "IAMUser", "arn": ALICE, "userName": "alice"}, ALICE, "user"),
        ({"type": "IAMUser", "principalId": "AIDA1", "userName": "alice"}, "AIDA1", "user"),
        ({"type": "IAMUser", "userName": "alice"}, "alice", "user"),
        ({"type": "Root", "arn": "arn:aws:iam::123456789012:root"}, "arn:aws:iam::123456789012:root", "user"),
        ({"type": "AssumedRole", "arn": "arn:x:assumed-role/ci/s"}, "arn:x:assumed-role/ci/s", "service"),
        (
            {"type": "AssumedRole", "arn": "arn:x:assumed-role/AWSReservedSSO_Admin_1/eve"},
            "arn:x:assumed-role/AWSReservedSSO_Admin_1/eve",
            "user",
        ),
        ({"type": "AWSService", "invokedBy": "rds.amazonaws.com"}, "rds.amazonaws.com", "service"),
        ({"accountId": "123456789012", "invokedBy": "ec2.amazonaws.com"}, "ec2.amazonaws.com", "service"),
        ({"type": "AWSAccount", "principalId": "ANONYMOUS_PRINCIPAL", "accountId": ""}, None, "anonymous"),
        ({"type": "NewType", "principalId": "p"}, "p", "system"),
        ({"type": ["IAMUser"], "principalId": "p"}, "p", "system"),
        ({"arn": 7}, None, "anonymous"),
        ({}, None, "anonymous"),
        (None, None, "anonymous"),
        ("alice", None, "anonymous"),
    ],
)
def test_the_actor_comes_from_the_identity(identity, actor_id, actor_type):
    made = event(userIdentity=identity)
    assert (made.actor_id, made.actor_type) == (actor_id, actor_type)


@pytest.mark.parametrize(
    ("changes", "outcome", "severity"),
    [
        ({}, "success", "info"),
        ({"errorCode": None}, "success", "info"),
        ({"errorCode": "NoSuchEntityException"}, "failure", "warn"),
        ({"errorCode": "ThrottlingException"}, "failure", "warn"),
        ({"errorCode": "Client.InvalidRouteTableID.NotFound"}, "failure", "warn"),
        ({"errorCode": "AccessDenied"}, "denied", "security"),
        ({"errorCode": "KMSAccessDeniedException"}, "denied", "security"),
        ({"errorCode": "Client.UnauthorizedOperation"}, "denied", "security"),
        ({"errorCode": "NotAuthorizedException"}, "denied", "security"),
        ({"errorCode": "ForbiddenException"}, "denied", "security"),
        (
            {"eventName": "ConsoleLogin", "responseElements": {"ConsoleLogin": "Failure"}, "errorMessage": "no"},
            "failure",
            "security",
        ),
        ({"eventName": "ConsoleLogin", "responseElements": {"ConsoleLogin": "Success"}}, "success", "info"),
        ({"errorMessage": "something broke"}, "failure", "warn"),
    ],
)
def test_the_outcome_comes_from_the_error_code(changes, outcome, severity):
    made = event(**changes)
    assert (made.outcome, made.severity) == (outcome, severity)


@pytest.mark.parametrize(
    ("changes", "resource"),
    [
        ({"resources": [{"type": "AWS::S3::Object", "ARN": "arn:o"}]}, ("AWS::S3::Object", "arn:o")),
        ({"resources": [{"type": "x"}, {"ARN": "arn:b", "type": "T"}]}, ("T", "arn:b")),
        ({"resources": "all"}, ("AWS::IAM::User", "bob")),
        (
            {"eventSource": "secretsmanager.amazonaws.com", "resources": [{"ARN": "s"}]},
            ("AWS::SecretsManager::Secret", "s"),
        ),
        ({"requestParameters": {"policyArn": "p", "roleName": "r"}}, ("AWS::IAM::Role", "r")),
        ({"requestParameters": {"userName": ["bob"]}}, (None, None)),
        ({"requestParameters": {"userName": "b" * 1025}}, (None, None)),
        ({"requestParameters": None}, (None, None)),
    ],
)
def test_the_resource_comes_from_the_list_or_the_request(changes, resource):
    made = event(**changes)
    assert (made.resource_type, made.resource_id) == resource


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"eventID": ...}, "missing_field"),
        ({"eventID": ""}, "missing_field"),
        ({"eventID": 7}, "missing_field"),
        ({"eventName": None}, "missing_field"),
        ({"eventSource": {}}, "missing_field"),
        ({"eventTime": "yesterday"}, "invalid_time"),
        ({"eventTime": "2023-07-10T11:45:12"}, "invalid_time"),
        ({"eventTime": "2023-13-10T11:45:12Z"}, "invalid_time"),
        ({"eventTime": "1969-12-31T23:59:59Z"}, "invalid_time"),
        ({"eventTime": "\uff12\uff10\uff12\uff13-07-10T11:45:12Z"}, "invalid_time"),
        ({"eventName": "---"}, "invalid_action"),
        ({"eventSource": "3com.amazonaws.com"}, "invalid_action"),
        ({"eventName": "A" * 200}, "invalid_action"),
        ({"requestParameters": {"blob": "x" * 70_000}}, "event_too_large"),
        ({"requestParameters": {"ratio": float("nan")}}, "payload_not_json"),
        ({"requestParameters": {"ratio": float("inf")}}, "payload_not_json"),
        ({"requestParameters": {"what": object()}}, "payload_not_json"),
        ({"requestParameters": {7: "seven"}}, "payload_not_json"),
        ({"requestParameters": {"a\x00": 1, "a\ufffd": 2}}, "invalid_text"),
        ({"requestParameters": {"digits": 10**5000}}, "integer_out_of_range"),
    ],
)
def test_what_cannot_be_an_event_is_refused_with_its_reason(changes, reason):
    assert refusal(**changes) == reason


@pytest.mark.parametrize("given", [None, 7, "text", [], [record()]])
def test_a_record_is_an_object(given):
    with pytest.raises(Refused, match="not_an_object"):
        CLOUDTRAIL.event(given)


@pytest.mark.parametrize(("levels", "fits"), [(31, True), (32, False), (5000, False)])
def test_depth_has_the_limit_of_emit(levels, fits):
    nested = "end"
    for _ in range(levels):
        nested = [nested]
    if fits:
        assert event(requestParameters=nested).payload["requestParameters"] == nested
    else:
        assert refusal(requestParameters=nested) == "payload_too_deep"


def test_values_no_store_takes_are_changed_and_tagged():
    payload, tags = storable(
        {
            "size": 2**53,
            "fits": 2**53 - 1,
            "low": -(2**53),
            "wide": 1e16,
            "list": [1, 2**60, {"deep": "nul\x00"}],
            "half": "\ud83d",
            "emoji": "😀",
            "key\x00": True,
        }
    )
    assert payload == {
        "size": "9007199254740992",
        "fits": 2**53 - 1,
        "low": "-9007199254740992",
        "wide": "1e+16",
        "list": [1, "1152921504606846976", {"deep": "nul\ufffd"}],
        "half": "\ufffd",
        "emoji": "😀",
        "key\ufffd": True,
    }
    assert tags == (
        "payload.half:replaced",
        "payload.list[1]:stringified",
        "payload.list[2].deep:replaced",
        "payload.low:stringified",
        "payload.size:stringified",
        "payload.wide:stringified",
        "payload:replaced",
    )


def test_tags_are_bounded():
    _, tags = storable({"sizes": [2**60] * 1000})
    assert len(tags) == 65
    assert tags[0] == "+more:stringified"


def texts_of(text):
    return [found.value for found in CLOUDTRAIL.records(text)]


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ('{"Records":[]}', []),
        (' {\n"Records" : [ {"a": 1} , 2,"x" ] }\n', [{"a": 1}, 2, "x"]),
        ('{"first": {"Records": [9]}, "Records": [1], "last": null}', [1]),
        ('{"Records": [1], "Records": [2]}', [1, 2]),
        ('{"Records": [' + "1" * 5000 + ", 2]}", [float("inf"), 2]),
    ],
)
def test_records_are_read_from_the_object(text, records):
    assert texts_of(text) == records


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "invalid_json"),
        ("{", "invalid_json"),
        ("hello", "invalid_json"),
        ('{"Records": [{}', "invalid_json"),
        ('{"Records": [{}]', "invalid_json"),
        ('{"Records": [{},]}', "invalid_json"),
        ('{"Records": [{} {}]}', "invalid_json"),
        ('{"Records" [{}]}', "invalid_json"),
        ('{"Records": [{}],}', "invalid_json"),
        ("{7: [{}]}", "invalid_json"),
        ('{"Records": [{}]} {}', "invalid_json"),
        ("[1] 2", "invalid_json"),
        ("[]", "no_records"),
        ("7", "no_records"),
        ("{}", "no_records"),
        ('{"records": []}', "no_records"),
        ('{"Records": {}}', "no_records"),
        ('{"Records": [' + "[" * 200_000, "json_too_deep"),
    ],
)
def test_a_broken_file_is_refused_before_its_first_record(text, reason):
    with pytest.raises(BrokenFile) as caught:
        CLOUDTRAIL.records(text)
    assert caught.value.reason == reason


class PickyStore:
    """A store in memory that refuses chosen events, or everything without saying what."""

    def __init__(self, refused=(), mute=False):
        self.refused = set(refused)
        self.mute = mute
        self.batches: list[list[AuditEvent]] = []
        self.sealed = 0

    async def append(self, events):
        wrong = [one.event_id for one in events if one.event_id in self.refused]
        if self.mute or wrong:
            raise SinkRejected([] if self.mute else wrong, "picky")
        self.batches.append(list(events))
        return AppendResult(len(events), 0, 0, 0)

    async def seal(self, tenant_id=None):
        self.sealed += 1
        return ()


def load(store, *texts, **options):
    async def run():
        loader = Loader(store, CLOUDTRAIL, **{"clock": ManualClock(), **options})
        for number, text in enumerate(texts):
            await loader.load(f"{number}.json", text)
        return await loader.finish()

    return asyncio.run(run())


def file_of(*records):
    return json.dumps({"Records": list(records)})


def test_batches_cross_files_and_are_bounded():
    store = PickyStore()
    made = [record(eventID=str(number)) for number in range(7)]
    report = load(store, file_of(*made[:4]), file_of(*made[4:]), batch=3)
    assert [len(batch) for batch in store.batches] == [3, 3, 1]
    assert (report.files, report.read, report.stored, report.complete, store.sealed) == (2, 7, 7, True, 1)


def test_what_the_store_refuses_is_named_and_the_rest_is_stored():
    made = [record(eventID=str(number)) for number in range(4)]
    store = PickyStore(refused=[CLOUDTRAIL.event(made[2]).event_id])
    report = load(store, file_of(*made))
    assert (report.read, report.stored, dict(report.refused)) == (4, 3, {"picky": 1})
    assert [(problem.path, problem.record) for problem in report.problems] == [("0.json", 2)]


def test_a_store_that_names_nothing_refuses_the_batch_and_does_not_hang():
    report = load(PickyStore(mute=True), file_of(record(), record(eventID="b")))
    assert (report.stored, dict(report.refused), report.complete) == (0, {"picky": 2}, False)


def test_a_time_over_a_day_ahead_is_refused():
    # One second more than a day before the record's time, and exactly a day.
    early, exact = (MOMENT_MS // 1000 - 86_400 - late for late in (1, 0))
    assert dict(load(PickyStore(), file_of(record()), clock=ManualClock(early)).refused) == {"time_ahead": 1}
    assert load(PickyStore(), file_of(record()), clock=ManualClock(exact)).complete


def test_problems_are_bounded_and_all_are_counted():
    report = load(PickyStore(), file_of(*([None] * 150)))
    shown = report.to_json()
    assert (len(shown["problems"]), shown["problems_omitted"], shown["refused"]) == (100, 50, {"not_an_object": 150})
