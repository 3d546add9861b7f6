"""Wrong kinds of input to the policy, and large files in bounded time."""

from __future__ import annotations

import time

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.errors import ConfigurationError
from tenaudit.policy import PolicyFile, PolicyGuard, PolicyMatrix, RoleCompat

NAN = float("nan")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grants": None}, "grants must map each role to its capabilities, not be a NoneType"),
        ({"grants": ["Editor"]}, "grants must map each role to its capabilities, not be a list"),
        ({"grants": {"Editor": None}}, "role 'Editor' must list capability names, not be None"),
        ({"grants": {"Editor": ["b"]}, "capabilities": "b"}, "capabilities must be a list of names, not a str"),
        ({"grants": {"Editor": ["b"]}, "capabilities": 5}, "capabilities must be a list of names, not a int"),
        (
            {"grants": {"Editor": ["b"]}, "denial_names": "b"},
            "denial_names must map capabilities to names, not be a str",
        ),
    ],
)
def test_a_matrix_of_the_wrong_kind_is_refused_by_the_name_of_the_argument(arguments, message):
    with pytest.raises(ConfigurationError) as caught:
        PolicyMatrix.from_mapping(**arguments)
    assert str(caught.value) == message


def test_an_old_list_that_is_no_list_is_refused():
    with pytest.raises(ConfigurationError, match="roles must be a list of role names, not None"):
        RoleCompat(None, "gdpr_manage", registry=CollectorRegistry())


def test_a_site_that_is_no_text_becomes_one():
    assert RoleCompat(["Admin"], "gdpr_manage", name=5, registry=CollectorRegistry()).name == "5"


def test_a_number_that_no_time_is_before_is_refused(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text('[roles]\nEditor = ["write"]\n')
    with pytest.raises(ConfigurationError, match="check_every"):
        PolicyFile(path, check_every=NAN, registry=CollectorRegistry())
    with pytest.raises(ConfigurationError, match="denials_per_second"):
        PolicyGuard(denials_per_second=NAN, registry=CollectorRegistry())


def quickest(text):
    """Return the least of three times to read *text* on this machine, in seconds of the processor."""
    took = []
    for _ in range(3):
        started = time.process_time()
        try:
            PolicyMatrix.from_toml_text(text)
        except ConfigurationError as error:
            assert "is not a name" in str(error)  # noqa: PT017 - both outcomes are timed
        took.append(time.process_time() - started)
    return min(took)


def test_eight_times_the_names_take_no_sixty_four_times_the_time():
    def listing(count):
        names = ",".join(f'"c{number}"' for number in range(count))
        return f"capabilities = [{names}]\n[roles]\nEditor = [{names}]\n"

    assert quickest(listing(16_000)) < 30 * quickest(listing(2_000))


def test_the_line_of_a_fault_is_found_in_a_long_line_without_reading_it_again_for_each_name():
    def listing(count):
        names = ",".join(f'"c{number}"' for number in range(count))
        return f'[roles]\nEditor = [{names},"1bad"]\n'

    assert quickest(listing(96_000)) < 28 * quickest(listing(8_000))
