"""Names of other systems in the spelling of ours: `DescribeVPCs` is `describe_vpcs`.

Rules of this file: pure, and linear in the length of the name, because names come from outside.
"""

from __future__ import annotations

import re

__all__ = ["snake_case"]

# In this order: an acronym in the plural (VPCs), an acronym or capital with its digits (SAML, V2, S3), a word.
_WORD = re.compile(
    r"""
    [A-Z]{2,}s(?![a-z])
    | [A-Z]+(?![a-z])[a-z0-9]*
    | [A-Z]?[a-z0-9]+
    """,
    re.VERBOSE,
)


def snake_case(name: str) -> str:
    """Return *name* in lower case with underscores between its words; what is no ASCII letter or digit separates.

    >>> [snake_case(name) for name in ("CreateUser", "AssumeRoleWithSAML", "GetS3Bucket", "resource-explorer-2")]
    ['create_user', 'assume_role_with_saml', 'get_s3_bucket', 'resource_explorer_2']
    """
    return "_".join(word.lower() for word in _WORD.findall(name))
