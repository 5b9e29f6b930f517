"""Logins on file systems and with owners that do not allow a renewal: nothing is sent then, and nothing is lost."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from keyfob.testing.issuer import Issuer

from .lab import PATIENCE, PROGRAM, Signed

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
needs_strace = pytest.mark.skipif(not shutil.which("strace"), reason="needs strace")
NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]

# 64 KiB, of which the login takes some.
FULL = (
    "mkdir ../full; mount -t tmpfs -o size=64k tmpfs ../full; cp auth.json config.toml ../full",
    "mount --bind ../full .; cd .",
)


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer(reuse="revoke") as running:
        yield running


@pytest.fixture
def home(issuer: Issuer) -> Iterator[Signed]:
    """In a folder that others may come through; pytest's own are for their user alone."""
    with tempfile.TemporaryDirectory(prefix="keyfob-renewal-") as folder:
        os.chmod(folder, 0o755)
        yield Signed(Path(folder), issuer)


def run(home: Signed, *before: str) -> dict[str, Any]:
    """Start a program that uses the login, behind the words of another command; what it got."""
    command = [*before, sys.executable, PROGRAM, str(home.folder)]
    done = subprocess.run(
        command, env=home.environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def mounted(home: Signed, *lines: str) -> dict[str, Any]:
    """The same with a file system of its own: the lines are the shell's, before the program is started."""
    apart = ["unshare", "--map-root-user", "--mount"]
    if subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("needs to be allowed to mount")
    script = "\n".join(["set -e", f"cd {shlex.quote(str(home.folder))}", *lines, 'exec "$@"'])
    return run(home, *apart, "sh", "-c", script, "sh")


def everything(home: Signed) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.folder.iterdir() if path.is_file()}


def check_nothing_happened(home: Signed, before: dict[str, bytes]) -> None:
    """Nothing was sent, the login is as it was; once the obstacle is gone, it is renewed."""
    assert home.presented == []
    assert everything(home)["auth.json"] == before["auth.json"]
    assert run(home) == {"token": home.tokens["access_token"]}
    assert home.presented == [home.first]
    assert home.alive


class TestFull:
    def test_no_room_for_an_answer(self, home: Signed) -> None:
        """On a full disk the login is not sent, and the error says why."""
        before = everything(home)
        got = mounted(home, *FULL)
        assert got["error"] == "store"
        assert "No space left on device" in got["message"]
        check_nothing_happened(home, before)

    def test_while_the_old_credential_is_valid(self, home: Signed) -> None:
        """While it is valid, the old credential is used."""
        home.sign_in(expires_in=120)
        before = everything(home)
        token = home.tokens["access_token"]
        got = mounted(home, *FULL)
        assert got == {"token": token}
        check_nothing_happened(home, before)


class TestCannotBeReplaced:
    def test_a_folder_that_is_read_only(self, home: Signed) -> None:
        """In a folder that cannot be written to, no lock can be taken."""
        before = everything(home)
        got = mounted(home, "mount --bind . .; mount -o remount,bind,ro .; cd .")
        assert got["error"] == "store"
        assert f"no lock can be taken on {home.path}.keyfob.lock: Read-only file system" in got["message"]
        check_nothing_happened(home, before)

    def test_a_file_that_is_mounted(self, home: Signed) -> None:
        """A login that is mounted as a file, as into a container, is named as that."""
        before = everything(home)
        got = mounted(home, "cp -p auth.json ../mounted.json; mount --bind ../mounted.json auth.json")
        assert got["error"] == "store"
        assert got["message"] == f"{home.path} is a mount point, which cannot be replaced"
        assert got["hint"] == "mount the folder that it is in instead"
        check_nothing_happened(home, before)


@pytest.fixture(scope="module")
def _nobody() -> None:
    """Somebody else who can start the program."""
    if subprocess.run([*AS_NOBODY, sys.executable, "-c", "import keyfob"], check=False).returncode:
        pytest.skip("needs an interpreter and a folder that others may use")


