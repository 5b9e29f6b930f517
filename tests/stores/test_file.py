"""The file store: one record in one private file, replaced whole, that lies where the user put it."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from keyfob.credentials.journal import Intent, Journal, Stage
from keyfob.errors import DamagedLoginError, LockedError, StoreError
from keyfob.stores import file as file_module
from keyfob.stores import mounts as mounts_module
from keyfob.stores import private, sidecar
from keyfob.stores.file import FileStore, codex_locks
from keyfob.stores.mounts import is_mount_point, mounts
from keyfob.stores.sidecar import STAGE_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keyfob.errors import Fault

SECRET = "rt-canary"
RECORD: dict[str, Any] = {
    "auth_mode": "chatgpt",
    "OPENAI_API_KEY": None,
    "tokens": {"refresh_token": SECRET, "account_id": "käse"},
    "later": [1, {}, []],
}
# What Codex's own serializer makes of it.
AS_CODEX = (
    '{\n  "auth_mode": "chatgpt",\n  "OPENAI_API_KEY": null,\n  "tokens": {\n    "refresh_token": "rt-canary",\n'
    '    "account_id": "käse"\n  },\n  "later": [\n    1,\n    {},\n    []\n  ]\n}'
).encode()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "auth.json")


@pytest.fixture(params=[0, 0o022, 0o077], ids=oct)
def umask(request) -> Iterator[int]:
    """What whoever starts the program has set."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode_of(path: str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def put(path: str, content: bytes | str) -> None:
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else content.encode())
    os.chmod(path, 0o600)


def whole(store: FileStore) -> None:
    """Everything a renewal writes, in its order."""
    with store.lock():
        store.prepare(RECORD)
        store.note(Journal(intent=Intent("f", sent=True)))
        store.put_stage(Stage("f", b"{}", 1.0))
        with store.writing():
            store.write(RECORD)
        store.drop_stage()
        store.note(Journal())


