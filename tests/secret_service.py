"""A real Secret Service for tests: GNOME Keyring on a session bus of its own, with nothing of the user's."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import secretstorage
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAMS = {"dbus-run-session": "dbus", "gnome-keyring-daemon": "gnome-keyring"}

# The daemon is told its password on stdin, as a login manager does; without one it has no keyring yet.
_UNLOCKED = "printf correct | gnome-keyring-daemon --unlock --components=secrets"
_EMPTY = "gnome-keyring-daemon --start --components=secrets"
# The daemon gives every item this one, some time after it was made.
_SCHEMA = "xdg:schema"
_SESSION = "{start} >&2; echo $DBUS_SESSION_BUS_ADDRESS; read forever"


@dataclass
class SecretService:
    """A running one. environ: what a child needs in order to use it."""

    environ: dict[str, str]

    def items(self, **attributes: str) -> list[dict[str, Any]]:
        """Every unlocked item with these attributes: its path, label, attributes and secret."""
        with self.bus() as bus:
            found = [item for item in secretstorage.search_items(bus, attributes) if not item.is_locked()]
            return [
                {
                    "path": item.item_path,
                    "label": item.get_label(),
                    "attributes": {name: text for name, text in item.get_attributes().items() if name != _SCHEMA},
                    "secret": item.get_secret().decode(),
                }
                for item in found
            ]

    def add(self, secret: str, **attributes: str) -> None:
        """Make one more item, whatever is there."""
        with self.bus() as bus:
            secretstorage.get_default_collection(bus).create_item("another", attributes, secret.encode())

    def lock(self) -> None:
        """Lock the keyring; nobody here can type the password."""
        with self.bus() as bus:
            secretstorage.get_default_collection(bus).lock()

    @property
    def pid(self) -> int:
        """The process id of its daemon."""
        with self.bus() as bus:
            (pid,) = Proxy(message_bus, bus).GetConnectionUnixProcessID("org.freedesktop.secrets")
            return int(pid)

    @contextlib.contextmanager
    def bus(self) -> Iterator[Any]:
        with contextlib.closing(secretstorage.dbus_init()) as bus:
            yield bus


def missing() -> str | None:
    """What has to be installed first, or None."""
    packages = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    return f"apt-get install {' '.join(packages)}" if packages else None


@contextlib.contextmanager
def running(folder: Path, *, empty: bool = False) -> Iterator[SecretService]:
    """One with an unlocked keyring, or without any keyring; its files are in `folder`, and are gone with it."""
    places = {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME")}
    script = _SESSION.format(start=_EMPTY if empty else _UNLOCKED)
    session = subprocess.Popen(
        ["dbus-run-session", "--", "sh", "-c", script],
        env={"PATH": os.environ["PATH"], **places},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert session.stdout is not None
    address = session.stdout.readline().strip()
    assert address, "the session bus did not start"
    environ = {
        "DBUS_SESSION_BUS_ADDRESS": address,
        "PYTHON_KEYRING_BACKEND": "keyring.backends.SecretService.Keyring",
    }
    try:
        yield SecretService(environ)
    finally:
        session.communicate()  # its end of input ends the session, and that the daemon


@pytest.fixture
def secret_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretService]:
    """One that this process uses too."""
    with _used(tmp_path, monkeypatch) as service:
        yield service


@pytest.fixture
def empty_secret_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretService]:
    """One whose user has no keyring yet."""
    with _used(tmp_path, monkeypatch, empty=True) as service:
        yield service


@contextlib.contextmanager
def _used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, empty: bool = False) -> Iterator[SecretService]:
    import keyring.core
    import pytest_socket

    if reason := missing():
        pytest.skip(reason)
    folder = tmp_path / "session"
    folder.mkdir()
    with running(folder, empty=empty) as service:
        for name, value in service.environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(keyring.core, "_keyring_backend", None)
        pytest_socket.socket_allow_hosts(["127.0.0.1", "::1"], allow_unix_socket=True)
        yield service
