"""Examinations of the machine: files, file system, clock, network settings, the port for signing in."""

from __future__ import annotations

import errno
import glob
import os
import socket
import stat
import sys
import time
from shlex import quote
from typing import TYPE_CHECKING

from keyfob.cli.doctor.finding import Finding
from keyfob.errors import KeyfobError
from keyfob.stores.mounts import mounts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from keyfob.cli.run import Session

# File systems on which `flock` may hold on one machine alone, or not at all.
_REMOTE = ("nfs", "cifs", "smb", "9p", "afs", "ncp", "sshfs", "fuse.", "lustre", "gpfs", "glusterfs", "ceph", "drvfs")
# The ports of the sign-in's callback, Codex's and keyfob's: the first that is free is taken.
SIGN_IN_PORTS = (1455, 1457)
# A login cannot have been renewed in the future. Seconds.
_AHEAD = 60.0


def files(session: Session) -> Iterator[Finding]:
    """CODEX_HOME, and the files in it that hold secrets: whose they are and who may read them."""
    home = session.places.codex_home
    if not os.path.isdir(home):
        yield Finding("files", "note", f"{home} is not there yet; signing in makes it")
        return
    if not os.access(home, os.W_OK | os.X_OK):
        yield Finding("files", "problem", f"{home} cannot be written: no login can be renewed", f"ls -ld {quote(home)}")
    for path in _secret_files(home):
        yield from _private(path)


def _secret_files(home: str) -> Iterator[str]:
    """The files of logins and settings, with the locks that a login is written under and what lies beside it."""
    for name in ("auth.json", "auth.lock", "auth.json.lock", ".env", "config.toml", "keyfob.toml"):
        yield os.path.join(home, name)
    yield from glob.iglob(f"{glob.escape(os.path.realpath(os.path.join(home, 'auth.json')))}.keyfob.*")
    for folder, _, names in os.walk(os.path.join(home, "keyfob")):
        yield from (os.path.join(folder, name) for name in names if ".json" in name)


def _private(path: str) -> Iterator[Finding]:
    try:
        found = os.stat(path)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            yield Finding("files", "problem", f"{path}: {error.strerror}")
        return
    if not stat.S_ISREG(found.st_mode):
        yield Finding("files", "problem", f"{path} is not an ordinary file", f"ls -ld {quote(path)}")
    else:
        yield from _modes(path, found)


def _modes(path: str, found: os.stat_result) -> Iterator[Finding]:
    if sys.platform == "win32":  # there the folder's access list decides
        return
    if found.st_mode & 0o077 and _holds_secret(path):
        message = f"{path} can be read by others, and holds a secret"
        yield Finding("files", "warning", message, f"chmod 600 {quote(path)}")
    if found.st_uid != os.geteuid():
        message = f"{path} belongs to another user (id {found.st_uid})"
        yield Finding("files", "warning", message, f"sudo chown {os.geteuid()} {quote(path)}")
    if not os.access(path, os.R_OK):
        yield Finding("files", "problem", f"{path} cannot be read", f"ls -l {quote(path)}")


def _holds_secret(path: str) -> bool:
    """Whether a file that may hold one does; a login always is one, and so is an issuer's answer."""
    name = os.path.basename(path)
    if name.endswith(("lock", ".journal")):
        return False
    if ".json" in name:
        return True
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return False
    return bool(text.strip()) if path.endswith(".env") else "experimental_bearer_token" in text


def file_system(session: Session) -> Iterator[Finding]:
    """Whether locks on CODEX_HOME are shared by all who use it."""
    kind, home = _file_system_of(session.places.codex_home), session.places.codex_home
    if kind.startswith(_REMOTE):
        message = f"{home} is on {kind}: locks there may not be shared among machines, and a login be renewed twice"
        yield Finding("file system", "warning", message, "export CODEX_HOME=… on a disk of this machine")


def _file_system_of(path: str) -> str:
    """The type of the file system that holds `path`, as the kernel names it; "" where it does not say."""
    held = [(point, kind) for point, kind in mounts() if os.path.join(path, "").startswith(os.path.join(point, ""))]
    return max(held, key=lambda one: len(one[0]), default=("", ""))[1]


def clock(session: Session) -> Iterator[Finding]:
    """Whether this machine's clock can be right: nothing that was written may lie ahead of it."""
    now = time.time()
    if now < os.path.getmtime(__file__) - 86_400:
        yield Finding("clock", "problem", "the clock stands before the day keyfob was installed", "date")
    for path in _secret_files(session.places.codex_home):
        try:
            ahead = os.path.getmtime(path) - now
        except OSError:
            continue
        if ahead > _AHEAD:
            message = f"{path} was written {ahead:.0f} s in the future: the clock was or is wrong"
            yield Finding("clock", "warning", message, "date")


def sign_in_port(session: Session) -> Iterator[Finding]:
    """Whether the browser can come back to a sign-in on this machine."""
    del session
    free = [port for port in SIGN_IN_PORTS if _is_free(port)]
    first, second = SIGN_IN_PORTS
    if not free:
        message = f"the ports {first} and {second} are both taken: the browser could not come back from signing in"
        yield Finding("sign-in port", "warning", message, f"ss -ltnp 'sport = :{first} or sport = :{second}'")
    elif first not in free:
        message = f"port {first} is taken, perhaps by another sign-in; {second} would be used"
        yield Finding("sign-in port", "note", message, f"ss -ltnp 'sport = :{first}'")


def _is_free(port: int) -> bool:
    """Whether the port could be listened on; it is let go at once, and never listened on."""
    with socket.socket() as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def environment(session: Session) -> Iterator[Finding]:
    """Variables that decide something, or look as if they did."""
    environ = session.host.environ
    yield from _keys(environ)
    for name in session.host.configuration.user_ids:
        yield from _unset(session, name)
    dotenv = session.places.dotenv
    if os.path.exists(dotenv):
        message = f"{dotenv} is laid over the environment, but for names that begin with CODEX_ or KEYFOB_"
        yield Finding("environment", "note", message)


def _keys(environ: Mapping[str, str]) -> Iterator[Finding]:
    for name in ("CODEX_API_KEY", "CODEX_ACCESS_TOKEN"):
        if environ.get(name, "").strip():
            yield Finding("environment", "note", f"{name} is set: it goes before any OpenAI login", f"unset {name}")
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        if environ.get(name, "").strip():
            message = f"{name} is set, and neither Codex nor keyfob looks at it"
            yield Finding("environment", "note", message, "keyfob explain")
    for name in ("CODEX_REFRESH_TOKEN_URL_OVERRIDE", "CODEX_REVOKE_TOKEN_URL_OVERRIDE", "CODEX_AUTHAPI_BASE_URL"):
        if environ.get(name, "").strip():
            yield Finding("environment", "warning", f"{name} is set: logins are sent there", f"unset {name}")


def _unset(session: Session, name: str) -> Iterator[Finding]:
    """An entry whose key is nowhere."""
    try:
        provider = session.host.provider(name)
        login = provider.login if provider.route.plugin == "envkey" else None
        if login is not None and login.known() is None:
            missing = login.missing()
            yield Finding("environment", "warning", f"{name}: {missing}", missing.hint)
    except KeyfobError:  # told with the configuration, or with the logins
        return