@needs_root
@pytest.mark.usefixtures("_nobody")
class TestOwners:
    @pytest.fixture
    def theirs(self, home: Signed) -> Signed:
        """A login of nobody's."""
        for path in (home.folder, *home.folder.iterdir()):
            os.chown(path, NOBODY, NOBODY)
        return home

    def test_root_leaves_it_to_its_user(self, theirs: Signed) -> None:
        """What root renews stays its user's, with all that lies beside it, and the user goes on with it."""
        assert "token" in run(theirs)
        for path in theirs.folder.iterdir():
            found = path.stat()
            assert (found.st_uid, found.st_gid) == (NOBODY, NOBODY), path
        theirs.sign_in()
        os.chown(theirs.path, NOBODY, NOBODY)
        assert run(theirs, *AS_NOBODY) == {"token": theirs.tokens["access_token"]}

    @needs_strace
    def test_a_stage_of_roots(self, theirs: Signed) -> None:
        """Also what root leaves behind, killed in the middle, is its user's to go on with."""
        third = "inject=rename:signal=KILL:when=3"  # after two journals, the stage gets its name
        kill = ["strace", "-f", "-o", os.devnull, "-e", "trace=rename", "-e", third]
        command = [*kill, sys.executable, PROGRAM, str(theirs.folder)]
        killed = subprocess.run(command, env=theirs.environ, stdin=subprocess.DEVNULL, timeout=PATIENCE, check=False)
        assert killed.returncode != 0
        left = {path.name: path.stat().st_uid for path in theirs.folder.iterdir()}
        assert set(left.values()) == {NOBODY}, left
        assert "auth.json.keyfob.stage.new" in left

    def test_somebody_elses_file(self, home: Signed) -> None:
        """A login that belongs to another user, in a folder of ours, is not renewed."""
        os.chmod(home.path, 0o644)
        os.chown(home.folder, NOBODY, NOBODY)
        before = everything(home)
        got = run(home, *AS_NOBODY)
        assert got["error"] == "store"
        assert f"{home.path} belongs to another user" in got["message"]
        check_nothing_happened(home, before)

    def test_one_that_cannot_be_read(self, home: Signed) -> None:
        """A login that may not be read is not taken for none."""
        os.chown(home.folder, NOBODY, NOBODY)
        before = everything(home)
        got = run(home, *AS_NOBODY)
        assert got["error"] == "store"
        assert got["message"] == f"{home.path} cannot be read: Permission denied"
        check_nothing_happened(home, before)

    def test_a_folder_of_somebody_elses(self, home: Signed) -> None:
        """A folder in which nothing can be made holds no lock, so nothing is renewed there."""
        os.chown(home.path, NOBODY, NOBODY)
        before = everything(home)
        got = run(home, *AS_NOBODY)
        assert got["error"] == "store"
        assert "no lock can be taken" in got["message"]
        assert "Permission denied" in got["message"]
        check_nothing_happened(home, before)


@needs_strace
def test_order_on_the_disk(home: Signed, tmp_path: Path) -> None:
    """The kernel sees: each file synchronized before it gets its name, and its folder before anything else is done."""
    log = tmp_path / "strace"
    calls = "trace=fsync,rename,unlink,sendto,openat"
    assert "token" in run(home, "strace", "-f", "-y", "-o", str(log), "-e", calls)
    steps = []
    for line in log.read_text(errors="replace").splitlines():
        found = re.match(r'\d+ +(\w+)\((?:\d+<([^>]*)>|"([^"]*)"(?:, "([^"]*)")?|AT_FDCWD<[^>]*>, "([^"]*)")', line)
        if not found or "ENOENT" in line:
            continue
        name, paths = found[1], [os.path.basename(each) for each in found.groups()[1:] if each]
        if name == "openat" and not ("O_CREAT" in line and paths[-1].startswith("auth.json.keyfob")):
            continue
        if name == "unlink" and not paths[0].startswith("auth.json"):
            continue
        steps.append(" ".join([name, *paths]) if name != "sendto" else "sendto")
        if name == "openat":
            assert "0600" in line
    folder = f"fsync {home.folder.name}"
    new, stage = "auth.json.keyfob.new", "auth.json.keyfob.stage"
    journal = [f"openat {new}", f"fsync {new}", f"rename {new} auth.json.keyfob.journal", folder]
    assert steps[: steps.index("sendto")] == [
        "openat auth.json.keyfob.lock",
        f"openat {stage}.new",
        *journal,
        *journal,
    ]
    assert [step for step in steps if step != "sendto"][10:] == [
        *(f"openat {stage}.new", f"fsync {stage}.new", f"rename {stage}.new {stage}", folder),
        *(f"openat {new}", f"fsync {new}", f"rename {new} auth.json", folder),
        *(f"unlink {stage}", folder),
        *journal,
    ]
    assert stat.S_IMODE(os.stat(home.path).st_mode) == 0o600
