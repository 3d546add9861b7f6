"""A JSON Web Key Set: which keys are used, with which one algorithm, and which are left out."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tenaudit.security.jwk_set import MAX_KEYS, InvalidJwkSetError, JwkSet, parse_jwk_set
from tests.unit.backends.jwks_idp import EC, ED, RSA, jwk

ALL = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
P384 = ec.generate_private_key(ec.SECP384R1())
GOOD = jwk(EC, kid="good")


def parse(*keys, algorithms=ALL):
    return parse_jwk_set(json.dumps({"keys": keys}).encode(), algorithms)


def reason(key, algorithms=ALL):
    """Return why a key is left out of a set that has a good one."""
    found = parse(GOOD, key, algorithms=("ES256", *algorithms))
    assert set(found.keys) == {"good"}
    ((why, count),) = found.ignored.items()
    assert count == 1
    return why


@pytest.mark.parametrize(
    ("key", "members", "algorithms", "pinned"),
    [
        (RSA, {"alg": "RS256"}, ALL, "RS256"),
        (RSA, {"alg": "PS256"}, ALL, "PS256"),
        (RSA, {"alg": ...}, ("RS256", "ES256"), "RS256"),
        (RSA, {"alg": ...}, ("PS512",), "PS512"),
        (RSA, {"alg": ...}, ("RS256", "RS256"), "RS256"),
        (EC, {"alg": ...}, ALL, "ES256"),
        (EC, {"alg": "ES256", "use": ...}, ALL, "ES256"),
        (P384, {"alg": ...}, ALL, "ES384"),
        (P384, {"alg": "ES384"}, ALL, "ES384"),
        (ED, {"alg": ...}, ALL, "EdDSA"),
        (ED, {"alg": "EdDSA", "key_ops": ["verify"]}, ALL, "EdDSA"),
        (EC, {"key_ops": ["sign", "verify"], "x5c": 7, "n": 5, "unknown": {}}, ALL, "ES256"),
    ],
)
def test_a_key_gets_its_one_algorithm(key, members, algorithms, pinned):
    found = parse(jwk(key, kid="k", **members), algorithms=algorithms)
    algorithm, prepared = found.find("k")
    assert algorithm == pinned
    assert prepared.public_numbers() == key.public_key().public_numbers() if key is not ED else prepared
    assert found.ignored == {}


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (7, "malformed"),
        (None, "malformed"),
        ([GOOD], "malformed"),
        ({}, "key_type"),
        ({"kty": "oct", "k": "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4"}, "key_type"),
        ({"kty": "oct", "alg": "ES256", "k": "eHh4"}, "key_type"),
        ({"kty": ["RSA"]}, "key_type"),
        ({"kty": "rsa"}, "key_type"),
        (jwk(EC, kid=7), "kid"),
        (jwk(EC, kid=""), "kid"),
        (jwk(EC, kid="x" * 257), "kid"),
        (json.loads(ECAlgorithm.to_jwk(EC)), "private"),
        (json.loads(RSAAlgorithm.to_jwk(RSA)), "private"),
        (json.loads(OKPAlgorithm.to_jwk(ED)), "private"),
        (jwk(EC, use="enc"), "use"),
        (jwk(EC, use=["sig"]), "use"),
        (jwk(EC, use=None), "use"),
        (jwk(EC, key_ops=["sign"]), "use"),
        (jwk(EC, key_ops=[]), "use"),
        (jwk(EC, key_ops="verify"), "use"),
        (jwk(EC, alg="HS256"), "algorithm"),
        (jwk(EC, alg="none"), "algorithm"),
        (jwk(EC, alg="ES384"), "algorithm"),
        (jwk(EC, alg=["ES256"]), "algorithm"),
        (jwk(EC, alg="RS256"), "algorithm"),
        (jwk(EC, alg=...) | {"crv": "P-521"}, "algorithm"),
        (jwk(EC, alg=...) | {"crv": "secp256k1"}, "algorithm"),
        (jwk(RSA, alg="ES256"), "algorithm"),
        (jwk(RSA, alg="RS512"), "algorithm"),
        (jwk(RSA, alg=...), "algorithm"),
        (jwk(RSA, alg="RSA-OAEP"), "algorithm"),
        (json.loads(OKPAlgorithm.to_jwk(ed448.Ed448PrivateKey.generate().public_key())), "algorithm"),
        (jwk(ED, alg=...) | {"crv": "X25519"}, "algorithm"),
        (jwk(EC, x=7), "malformed"),
        (jwk(EC, y=...), "malformed"),
        (jwk(EC, x="AAAA"), "malformed"),
        (jwk(EC, x="A" * 43), "malformed"),
        (jwk(EC, x="\u00e9"), "malformed"),
        (jwk(EC, crv="P-384", alg="ES384"), "malformed"),
        (jwk(RSA, n=""), "malformed"),
        (jwk(RSA, e="AQ"), "malformed"),
        (jwk(RSA, e="!!"), "malformed"),
        (jwk(ED, x="AAAA"), "malformed"),
        (jwk(rsa.generate_private_key(65537, 1024)), "weak"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_key_that_is_left_out_does_not_spoil_the_set(key, why):
    assert reason(key) == why


def test_an_algorithm_that_was_not_allowed_is_not_used():
    assert reason(jwk(ED, alg=...), algorithms=()) == "algorithm"
    assert reason(jwk(ED), algorithms=()) == "algorithm"


def test_of_two_keys_with_one_kid_none_is_used():
    found = parse(GOOD, jwk(EC, kid="twice"), jwk(ED, kid="twice"), jwk(EC), jwk(ED))
    assert set(found.keys) == {"good"}
    assert found.ignored == {"duplicate_kid": 4}


def test_a_kid_that_only_an_encryption_key_shares_is_not_doubtful():
    found = parse(jwk(EC, kid="same"), jwk(RSA, kid="same", use="enc", alg="RSA-OAEP"))
    assert found.find("same")[0] == "ES256"
    assert found.ignored == {"use": 1}


def test_without_a_kid_only_a_single_usable_key_is_meant():
    assert parse(jwk(EC)).find(None)[0] == "ES256"
    assert parse(GOOD).find(None)[0] == "ES256"
    assert parse(GOOD, jwk(EC)).find(None) is None
    assert JwkSet({}).find(None) is None
    assert parse(jwk(EC)).find("k") is None


def test_a_set_of_a_hundred_keys_is_read_and_a_larger_one_is_not():
    hundred = [jwk(EC, kid=f"k{number}") for number in range(MAX_KEYS)]
    assert len(parse(*hundred).keys) == 100
    with pytest.raises(InvalidJwkSetError, match="more than 100 keys"):
        parse(*hundred, 7)


def test_a_set_without_a_usable_key_says_why():
    with pytest.raises(InvalidJwkSetError, match=r"no usable key \(algorithm 2, use 1\)"):
        parse(jwk(RSA, alg=...), jwk(RSA, alg="x"), jwk(EC, use="enc"))


_member = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=50), st.lists(st.text(max_size=5)))
_names = st.sampled_from(["kty", "kid", "use", "key_ops", "alg", "n", "e", "crv", "x", "y", "d", "k", "x5c"])


@given(
    st.lists(
        st.tuples(
            st.sampled_from([jwk(EC, kid="a"), jwk(ED, kid="b"), jwk(RSA, kid="c"), {}]),
            st.dictionaries(_names, _member, max_size=4),
        ),
        max_size=4,
    )
)
def test_altered_keys_are_used_as_allowed_or_left_out(changes):
    keys = [base | changed for base, changed in changes]
    try:
        found = parse(*keys)
    except InvalidJwkSetError:
        return
    assert len(found.keys) + sum(found.ignored.values()) == len(keys)
    assert {algorithm for algorithm, _ in found.keys.values()} <= set(ALL)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_no_bytes_raise_anything_else(body):
    with pytest.raises(InvalidJwkSetError):
        parse_jwk_set(body, ALL)


def test_an_x25519_key_is_none_for_signatures():
    raw = x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()
    assert len(raw) == 32
    assert reason({"kty": "OKP", "crv": "X25519", "x": "A" * 43, "alg": "EdDSA"}) == "algorithm"
