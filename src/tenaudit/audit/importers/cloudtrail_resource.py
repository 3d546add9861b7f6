"""What it was done to, by CloudTrail's `resources`, else by the obvious request parameter."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PARAMETERS", "CloudTrailResource", "resource_of"]

# For each service: the parameters that name a resource, the one acted on before those it is given.
PARAMETERS: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "iam": (
            ("userName", "AWS::IAM::User"),
            ("roleName", "AWS::IAM::Role"),
            ("groupName", "AWS::IAM::Group"),
            ("instanceProfileName", "AWS::IAM::InstanceProfile"),
            ("policyArn", "AWS::IAM::ManagedPolicy"),
        ),
        "ec2": (("instanceId", "AWS::EC2::Instance"), ("vpcId", "AWS::EC2::VPC")),
        "s3": (("bucketName", "AWS::S3::Bucket"),),
        "kms": (("keyId", "AWS::KMS::Key"),),
        "lambda": (("functionName", "AWS::Lambda::Function"),),
        "rds": (("dBInstanceIdentifier", "AWS::RDS::DBInstance"),),
        "secretsmanager": (("secretId", "AWS::SecretsManager::Secret"),),
        "ssm": (("name", "AWS::SSM::Parameter"),),
        "sts": (("roleArn", "AWS::IAM::Role"),),
    }
)
_MAX_ID = 1024
_MAX_TYPE = 128


class CloudTrailResource(NamedTuple):
    """What a record says was touched; both are None when it does not say."""

    type: str | None
    id: str | None


def resource_of(record: Mapping[str, Any], service: str) -> CloudTrailResource:
    """Return the first resource that the record lists, else the one its request names.

    A listed resource without a type gets the type that the service's own resources have.

    >>> resource_of({"requestParameters": {"userName": "alice"}}, "iam")
    CloudTrailResource(type='AWS::IAM::User', id='alice')
    """
    known = PARAMETERS.get(service, ())
    listed = record.get("resources")
    for resource in listed if isinstance(listed, list) else ():
        if isinstance(resource, dict) and (arn := _text(resource.get("ARN"), _MAX_ID)) is not None:
            kind = _text(resource.get("type"), _MAX_TYPE)
            return CloudTrailResource(kind or (known[0][1] if len(known) == 1 else None), arn)
    parameters = record.get("requestParameters")
    if isinstance(parameters, dict):
        for parameter, kind in known:
            if (name := _text(parameters.get(parameter), _MAX_ID)) is not None:
                return CloudTrailResource(kind, name)
    return CloudTrailResource(None, None)


def _text(value: object, longest: int) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= longest else None
