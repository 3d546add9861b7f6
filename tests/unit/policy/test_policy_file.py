"""The matrix file: reloaded when it changes, the last good one kept whatever the file does."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time

import pytest
from prometheus_client import CollectorRegistry

from tenaudit.errors import ConfigurationError
from tenaudit.policy import Decision, PolicyFile, PolicyGuard, PolicyMatrix
from tenaudit.security import Actor, SecurityContext
from tenaudit.testing.clock import ManualClock
from tests.unit.policy.policy_parts import ScriptedEngine, context

OLD = '[roles]\nEditor = ["write"]\nReader = ["read"]\n'
NEW = '[roles]\nEditor = ["write"]\nReader = ["read", "write"]\n[denial_names]\nwrite = "writing"\n'
START = 1_700_000_000.0


class _Scene:
    """A policy file on disk, its engine and its metrics."""

    def __init__(self, folder, text=OLD, **options):
        self.path = folder / "policy.toml"
        self.path.write_text(text, encoding="utf-8")
        self.registry, self.clock = CollectorRegistry(), ManualClock(START)
        self.engine = PolicyFile(self.path, clock=self.clock, registry=self.registry, **options)

    def replace(self, text):
        beside = self.path.with_name("policy.new")
        beside.write_text(text, encoding="utf-8")
        beside.replace(self.path)

    def look(self):
        self.clock.advance(5)
        return self.engine.maybe_reload()

    def reader_writes(self):
        return self.engine.decide(context("Reader"), "write").allowed

    def value(self, name):
        return self.registry.get_sample_value(name)


@pytest.fixture
def scene(tmp_path):
    return _Scene(tmp_path)


def test_it_answers_as_the_matrix_of_the_file(scene):
    assert scene.engine.matrix == PolicyMatrix.from_toml(scene.path)
    assert scene.engine.content_hash == scene.engine.matrix.content_hash
    assert scene.engine.decide(context("Editor"), "write", "x").granted_by == {"Editor"}
    assert (scene.reader_writes(), scene.engine.denial_name("write")) == (False, "write")
    assert scene.value("policy_last_reload_timestamp_seconds") == START
    assert scene.value("policy_reload_failures_total") == 0
    assert scene.engine.name == "matrix_file"


def test_reload_reads_at_once_and_says_what_changed(scene, caplog):
    caplog.set_level(logging.INFO, "tenaudit.policy")
    before = scene.engine.content_hash
    scene.path.write_text(NEW)
    scene.clock.advance(1)
    result = scene.engine.reload()
    assert (result.outcome, result.error) == ("loaded", "")
    assert result.changed == ("Reader write: deny -> allow", "denial name of write: its own -> writing")
    assert result.content_hash == scene.engine.content_hash == PolicyMatrix.from_toml_text(NEW).content_hash != before
    assert (scene.reader_writes(), scene.engine.denial_name("write")) == (True, "writing")
    assert scene.value("policy_last_reload_timestamp_seconds") == START + 1
    (record,) = caplog.records
    assert (record.levelname, record.action, record.message) == ("INFO", "policy_reloaded", "policy file read")
    assert (record.path, record.content_hash, record.changes, record.outcome) == (
        str(scene.path),
        result.content_hash,
        2,
        "loaded",
    )


def test_the_first_load_is_logged_too(tmp_path, caplog):
    caplog.set_level(logging.INFO, "tenaudit.policy")
    scene = _Scene(tmp_path)
    (record,) = caplog.records
    assert (record.action, record.content_hash) == ("policy_reloaded", scene.engine.content_hash)


def test_the_same_content_is_no_new_matrix(scene):
    kept = scene.engine.pinned()
    scene.replace("# a comment more\n" + OLD)
    scene.clock.advance(1)
    result = scene.engine.reload()
    assert (result.outcome, result.changed, result.content_hash) == ("unchanged", (), scene.engine.content_hash)
    assert scene.engine.pinned() is kept
    assert scene.value("policy_last_reload_timestamp_seconds") == START + 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"[roles\n", "line 1"),
        (NEW[:30].encode(), "at end of document"),
        (b"", "must be a table of roles"),
        (b'[roles]\nReader = ["read", "read"]\n', ":2: 'read' is listed twice"),
        (b"# caf\xe9\n" + OLD.encode(), "can't decode byte 0xe9"),
        (OLD.encode() + b"#" * 4096, "is larger than 4096 bytes"),
        (b"x = " + b"[" * 4000, "policy.toml"),
    ],
    ids=["no_toml", "half", "empty", "broken_rule", "latin", "oversize", "deep"],
)
def test_the_last_good_matrix_stays(tmp_path, text, message, caplog):
    scene = _Scene(tmp_path, max_bytes=4096)
    kept = scene.engine.pinned()
    scene.path.write_bytes(text)
    scene.clock.advance(1)
    result = scene.engine.reload()
    assert (result.outcome, result.changed, result.content_hash) == ("failed", (), kept.matrix.content_hash)
    assert message in result.error
    assert str(scene.path) in result.error
    assert scene.engine.pinned() is kept
    assert scene.value("policy_reload_failures_total") == 1
    assert scene.value("policy_last_reload_timestamp_seconds") == START
    (record,) = caplog.records
    assert (record.levelname, record.action, record.message) == ("ERROR", "policy_reload_failed", "policy file refused")
    assert (record.path, record.content_hash, record.failure) == (str(scene.path), result.content_hash, result.error)
    scene.path.write_text(NEW)
    assert scene.engine.reload().outcome == "loaded"


def test_a_file_of_the_largest_size_is_read(tmp_path):
    scene = _Scene(tmp_path, text=OLD.ljust(200, "#"), max_bytes=200)
    assert scene.engine.reload().outcome == "unchanged"


def test_a_megabyte_is_the_bound_by_default(tmp_path):
    scene = _Scene(tmp_path, text=OLD + "#" * (1024 * 1024 - len(OLD)))
    scene.path.write_text(OLD + "#" * (1024 * 1024 - len(OLD) + 1))
    assert "is larger than 1048576 bytes" in scene.engine.reload().error


def _missing(path):
    path.unlink()


def _folder(path):
    path.unlink()
    path.mkdir()


def _pipe(path):
    path.unlink()
    os.mkfifo(path)


def _device(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def _loop(path):
    path.unlink()
    path.symlink_to(path.name)


@pytest.mark.parametrize("spoil", [_missing, _folder, _pipe, _device, _loop])
def test_what_is_no_file_keeps_the_last_good_matrix(scene, spoil):
    spoil(scene.path)
    assert str(scene.path) in scene.engine.reload().error
    assert scene.engine.decide(context("Editor"), "write").allowed


@pytest.mark.parametrize("text", ["[roles\n", None])
def test_without_a_first_good_file_there_is_no_engine(tmp_path, text):
    if text is not None:
        (tmp_path / "policy.toml").write_text(text)
    with pytest.raises(ConfigurationError, match=r"policy\.toml"):
        PolicyFile(tmp_path / "policy.toml", registry=CollectorRegistry())


def test_a_negative_pause_is_refused(scene):
    with pytest.raises(ConfigurationError, match="check_every must be 0 or more seconds, not -1"):
        PolicyFile(scene.path, registry=CollectorRegistry(), check_every=-1)


def test_a_path_that_no_system_has_is_a_configuration_error():
    with pytest.raises(ConfigurationError, match="null byte"):
        PolicyFile("policy\0.toml", registry=CollectorRegistry())


def test_it_works_on_the_machines_clock(scene):
    engine = PolicyFile(scene.path, registry=CollectorRegistry(), check_every=0)
    assert engine.decide(context("Editor"), "write").allowed
    assert engine.maybe_reload() is None


def test_a_change_is_read_at_the_second_look(scene):
    scene.replace(NEW)
    scene.clock.advance(4.9)
    assert scene.engine.maybe_reload() is None
    assert not scene.reader_writes()
    scene.clock.advance(0.1)
    assert scene.engine.maybe_reload() is None
    assert scene.engine.maybe_reload() is None
    scene.clock.advance(4.9)
    assert scene.engine.maybe_reload() is None
    assert not scene.reader_writes()
    scene.clock.advance(0.1)
    assert scene.engine.maybe_reload().outcome == "loaded"
    assert scene.reader_writes()
    assert scene.look() is None
    assert scene.look() is None


def test_checks_alone_bring_the_change_in(scene):
    scene.replace(NEW)
    allowed = []
    for _ in range(4):
        scene.clock.advance(5)
        allowed.append(scene.reader_writes())
    assert allowed == [False, True, True, True]


def test_a_file_that_is_still_being_written_is_left_alone(scene):
    for size in (20, 40, len(NEW)):
        scene.path.write_text(NEW[:size])
        assert scene.look() is None
    assert scene.look().outcome == "loaded"
    assert scene.value("policy_reload_failures_total") == 0


def test_a_file_that_keeps_its_size_and_times_is_seen_by_its_inode(scene):
    status = scene.path.stat()
    scene.replace(OLD.replace("Reader", "Writer"))
    os.utime(scene.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert [scene.look() is None, scene.look().outcome] == [True, "loaded"]
    assert scene.engine.matrix.roles == ("Editor", "Writer")


def test_the_symlink_swap_of_a_config_map_is_seen(tmp_path):
    for version, text in (("..1", OLD), ("..2", NEW)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "policy.toml").write_text(text)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "policy.toml").symlink_to("..data/policy.toml")
    clock = ManualClock()
    engine = PolicyFile(tmp_path / "policy.toml", clock=clock, registry=CollectorRegistry())
    (tmp_path / "..tmp").symlink_to("..2")
    (tmp_path / "..tmp").replace(tmp_path / "..data")
    for _ in range(2):
        clock.advance(5)
        engine.maybe_reload()
    assert engine.denial_name("write") == "writing"


def test_a_missing_file_is_counted_at_each_look_and_logged_once(scene, caplog):
    scene.path.unlink()
    assert [scene.look().outcome for _ in range(3)] == ["failed"] * 3
    assert (scene.value("policy_reload_failures_total"), len(caplog.records)) == (3, 1)
    scene.path.write_text("[roles\n")
    results = [scene.look() for _ in range(3)]
    assert [result and result.outcome for result in results] == [None, "failed", "failed"]
    assert (scene.value("policy_reload_failures_total"), len(caplog.records)) == (5, 2)
    scene.engine.reload()
    assert len(caplog.records) == 3
    scene.path.write_text(NEW)
    scene.look()
    assert scene.look().outcome == "loaded"
    scene.path.unlink()
    scene.look()
    assert len(caplog.records) == 4


def test_a_failure_that_comes_back_after_a_good_read_is_logged_again(scene, caplog):
    for _ in range(2):
        scene.path.unlink()
        scene.look()
        scene.path.write_text(NEW)
        scene.engine.reload()
    assert [record.action for record in caplog.records] == ["policy_reload_failed"] * 2


def test_a_signal_asks_for_a_reload_at_the_next_check(scene):
    before = signal.signal(signal.SIGHUP, scene.engine.handle_signal)
    try:
        scene.replace(NEW)
        os.kill(os.getpid(), signal.SIGHUP)
        assert scene.reader_writes()
    finally:
        signal.signal(signal.SIGHUP, before)
    # Once: the next look is a look again.
    scene.replace(OLD)
    assert scene.engine.maybe_reload() is None
    assert scene.look() is None
    assert scene.look().outcome == "loaded"


def test_a_signal_that_finds_nothing_new_reloads_nothing(scene):
    scene.engine.handle_signal()
    assert scene.engine.maybe_reload().outcome == "unchanged"


class _Held:
    """A clock that stops the thread that reads wall time until a test lets it go."""

    def __init__(self):
        self.inside, self.go = threading.Event(), threading.Event()
        self.now, self.armed = 0.0, False

    def monotonic(self):
        return self.now

    def time_ns(self):
        if self.armed:
            self.inside.set()
            assert self.go.wait(30)
        return 0


def test_a_reader_never_waits_for_a_reload(tmp_path):
    path, clock = tmp_path / "policy.toml", _Held()
    path.write_text(OLD)
    engine = PolicyFile(path, clock=clock, registry=CollectorRegistry())
    path.write_text(NEW)
    clock.armed = True
    results = []
    writer = threading.Thread(target=lambda: results.append(engine.reload()))
    writer.start()
    try:
        assert clock.inside.wait(30)
        clock.now = 100.0
        assert engine.maybe_reload() is None
        # The reload has swapped its one reference already, so this reader has the whole new matrix.
        assert engine.decide(context("Reader"), "write").allowed
    finally:
        clock.go.set()
        writer.join(30)
    assert [result.outcome for result in results] == ["loaded"]


def test_an_anonymous_actor_is_refused_also_after_a_reload(tmp_path):
    scene = _Scene(tmp_path, require_actor=True)
    ctx = context("Editor")
    nobody = SecurityContext(ctx.tenant_id, Actor(None, "anonymous"), ctx.roles, ctx.trace)
    assert scene.engine.decide(nobody, "write").reason == "anonymous_actor"
    scene.path.write_text(NEW)
    scene.engine.reload()
    assert scene.engine.decide(nobody, "write").reason == "anonymous_actor"
    assert PolicyFile(scene.path, registry=CollectorRegistry()).decide(nobody, "write").allowed


def test_a_guard_times_it_as_the_matrix_that_it_is(scene):
    guard = PolicyGuard(scene.engine, registry=scene.registry)
    for _ in range(128):
        guard.check(context("Editor"), "write")
    labels = {"engine": "matrix"}
    assert scene.registry.get_sample_value("capability_eval_seconds_count", labels) == 2
    assert scene.registry.get_sample_value("capability_eval_seconds_count", {"engine": "matrix_file"}) is None
    other = ScriptedEngine(Decision(True, "write", "granted"))
    for _ in range(3):
        guard.check(context("Editor"), "write", engine=other)
    assert scene.registry.get_sample_value("capability_eval_seconds_count", {"engine": "scripted"}) == 3


def test_a_file_that_is_written_while_it_is_read_is_refused(tmp_path):
    scene = _Scene(tmp_path, text=OLD + "#" * 500_000)
    stop = threading.Event()

    def write():
        with scene.path.open("r+b") as file:
            while not stop.is_set():
                file.seek(len(OLD))
                file.write(b"#")
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        deadline = time.monotonic() + 30
        errors = {scene.engine.reload().error}
        while not any("was written while it was read" in error for error in errors):
            assert time.monotonic() < deadline
            errors.add(scene.engine.reload().error)
    finally:
        stop.set()
        writer.join(30)
    assert scene.engine.reload().outcome == "unchanged"


@pytest.mark.parametrize("spoil", [_pipe, _device])
def test_what_is_no_file_is_called_so(scene, spoil):
    spoil(scene.path)
    result = scene.engine.reload()
    assert (result.outcome, result.error) == ("failed", f"{scene.path}: is no regular file")


def test_a_look_in_one_thread_keeps_no_other_from_reading(scene):
    scene.look()
    scene.path.write_text(NEW)
    results = []
    thread = threading.Thread(target=lambda: results.append(scene.engine.reload()), daemon=True)
    thread.start()
    thread.join(10)
    assert [result.outcome for result in results] == ["loaded"]
