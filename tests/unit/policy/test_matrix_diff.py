"""What changes between two matrices, answer by answer and name by name."""

from __future__ import annotations

import pytest

from tenaudit.policy import CellChange, DenialNameChange, MatrixDiff, PolicyMatrix

OLD = PolicyMatrix.from_mapping(
    {"Editor": ["read", "write"], "Reader": ["read"], "Guest": []}, denial_names={"write": "editing"}
)
NEW = PolicyMatrix.from_mapping(
    {"Editor": ["read", "publish"], "Reader": ["read"], "Chief": ["publish"]}, denial_names={"read": "reading"}
)


def test_every_changed_answer_and_name_is_listed():
    assert PolicyMatrix.diff(OLD, NEW) == MatrixDiff(
        cells=(
            CellChange("Chief", "publish", before=False, after=True),
            CellChange("Editor", "publish", before=False, after=True),
            CellChange("Editor", "write", before=True, after=False),
        ),
        roles_added=("Chief",),
        roles_removed=("Guest",),
        capabilities_added=("publish",),
        capabilities_removed=("write",),
        denial_names=(DenialNameChange("read", None, "reading"), DenialNameChange("write", "editing", None)),
    )


def test_the_lines_name_each_change():
    assert PolicyMatrix.diff(OLD, NEW).lines() == [
        "Chief publish: deny -> allow",
        "Editor publish: deny -> allow",
        "Editor write: allow -> deny",
        "role Chief: added",
        "role Guest: removed",
        "capability publish: added",
        "capability write: removed",
        "denial name of read: its own -> reading",
        "denial name of write: editing -> its own",
    ]


def test_the_json_names_each_change():
    assert PolicyMatrix.diff(OLD, NEW).to_json() == {
        "cells": [
            {"role": "Chief", "capability": "publish", "before": "deny", "after": "allow"},
            {"role": "Editor", "capability": "publish", "before": "deny", "after": "allow"},
            {"role": "Editor", "capability": "write", "before": "allow", "after": "deny"},
        ],
        "roles_added": ["Chief"],
        "roles_removed": ["Guest"],
        "capabilities_added": ["publish"],
        "capabilities_removed": ["write"],
        "denial_names": [
            {"capability": "read", "before": None, "after": "reading"},
            {"capability": "write", "before": "editing", "after": None},
        ],
    }


@pytest.mark.parametrize("matrix", [OLD, NEW, PolicyMatrix.default(), PolicyMatrix.from_mapping({})])
def test_a_matrix_does_not_differ_from_itself(matrix):
    diff = PolicyMatrix.diff(matrix, matrix)
    assert (bool(diff), diff.lines(), diff) == (False, [], MatrixDiff())


@pytest.mark.parametrize(
    "changed",
    [
        {"grants": {"A": ["x"], "B": ["x"]}},
        {"grants": {"A": ["x"], "B": [], "C": []}},
        {"grants": {"A": ["x", "y"], "B": []}},
        {"grants": {"A": ["x"], "B": []}, "denial_names": {"x": "shown"}},
    ],
)
def test_any_one_change_is_a_difference_and_another_hash(changed):
    before, after = PolicyMatrix.from_mapping({"A": ["x"], "B": []}), PolicyMatrix.from_mapping(**changed)
    assert PolicyMatrix.diff(before, after)
    assert PolicyMatrix.diff(after, before)
    assert before.content_hash != after.content_hash


def test_a_denial_name_that_changes_is_told():
    before, after = (PolicyMatrix.from_mapping({"A": ["x"]}, denial_names={"x": name}) for name in ("old", "new"))
    assert PolicyMatrix.diff(before, after).lines() == ["denial name of x: old -> new"]