class TestWriting:
    def test_as_codex_writes_it(self, path: str) -> None:
        """Two blanks of indent, no newline at the end, letters as they are, fields in their order."""
        FileStore(path).write(RECORD)
        assert Path(path).read_bytes() == AS_CODEX

    def test_half_a_surrogate_pair(self, path: str) -> None:
        """What JSON can hold and UTF-8 cannot is there again after it was written."""
        odd = {"name": "\ud800 and \U0001f600"}
        FileStore(path).write(odd)
        assert FileStore(path).read() == odd

    def test_private_from_the_first_byte(self, path: str, umask: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whatever the umask, no file that holds a secret could ever be opened by others."""
        modes: dict[str, int] = {}
        opened = os.open

        def watching(name: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            descriptor = opened(name, flags, *args, **kwargs)
            if flags & os.O_CREAT:
                modes[os.path.basename(name)] = stat.S_IMODE(os.fstat(descriptor).st_mode)
            return descriptor

        put(path, AS_CODEX)
        os.chmod(path, 0o644)
        monkeypatch.setattr(os, "open", watching)
        whole(FileStore(path, writers=codex_locks(os.path.dirname(path))))
        public = modes.pop("auth.lock")
        assert public == 0o644 & ~umask  # as Codex makes it; nothing is ever written into it
        assert set(modes.values()) == {0o600}, modes
        assert {"auth.json.keyfob.new", "auth.json.keyfob.stage.new", "auth.json.lock", "auth.json.keyfob.lock"} == set(
            modes
        )
        assert mode_of(path) == 0o600

    def test_folders_are_private(self, tmp_path: Path, umask: int) -> None:
        """Every folder that a first login makes is for its user alone."""
        store = FileStore(str(tmp_path / "keyfob" / "envkey" / "lab.json"))
        with store.lock():
            store.write(RECORD)
        assert mode_of(str(tmp_path / "keyfob")) == mode_of(str(tmp_path / "keyfob" / "envkey")) == 0o700

    def test_a_link_stays(self, path: str, tmp_path: Path) -> None:
        """The target of a link is replaced; lock, journal and stage lie beside the target."""
        target = tmp_path / "dotfiles" / "codex.json"
        target.parent.mkdir()
        os.symlink(target, path)
        put(str(target), b"{}")
        whole(FileStore(path))
        assert os.path.islink(path)
        assert target.read_bytes() == AS_CODEX
        beside = {"codex.json", "codex.json.keyfob.lock", "codex.json.keyfob.journal"}
        assert {each.name for each in target.parent.iterdir()} == beside

    def test_a_link_made_meanwhile(self, path: str, tmp_path: Path) -> None:
        """A file that became a link while the program ran is still not replaced by a file."""
        put(path, AS_CODEX)
        store = FileStore(path)
        assert store.read() == RECORD
        target = tmp_path / "elsewhere" / "auth.json"
        target.parent.mkdir()
        os.rename(path, target)
        os.symlink(target, path)
        with store.lock():
            store.write({})
        assert os.path.islink(path)
        assert target.read_bytes() == b"{}"
        assert os.path.exists(f"{target}.keyfob.lock")

    def test_what_a_killed_writer_left(self, path: str) -> None:
        """One temporary file at most is left by a process that was killed, and the next writer uses it up."""
        put(f"{path}.keyfob.new", b'{"tokens": "of a killed process, and longer than what comes after it"')
        os.chmod(f"{path}.keyfob.new", 0o400)
        FileStore(path).write({})
        assert os.listdir(os.path.dirname(path)) == ["auth.json"]
        assert Path(path).read_bytes() == b"{}"

    def test_a_planted_link_is_not_followed(self, path: str, tmp_path: Path) -> None:
        """A link in the place of a temporary file leads nowhere."""
        victim = tmp_path / "victim"
        victim.write_bytes(b"mine")
        for name in ("new", "stage.new"):
            os.symlink(victim, f"{path}.keyfob.{name}")
        put(path, AS_CODEX)
        whole(FileStore(path))
        assert victim.read_bytes() == b"mine"
        assert not os.path.islink(path)

    @pytest.mark.parametrize("broken", ["fsync", "replace"])
    def test_a_failure_changes_nothing(self, path: str, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A write that fails leaves the record as it was, and no temporary file."""

        def fail(*_: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        put(path, AS_CODEX)
        monkeypatch.setattr(os, broken, fail)
        with pytest.raises(StoreError, match=r"auth\.json cannot be written: Input/output error"):
            FileStore(path).write({})
        assert os.listdir(os.path.dirname(path)) == ["auth.json"]
        assert Path(path).read_bytes() == AS_CODEX

    def test_a_file_system_without_fsync_for_folders(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where a folder cannot be synchronized at all, a record is written none the less."""
        real = os.fsync

        def fsync(descriptor: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "Invalid argument")
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        FileStore(path).write(RECORD)
        assert FileStore(path).read() == RECORD

    @pytest.mark.slow
    def test_readers_see_one_or_the_other(self, path: str) -> None:
        """While it is replaced, a reader finds the old record or the new one, never a part."""
        store, long = FileStore(path), {"n": "x" * 200_000}
        store.write({})
        done, found = threading.Event(), []

        def read() -> None:
            while not done.is_set():
                found.append(store.read() in ({}, long))

        reader = threading.Thread(target=read)
        reader.start()
        for turn in range(20):
            store.write(long if turn % 2 else {})
        done.set()
        reader.join()
        assert found
        assert all(found)


class TestReading:
    def test_none(self, path: str) -> None:
        """Only where nothing is, there is no login."""
        assert FileStore(path).read() is None
        assert FileStore(f"{path}/deeper/auth.json").read() is None

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"", "is empty"),
            (b" \n", "is empty"),
            (AS_CODEX[:-9], "is not JSON (line "),
            (b'["rt-canary"]', "is not a JSON object"),
            (b'"rt-canary"', "is not a JSON object"),
            (b"{" + b" " * 10_000_000 + b"}", "is larger than 1 MiB"),
            (b"\x00\xff\xfert-canary", "is not UTF-8 text"),
            (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "is not JSON that can be read"),
            (b'{"a": ' + b"9" * 10_000 + b"}", "is not JSON that can be read"),
        ],
        ids=["empty", "blank", "truncated", "array", "text", "10 MB", "binary", "deep", "huge number"],
    )
    def test_damaged(self, path: str, content: bytes, said: str) -> None:
        """What cannot be read is said in a sentence of its own, without a word of what the file holds."""
        put(path, content)
        with pytest.raises(DamagedLoginError) as caught:
            FileStore(path).read()
        assert said in str(caught.value)
        assert path in str(caught.value)
        assert "canary" not in f"{caught.value} {caught.value.hint}"
        assert Path(path).read_bytes() == content

    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (os.mkdir, "is a folder"),
            (os.mkfifo, "is not an ordinary file"),
            (lambda path: os.symlink("/dev/zero", path), "is not an ordinary file"),
            (lambda path: os.symlink(f"{path}.gone", path), "auth.json.gone, which is not there"),
        ],
        ids=["folder", "pipe", "device", "dangling"],
    )
    def test_no_file(self, path: str, make: Callable[[str], None], said: str) -> None:
        """A folder, a pipe and a dangling link are damage too, and nobody waits for the pipe's other end."""
        make(path)
        before = os.listdir("/proc/self/fd")
        with pytest.raises(DamagedLoginError) as caught:
            FileStore(path).read()
        assert said in str(caught.value)
        assert os.listdir("/proc/self/fd") == before

    def test_a_link_to_itself(self, path: str) -> None:
        """That is an error of the place, not a missing login."""
        os.symlink(path, path)
        with pytest.raises(StoreError, match=r"auth\.json cannot be read: Too many levels"):
            FileStore(path).read()

    @pytest.mark.parametrize("name", ["journal", "stage"])
    def test_a_folder_in_the_place_of_what_lies_beside(self, path: str, name: str) -> None:
        """It is named, with what is wrong."""
        os.mkdir(f"{path}.keyfob.{name}")
        with pytest.raises(StoreError, match=rf"keyfob\.{name} cannot be read: is a folder"):
            getattr(FileStore(path), name)()

    def test_others_can_read_it(self, path: str) -> None:
        """A login that others can read is used, with one warning that says how to mend it."""
        put(path, AS_CODEX)
        os.chmod(path, 0o640)
        warned: list[Fault] = []
        store = FileStore(path, warn=warned.append)
        assert store.read() == store.read() == RECORD
        assert [str(each) for each in warned] == [f"{path}: others can read this login (chmod 600 {path})"]

    def test_a_private_one_needs_no_warning(self, path: str) -> None:
        """Nothing is said of a file that is for its user alone."""
        put(path, AS_CODEX)
        warned: list[Fault] = []
        FileStore(path, warn=warned.append).read()
        assert not warned


class TestStamp:
    def test_changes_with_the_record(self, path: str) -> None:
        """A record that was replaced, edited in its place or removed has another stamp; a link is looked through."""
        link = f"{path}.link"
        os.symlink(path, link)
        store = FileStore(link)
        stamps = [store.stamp()]
        store.write(RECORD)
        stamps.append(store.stamp())
        store.write(RECORD)
        stamps.append(store.stamp())
        with open(path, "a") as file:
            file.write(" ")
        stamps.append(store.stamp())
        assert len(set(stamps)) == len(stamps)
        assert store.stamp() == stamps[-1]
        os.unlink(path)
        assert store.stamp() == stamps[0]


class TestPreparing:
    def test_room_for_the_stage(self, path: str) -> None:
        """Its room is taken on the disk before anything is spent, and the stage is no longer than the answer."""
        put(path, AS_CODEX)
        store = FileStore(path)
        store.prepare(RECORD)
        prepared = os.stat(f"{path}.keyfob.stage.new")
        assert prepared.st_size == STAGE_SIZE
        assert prepared.st_blocks * 512 >= STAGE_SIZE
        stage = Stage("f", b"short", 1.0)
        store.put_stage(stage)
        assert store.stage() == stage
        assert Path(f"{path}.keyfob.stage").read_bytes() == stage.dumped()

    @pytest.mark.parametrize("code", [errno.EINVAL, errno.EOPNOTSUPP])
    def test_room_without_the_systems_help(self, path: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where the file system cannot put room by, it is taken by writing."""

        def refuse(*_: object) -> None:
            raise OSError(code, "no")

        put(path, AS_CODEX)
        monkeypatch.setattr(os, "posix_fallocate", refuse)
        FileStore(path).prepare(RECORD)
        assert os.stat(f"{path}.keyfob.stage.new").st_size == STAGE_SIZE

    def test_no_room(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where there is none, that is said, and nothing is left behind."""

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        put(path, AS_CODEX)
        monkeypatch.setattr(os, "posix_fallocate", full)
        with pytest.raises(StoreError, match="cannot be written: No space left on device"):
            FileStore(path).prepare(RECORD)
        assert os.listdir(os.path.dirname(path)) == ["auth.json"]

    def test_a_stage_whose_room_was_removed(self, path: str) -> None:
        """An answer that was paid for is kept even if somebody removed the file that was put by for it."""
        put(path, AS_CODEX)
        store = FileStore(path)
        store.put_stage(Stage("f", b"answer", 1.0))
        assert store.stage() == Stage("f", b"answer", 1.0)
        assert mode_of(f"{path}.keyfob.stage") == 0o600

    def test_a_stage_without_its_name(self, path: str) -> None:
        """An answer that was written whole is found, also if its writer was killed then; a part of one is not."""
        put(path, AS_CODEX)
        store = FileStore(path)
        store.put_stage(Stage("earlier", b"answer", 1.0))
        store.prepare(RECORD)
        assert store.stage() == Stage("earlier", b"answer", 1.0)
        later = Stage("later", b"another answer", 2.0)
        put(f"{path}.keyfob.stage.new", later.dumped())
        assert store.stage() == later
        put(f"{path}.keyfob.stage.new", later.dumped()[:-1])
        assert store.stage() == Stage("earlier", b"answer", 1.0)
        with store.lock():
            store.drop_stage()
        assert store.stage() is None

    def test_another_users_file(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A login in somebody else's file is not renewed, and none is made for that place."""
        put(path, AS_CODEX)
        monkeypatch.setattr(os, "geteuid", lambda: os.stat(path).st_uid + 1)
        for look in (lambda: FileStore(path).prepare(RECORD), lambda: FileStore(path).probe(1)):
            with pytest.raises(StoreError, match="belongs to another user"):
                look()
        assert os.listdir(os.path.dirname(path)) == ["auth.json"]

    def test_a_mount_point(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A file that is mounted by itself cannot be replaced, so its login is not renewed, and none is made for it."""
        put(path, AS_CODEX)
        monkeypatch.setattr(file_module, "is_mount_point", lambda found: found == path)
        for look in (lambda: FileStore(path).prepare(RECORD), lambda: FileStore(path).probe(1)):
            with pytest.raises(StoreError, match="is a mount point") as caught:
                look()
            assert caught.value.hint == "mount the folder that it is in instead"

    def test_room_for_a_new_login_is_looked_for(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where there is none yet, too; nothing is left behind. A disk without room is told."""
        folder = os.path.join(os.path.dirname(path), "new")
        FileStore(os.path.join(folder, "auth.json")).probe(1)
        assert os.listdir(folder) == []

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        put(path, AS_CODEX)
        monkeypatch.setattr(private, "_put_by", full)
        with pytest.raises(StoreError, match=r"cannot be written: No space left"):
            FileStore(path).probe(1)
        assert sorted(os.listdir(os.path.dirname(path))) == ["auth.json", "new"]

    def test_which_paths_are_mount_points(self, path: str) -> None:
        """The kernel's own list is read: it knows bind mounts too."""
        put(path, b"")
        assert is_mount_point("/proc")
        assert not is_mount_point(path)

    def test_names_of_mount_points(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """The list has blanks and the like as digits; they are the letters that a path has."""
        listed = Path(f"{path}.list")
        listed.write_text("31 1 8:2 / /my\\040disk/a\\134b\\011\\012c rw - nfs4 host:/ rw\n", "utf-8")
        monkeypatch.setattr(mounts_module, "_LIST", str(listed))
        assert mounts() == [("/my disk/a\\b\t\nc", "nfs4")]
        assert is_mount_point("/my disk/a\\b\t\nc")
        listed.unlink()
        assert mounts() == []


class TestReplacing:
    def test_what_is_left_of_the_login_before_is_no_failure(self, path: str) -> None:
        """The new one is stored: that is what counts, and the rest is a warning."""
        warned: list[Fault] = []
        os.makedirs(f"{path}.keyfob.journal/in-the-way")
        FileStore(path, warn=warned.append).replace(RECORD)
        assert FileStore(path).read() == RECORD
        assert "what was known of the login before could not be removed" in str(warned[0])

    def test_a_login_that_is_there_and_may_not_last_is_no_failure(
        self, path: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nobody is told that nothing was stored, once it was."""

        def fail(_: str) -> None:
            raise OSError(errno.EIO, "Input/output error")

        put(path, AS_CODEX)
        monkeypatch.setattr(private, "sync_folder", fail)
        warned: list[Fault] = []
        FileStore(path, warn=warned.append).replace({"new": 1})
        assert FileStore(path).read() == {"new": 1}
        assert "a power cut may undo that" in str(warned[0])


class TestRemoving:
    def test_everything(self, path: str, tmp_path: Path) -> None:
        """The record goes with all that lies beside it, a link with its target; the lock file stays."""
        target = tmp_path / "target.json"
        os.symlink(target, path)
        store = FileStore(path)
        with store.lock():
            store.write(RECORD)
            store.note(Journal())
            store.put_stage(Stage("f", b"answer", 1.0))
            for name in ("new", "stage.new"):
                put(f"{target}.keyfob.{name}", SECRET)
            assert store.delete()
            assert not store.delete()
            assert {each.name for each in tmp_path.iterdir()} == {"auth.json.keyfob.lock", "target.json.keyfob.lock"}

    @pytest.mark.parametrize("how", ["remove", "delete"])
    @pytest.mark.parametrize("linked", [False, True], ids=["a file", "a link"])
    def test_a_record_that_stays(self, path: str, how: str, linked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """It keeps what lies beside it: the answer that is staged there may be the only login that lives."""
        target = f"{path}.target" if linked else path
        put(target, AS_CODEX)
        if linked:
            os.symlink(target, path)
        store = FileStore(path)
        store.note(Journal(intent=Intent("f", sent=True)))
        store.put_stage(Stage("f", b"answer", 1.0))
        unlink = os.unlink

        def kept(name: str) -> None:
            if name == target:
                raise OSError(errno.EPERM, "Operation not permitted", name)
            unlink(name)

        monkeypatch.setattr(os, "unlink", kept)
        with pytest.raises(StoreError, match="cannot be removed: Operation not permitted"):
            getattr(store, how)()
        assert (store.read(), store.stage()) == (RECORD, Stage("f", b"answer", 1.0))
        assert store.journal().intent == Intent("f", sent=True)

    def test_in_this_order(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """A link goes last: by it what lies beside its target is found, by whoever goes on after a failure."""
        target, gone, unlink = f"{path}.target", [], os.unlink
        os.symlink(target, path)
        store = FileStore(path)
        store.write(RECORD)
        store.put_stage(Stage("f", b"answer", 1.0))

        def noted(name: str) -> None:
            unlink(name)
            gone.append(name)

        monkeypatch.setattr(os, "unlink", noted)
        assert store.remove()
        assert gone == [target, f"{target}.keyfob.stage", path]

    def test_of_a_link_with_what_lies_beside_its_target(self, path: str) -> None:
        """Afterwards nobody knows any more where that was."""
        target = f"{path}.target"
        put(target, AS_CODEX)
        os.symlink(target, path)
        store = FileStore(path)
        store.note(Journal(Intent("f")))
        assert store.delete()
        assert os.listdir(os.path.dirname(path)) == []

    def test_a_folder(self, path: str) -> None:
        """What is no file is not removed."""
        os.mkdir(path)
        with pytest.raises(StoreError, match=r"auth\.json cannot be removed"):
            FileStore(path).delete()


def test_on_the_disk_before_it_counts(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content is synchronized before it gets its name, and the folder before anybody goes on."""
    steps: list[str] = []
    fsync, replace, unlink = os.fsync, os.replace, os.unlink

    def synced(descriptor: int) -> None:
        name = os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))
        steps.append("sync folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else f"sync {name}")
        fsync(descriptor)

    def replaced(source: str, target: str) -> None:
        steps.append(f"{os.path.basename(source)} → {os.path.basename(target)}")
        replace(source, target)

    def unlinked(name: str) -> None:
        unlink(name)
        steps.append(f"remove {os.path.basename(name)}")

    put(path, AS_CODEX)
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    monkeypatch.setattr(os, "unlink", unlinked)
    whole(FileStore(path))
    a, new, staged = "auth.json", "auth.json.keyfob.new", "auth.json.keyfob.stage"
    journal = [f"sync {new}", f"{new} → auth.json.keyfob.journal", "sync folder"]
    assert steps == [
        *journal,
        *(f"sync {staged}.new", f"{staged}.new → {staged}", "sync folder"),
        *(f"sync {new}", f"{new} → {a}", "sync folder"),
        *(f"remove {staged}", "sync folder"),
        *journal,
    ]


def test_private_files_are_not_inherited(path: str) -> None:
    """A program that is started meanwhile has none of the descriptors open."""
    descriptor = private.create(path, like=path)
    try:
        assert not os.get_inheritable(descriptor)
        listed = subprocess.run(["ls", "-l", "/proc/self/fd"], capture_output=True, check=True, close_fds=False).stdout
        assert path.encode() not in listed
    finally:
        os.close(descriptor)


def test_data_is_not_shown(path: str) -> None:
    """Neither the store nor the error's own chain shows what a damaged file holds."""
    put(path, json.dumps(RECORD) + "rt-canary")
    with pytest.raises(DamagedLoginError) as caught:
        FileStore(path).read()
    assert "canary" not in repr(caught.value)


class TestLockOfALink:
    """The lock of a record whose path becomes a link, or stops being one, while it is held."""

    @staticmethod
    def to_elsewhere(path: str) -> None:
        """As programs do that keep dot files in a folder of their own."""
        elsewhere = os.path.join(os.path.dirname(path), "dot")
        os.mkdir(elsewhere)
        os.rename(path, os.path.join(elsewhere, "auth.json"))
        os.symlink(os.path.join(elsewhere, "auth.json"), path)

    def test_it_becomes_one(self, path: str) -> None:
        """Whoever comes later by the same path meets the lock."""
        put(path, AS_CODEX)
        with FileStore(path).lock():
            self.to_elsewhere(path)
            with pytest.raises(LockedError), FileStore(path).lock(wait=0):
                pass

    def test_it_is_removed(self, path: str) -> None:
        """As signing out and `keyfob store move` do, which go on writing afterwards."""
        put(path, AS_CODEX)
        self.to_elsewhere(path)
        store = FileStore(path)
        with store.lock():
            store.remove()
            with pytest.raises(LockedError), FileStore(path).lock(wait=0):
                pass

    def test_by_either_path(self, path: str) -> None:
        """Who knows the file that it leads to is kept out too."""
        put(path, AS_CODEX)
        self.to_elsewhere(path)
        with FileStore(path).lock(), pytest.raises(LockedError), FileStore(os.path.realpath(path)).lock(wait=0):
            pass

    def test_it_leads_elsewhere_once_it_is_had(self, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """What it leads to by then is locked."""
        put(path, AS_CODEX)
        locked = sidecar.locked

        def late(name: str, **how: Any) -> Any:
            if not os.path.islink(path):
                self.to_elsewhere(path)
            return locked(name, **how)

        monkeypatch.setattr(sidecar, "locked", late)
        with FileStore(path).lock(), pytest.raises(LockedError), FileStore(os.path.realpath(path)).lock(wait=0):
            pass
