"""The log: what is in it, who may read it, and that many processes may write it at once."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

import keyfob_audit
import pytest
from keyfob.plugin import Event

KEY = "sk-canary-0123456789"
WRITER = """
import sys
import keyfob_audit
from keyfob.plugin import Event
keyfob_audit.LARGEST, keyfob_audit.KEPT = 20_000, 100  # some pages, and a line across two is written in two steps
for number in range(250):
    keyfob_audit.keyfob_event(Event("renewal", f"{sys.argv[1]}-{number}", 0.0, "oauth"))
"""


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Where it is."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("KEYFOB_AUDIT_LOG", raising=False)
    return tmp_path / "state" / "keyfob" / "audit.jsonl"


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_says_what_is_known(log):
    """With the time for people, and which process it was."""
    keyfob_audit.keyfob_event(Event("refused", "corp", 1_700_000_000.25, "oauth", code="invalid_grant"))
    assert lines(log) == [
        {
            "time": "2023-11-14T22:13:20.250+00:00",
            "kind": "refused",
            "provider": "corp",
            "plugin": "oauth",
            "code": "invalid_grant",
            "process": os.getpid(),
        }
    ]


def test_it_is_for_its_owner_alone(log):
    """File, folder and what was put aside; a link in its place is not followed."""
    keyfob_audit.keyfob_event(Event("login", "corp", 0.0, "oauth"))
    keyfob_audit.LARGEST, before = 1, keyfob_audit.LARGEST
    try:
        keyfob_audit.keyfob_event(Event("login", "corp", 0.0, "oauth"))
    finally:
        keyfob_audit.LARGEST = before
    assert log.parent.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in log.parent.iterdir()} == {
        "audit.jsonl.1": 0o600,
        "audit.jsonl.lock": 0o600,
    }
    log.symlink_to(log.parent / "elsewhere")
    with pytest.raises(OSError, match=r"audit\.jsonl"):
        keyfob_audit.keyfob_event(Event("login", "corp", 0.0, "oauth"))


def test_the_place_can_be_another(log, monkeypatch, tmp_path):
    """An absolute path; one that is not lies where the log is by default."""
    for name, path in {str(tmp_path / "x.log"): tmp_path / "x.log", "y.log": log.parent / "y.log"}.items():
        monkeypatch.setenv("KEYFOB_AUDIT_LOG", name)
        keyfob_audit.keyfob_event(Event("login", "corp", 0.0, "oauth"))
        assert len(lines(path)) == 1


def test_a_line_that_was_cut_off_spoils_no_other(log):
    """As after a power cut."""
    log.parent.mkdir(parents=True)
    log.write_text('{"time": "20')
    keyfob_audit.keyfob_event(Event("login", "corp", 0.0, "oauth"))
    cut, whole = log.read_text().splitlines()
    assert (cut, json.loads(whole)["kind"]) == ('{"time": "20', "login")


def test_a_line_that_is_being_written_is_not_taken_for_one_that_was_cut_off(log):
    """A writer's line is there in part before it is there whole: another one waits."""
    keyfob_audit.keyfob_event(Event("login", "corp", 0.0, "oauth"))
    with log.open("a") as writer:
        fcntl.flock(writer, fcntl.LOCK_EX)
        writer.write('{"kind": ')
        writer.flush()
        other = Thread(target=keyfob_audit.keyfob_event, args=[Event("logout", "corp", 0.0, "oauth")])
        other.start()
        other.join(0.2)
        writer.write('"renewal"}\n')
    other.join()
    assert [line["kind"] for line in lines(log)] == ["login", "renewal", "logout"]


def test_only_the_newest_are_kept(log, monkeypatch):
    """What is put aside moves on by one, and is gone in the end."""
    monkeypatch.setattr(keyfob_audit, "LARGEST", 1)
    monkeypatch.setattr(keyfob_audit, "KEPT", 3)
    for number in range(9):
        keyfob_audit.keyfob_event(Event("login", str(number), 0.0, "oauth"))
    left = {path.name: lines(path)[0]["provider"] for path in log.parent.glob("audit.jsonl.[0-9]")}
    assert left == {"audit.jsonl.1": "8", "audit.jsonl.2": "7", "audit.jsonl.3": "6"}


def test_one_process_rotates_at_a_time(log, monkeypatch):
    """Whoever finds another one at it goes on; whoever comes too late finds it done."""
    monkeypatch.setattr(keyfob_audit, "LARGEST", 1)
    log.parent.mkdir(parents=True)
    with open(f"{log}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keyfob_audit.keyfob_event(Event("login", "corp", 0.0, "oauth"))
        assert len(lines(log)) == 1
    keyfob_audit.rotate(str(log))
    keyfob_audit.rotate(str(log))
    assert not log.exists()
    assert len(lines(log.with_name("audit.jsonl.1"))) == 1


def test_eight_processes_lose_no_line_and_break_none(log):
    """While they rotate it under each other's hands."""
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(number)]) for number in range(8)]
    assert [writer.wait(60) for writer in writers] == [0] * 8
    files = [path for path in log.parent.iterdir() if path.suffix != ".lock"]
    written = [line["provider"] for path in files for line in lines(path)]
    assert sorted(written) == sorted(f"{writer}-{number}" for writer in range(8) for number in range(250))
    assert len(files) > 2


def test_keyfob_tells_it_of_a_login_and_of_its_end(log, tmp_path):
    """As installed: each once, with the place of the login and nothing of the key."""
    (tmp_path / "config.toml").write_text(
        '[model_providers.lab]\nbase_url = "https://lab.example/v1"\nenv_key = "LAB_KEY"\n'
    )
    environ = {**os.environ, "CODEX_HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    for arguments in (["login", "lab", "--with-api-key"], ["status", "lab"], ["logout", "lab"]):
        command = [sys.executable, "-m", "keyfob", *arguments]
        subprocess.run(command, env=environ, input=KEY, text=True, check=True, capture_output=True, timeout=60)
    assert [(line["kind"], line["provider"], line["plugin"]) for line in lines(log)] == [
        ("login", "lab", "envkey"),
        ("logout", "lab", "envkey"),
    ]
    assert all(Path(line["place"]).is_relative_to(tmp_path) for line in lines(log))
    assert "canary" not in log.read_text()
