"""Keyrings for the tests of stores: backends that keep things in memory, well or badly, and a real Secret Service."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keyring.core
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError

from ..secret_service import empty_secret_service as empty_secret_service  # noqa: TID252
from ..secret_service import secret_service as secret_service  # noqa: TID252

if TYPE_CHECKING:
    from collections.abc import Callable


class Memory(KeyringBackend):
    """A backend as third parties write them: one text for each service and username."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError("no such password")


class Killed(BaseException):
    """The process ends here: nothing is tidied up by whoever catches errors."""


class Steps:
    """Counts what is done to files and to the keyring, and ends the process at the step that is asked for."""

    def __init__(self) -> None:
        self.left = -1

    def __call__(self) -> None:
        self.left -= 1
        if self.left == -1:
            raise Killed


class Counted(Memory):
    """A keyring of which every use is a step."""

    def __init__(self, step: Steps) -> None:
        super().__init__()
        self.step = step

    def get_password(self, service, username):
        self.step()
        return super().get_password(service, username)

    def set_password(self, service, username, password):
        self.step()
        super().set_password(service, username, password)

    def delete_password(self, service, username):
        self.step()
        super().delete_password(service, username)


class Keychain(Counted):
    """As macOS's backend: it deletes an entry, and then makes it anew."""

    def set_password(self, service, username, password):
        self.step()
        self.kept.pop((service, username), None)
        super().set_password(service, username, password)


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[KeyringBackend], KeyringBackend]:
    """Makes a backend the one that is used."""

    def use(backend: KeyringBackend) -> KeyringBackend:
        monkeypatch.setattr(keyring.core, "_keyring_backend", backend)
        return backend

    return use


@pytest.fixture
def memory(use) -> Memory:
    """A sound backend, which is used."""
    return use(Memory())
