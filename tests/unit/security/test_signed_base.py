"""The signed text: the vectors of RFC 9421 appendix B, and what could make two contexts look like one."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64decode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tenaudit.security import SignatureKey, SignedTarget
from tenaudit.security.signing.base import derived_values, signature_base
from tenaudit.security.signing.fields import FieldError, read_inputs, read_signatures
from tests.unit.security.signed import IDENTITY, REQUEST, TENANT, Pair, replaced

# The request of appendix B.2, and the keys of B.1.4 and B.1.5.
DERIVED = derived_values(SignedTarget("POST", "example.com", "/foo?param=Value&Pet=dog"))
FIELDS = {
    '"date"': "Tue, 20 Apr 2021 02:07:55 GMT",
    '"content-type"': "application/json",
    '"content-length"': "18",
}
SHARED = b64decode("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
SEED = urlsafe_b64decode("n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU=")
B_2_5 = (
    'sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"',
    "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:",
)
_B_2_6_COMPONENTS = '("date" "@method" "@path" "@authority" "content-type" "content-length")'
B_2_6 = (
    f'sig-b26={_B_2_6_COMPONENTS};created=1618884473;keyid="test-key-ed25519"',
    "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
)


def base_and_signature(fields: tuple[str, str]) -> tuple[bytes, bytes]:
    (member,) = read_inputs(fields[0]).values()
    (signature,) = read_signatures(fields[1]).values()
    values = {**FIELDS, **DERIVED}
    return signature_base(member.components, values, member.text), signature


def test_appendix_b_2_5_hmac_sha256() -> None:
    base, signature = base_and_signature(B_2_5)
    assert base == (
        b'"date": Tue, 20 Apr 2021 02:07:55 GMT\n"@authority": example.com\n"content-type": application/json\n'
        b'"@signature-params": ("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"'
    )
    key = SignatureKey.hmac_sha256("test-shared-secret", SHARED)
    assert key.sign is not None
    assert key.sign(base) == signature
    assert key.verify(base, signature)
    assert not key.verify(base + b" ", signature)


def test_appendix_b_2_6_ed25519() -> None:
    base, signature = base_and_signature(B_2_6)
    private = Ed25519PrivateKey.from_private_bytes(SEED)
    key = SignatureKey.ed25519("test-key-ed25519", private)
    assert key.sign is not None
    assert key.sign(base) == signature
    assert SignatureKey.ed25519("test-key-ed25519", private.public_key()).verify(base, signature)
    assert not key.verify(base + b" ", signature)


@pytest.mark.parametrize("value", ["u\u540d1", "u\u00e91", "u\udcff1"])
def test_text_that_is_not_ascii_never_stands_for_what_was_signed(value: str) -> None:
    """A question mark is what a lenient encoder writes for it."""
    pair = Pair()
    sent = pair.sent(replaced(IDENTITY, "X-User-ID", "u?1"))
    pair.refused(replaced(sent, "X-User-ID", value), "altered")


def test_a_line_break_in_a_value_is_refused() -> None:
    pair = Pair()
    pair.refused(replaced(pair.sent(), "X-User-ID", 'u-1\n"x-auth-method": jwt'), "altered")
    pair.refused(replaced(pair.sent(), "X-User-ID", "u-1\r"), "altered")


def test_a_signature_has_one_spelling() -> None:
    pair = Pair()
    sent = pair.sent()
    # 32 bytes leave two bits over in base64: the letter before the padding could be one of four.
    value = dict(sent)["Signature"]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    place = len(value) - 3
    twins = [f"{value[:place]}{letters[letters.index(value[place]) | bits]}=:" for bits in (1, 2, 3)]
    for twin in twins:
        assert twin != value
        pair.refused(replaced(sent, "Signature", twin), "malformed")


@pytest.mark.parametrize(
    ("authority", "canonical"),
    [
        ("Shop.Example:443", "shop.example"),
        ("shop.example:80", "shop.example"),
        ("shop.example:", "shop.example"),
        (" shop.example:8080\t", "shop.example:8080"),
        ("[2001:DB8::80]", "[2001:db8::80]"),
        ("[2001:db8::1]:443", "[2001:db8::1]"),
        ("", ""),
    ],
)
def test_the_authority_is_normalized(authority: str, canonical: str) -> None:
    assert derived_values(SignedTarget("GET", authority, "/"))['"@authority"'] == canonical


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/a%20b?x=1", "/a%20b", "?x=1"),
        ("/a", "/a", "?"),
        ("/a?", "/a", "?"),
        ("/a?b?c", "/a", "?b?c"),
        ("?x=1", "/", "?x=1"),
        ("", "/", "?"),
        ("*", "*", "?"),
    ],
)
def test_the_target_is_split_and_left_as_it_was_sent(target: str, path: str, query: str) -> None:
    values = derived_values(REQUEST._replace(target=target))
    assert (values['"@path"'], values['"@query"']) == (path, query)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ('a=("b" "c");d=1', '("b" "c");d=1'),
        ('a=( "b"   "c"  );  d=1;   e', '("b" "c");d=1;e'),
        ('a=("b");d=?1;e=?0', '("b");d;e=?0'),
        ("a=();d=tok/en:*;e=:AAAA:;f=@1;g=-1.50", "();d=tok/en:*;e=:AAAA:;f=@1;g=-1.50"),
        ('a=("b c";k="d e" "\\"");d="\\\\;"', '("b c";k="d e" "\\"");d="\\\\;"'),
        ('  a=("b")  ', '("b")'),
    ],
)
def test_what_others_write_is_read_and_serialized(field: str, text: str) -> None:
    assert read_inputs(field)["a"].text == text


@pytest.mark.parametrize(
    "components",
    [[], ['"b"', '"c"'], ['"b c"'], ['"b"', '"c"', '"d e f"'], ['"b";k="c d"'], ['"\\"\\" b"'], ['"b";bs', '"c"']],
    ids=str,
)
def test_components_are_told_apart_though_spaces_stand_in_them(components: list[str]) -> None:
    assert read_inputs(f"a=({' '.join(components)});b")["a"].components == components


@pytest.mark.parametrize(
    "field", ['a=("b"),a=("b")', "a=(b)", 'a=("b")x', 'a=("\u00e9")', 'A=("b")', 'a=("b" )) ', 'a="b"']
)
def test_what_is_no_dictionary_of_lists_is_refused(field: str) -> None:
    with pytest.raises(FieldError):
        read_inputs(field)


@pytest.mark.parametrize(
    "encoded", ["AA", "AA=", "AAA", "AB==", "AP==", "AAB=", "A===", "====", "AAAA=", "AA==AAAA", "A-A="]
)
def test_base64_in_another_spelling_is_refused(encoded: str) -> None:
    with pytest.raises(FieldError):
        read_signatures(f"a=:{encoded}:")


def test_others_signatures_may_have_parameters() -> None:
    assert read_signatures("a=:AAAA:;p=1 ,\tb=::") == {"a": bytes(3), "b": b""}


def test_a_signature_of_another_implementation_in_another_layout_is_taken() -> None:
    """Serialized, the field is what was signed; on the wire it has more spaces."""
    pair = Pair()
    sent = dict(pair.sent())
    loose = sent["Signature-Input"].replace(";", ";  ").replace('" "', '"   "').replace("(", "(  ").replace(")", " )")
    context = pair.read([*IDENTITY, ("Signature-Input", loose), ("Signature", f" {sent['Signature']};  p")])
    assert str(context.tenant_id) == TENANT
