"""Locks among processes: held by one, left by whoever ends, never stolen, and no business of a forked child."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from keyfob.errors import LockedError, StoreError
from keyfob.stores.file import FileStore, codex_locks
from keyfob.stores.locks import locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLD = """
import sys
from keyfob.stores.locks import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "auth.json.keyfob.lock")


@contextmanager
def holder(path: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock until its stdin is closed."""
    command = [sys.executable, "-c", HOLD, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"held\n"
        try:
            yield process
        finally:
            process.kill()


def free(path: str) -> bool:
    """Whether the lock could be had."""
    with open(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


class TestProcesses:
    @pytest.mark.slow
    def test_names_the_holder(self, path: str) -> None:
        """Who waits in vain is told which process holds it."""
        with holder(path) as process:
            with pytest.raises(LockedError) as caught, locked(path, wait=0.01):
                pass
            assert str(caught.value) == f"{path} is held by process {process.pid}"
            assert not free(path)

    def test_a_holder_that_does_not_sign(self, path: str) -> None:
        """A lock that another program holds has a holder without a name; what its file says is not repeated."""
        with open(path, "w") as file:
            file.write("rt-canary")
            file.flush()
            fcntl.flock(file, fcntl.LOCK_EX)
            with pytest.raises(LockedError, match="is held by another process"), locked(path, wait=0):
                pass

    @pytest.mark.slow
    def test_left_by_who_is_killed(self, path: str) -> None:
        """Nothing has to be cleared away after a process that died."""
        with holder(path) as process:
            process.kill()
            process.wait()
            with locked(path, wait=5):
                assert not free(path)

    @pytest.mark.slow
    def test_not_stolen_from_who_is_stopped(self, path: str) -> None:
        """A holder that does not move is waited for until the deadline, and keeps the lock."""
        with holder(path) as process:
            process.send_signal(signal.SIGSTOP)
            try:
                with pytest.raises(LockedError), locked(path, wait=0.05):
                    pass
                assert not free(path)
            finally:
                process.send_signal(signal.SIGCONT)

    @pytest.mark.slow
    def test_handed_on(self, path: str) -> None:
        """Who waits gets it when the holder leaves it."""
        with holder(path) as process:
            assert process.stdin
            threading.Timer(0.02, process.stdin.close).start()
            with locked(path, wait=20):
                assert process.wait(20) == 0


class TestThreads:
    def test_exclude_each_other(self, path: str) -> None:
        """Threads of one process wait for each other as processes do."""
        inside, most = [], []

        def enter() -> None:
            for _ in range(5):
                with locked(path):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()

        threads = [threading.Thread(target=enter) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == [1] * 40

    def test_not_twice_in_one_thread(self, path: str) -> None:
        """It is not re-entered."""
        with locked(path), pytest.raises(LockedError), locked(path, wait=0):
            pass

    def test_left_with_an_error(self, path: str) -> None:
        """An error inside leaves it."""
        with pytest.raises(ZeroDivisionError), locked(path):
            raise ZeroDivisionError
        assert free(path)

    def test_no_descriptor_stays_open(self, path: str) -> None:
        """Neither held nor refused, it costs a descriptor afterwards."""
        before = os.listdir("/proc/self/fd")
        for _ in range(3):
            with locked(path), pytest.raises(LockedError), locked(path, wait=0):
                pass
        assert os.listdir("/proc/self/fd") == before


def forked(body) -> int:
    """Run `body` in a forked child; its exit code."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = body()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
class TestForks:
    def test_the_child_does_not_unlock(self, path: str) -> None:
        """A child that was forked inside closes the lock, and the parent holds it on, also after the child left."""

        def body() -> int:
            try:
                with locked(path, wait=0):
                    return 1
            except LockedError:
                return 0

        with locked(path):
            assert forked(body) == 0
            assert not free(path)

    def test_the_child_leaves_the_block(self, path: str) -> None:
        """A child that comes to the end of the block unlocks nothing, and closes no lock that it took since."""
        outer, own = locked(path), f"{path}.own"

        def body() -> int:
            with locked(own):  # it gets the number of the descriptor that was closed
                outer.__exit__(None, None, None)
                return int(free(own) or free(path))

        outer.__enter__()
        try:
            assert forked(body) == 0
            assert not free(path)
        finally:
            outer.__exit__(None, None, None)

    def test_the_parents_leave_is_enough(self, path: str) -> None:
        """A child that has the file open behind our back does not keep the lock when the parent leaves it."""
        with locked(path):
            numbers = {os.path.realpath(f"/proc/self/fd/{each}"): int(each) for each in os.listdir("/proc/self/fd")}
            behind = os.dup(numbers[path])
        try:
            assert free(path)
        finally:
            os.close(behind)


class TestNoLock:
    def test_no_folder(self, tmp_path: Path) -> None:
        """Where no lock file can be made, no renewal may begin."""
        with pytest.raises(StoreError, match=r"no lock can be taken on .*: No such file"), locked(f"{tmp_path}/a/b"):
            pass

    def test_a_link(self, path: str, tmp_path: Path) -> None:
        """A link in its place is not followed: what it leads to would be overwritten."""
        victim = tmp_path / "victim"
        victim.write_text("mine")
        os.symlink(victim, path)
        with pytest.raises(StoreError, match="no lock can be taken"), locked(path):
            pass
        assert victim.read_text() == "mine"

    @pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
    def test_no_locks_on_this_file_system(self, path: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file system without locks is named as what is in the way."""

        def refuse(*_: object) -> None:
            raise OSError(code, "No locks available")

        monkeypatch.setattr(fcntl, "flock", refuse)
        with pytest.raises(StoreError, match="cannot be locked on this file system: No locks available"), locked(path):
            pass


class TestCodex:
    def test_order_and_modes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Codex's two locks are taken in its order, with its modes and with flock, and only around a commit."""
        path = str(tmp_path / "auth.json")
        store = FileStore(path, writers=codex_locks(str(tmp_path)))
        locks = [tmp_path / "auth.lock", tmp_path / "auth.json.lock"]
        taken = []
        flock = fcntl.flock

        def watching(descriptor, operation: int) -> None:
            flock(descriptor, operation)
            if isinstance(descriptor, int) and operation != fcntl.LOCK_UN:
                taken.append(os.readlink(f"/proc/self/fd/{descriptor}"))

        monkeypatch.setattr(fcntl, "flock", watching)
        before = os.umask(0o022)
        try:
            with store.lock():
                assert not any(lock.exists() for lock in locks)
                with store.writing():
                    assert taken == [f"{path}.keyfob.lock", *map(str, locks)]
                    assert [oct(lock.stat().st_mode & 0o777) for lock in locks] == ["0o644", "0o600"]
                assert all(free(str(lock)) for lock in locks)
                assert not free(f"{path}.keyfob.lock")
        finally:
            os.umask(before)
        assert all(lock.read_bytes() == b"" for lock in locks)  # they stay behind empty, as Codex leaves them

    def test_held_by_codex(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """While Codex writes, keyfob waits; if it never ends, the error names the lock."""
        monkeypatch.setattr("keyfob.stores.sidecar._WRITERS", 0.02)
        store = FileStore(str(tmp_path / "auth.json"), writers=codex_locks(str(tmp_path)))
        with (tmp_path / "auth.json.lock").open("w") as theirs:
            fcntl.flock(theirs, fcntl.LOCK_EX)
            with pytest.raises(LockedError, match=r"auth\.json\.lock is held by another process"), store.writing():
                pass
        assert free(str(tmp_path / "auth.lock"))
