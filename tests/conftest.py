"""What holds for every test: loopback only, no home directory, none of the caller's settings; and what a skip means."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOPBACK: Final = "127.0.0.1,::1,localhost"
# In a folder of this run's own: what an earlier run left in a home must not be taken for this one's.
_OURS: Final = tempfile.mkdtemp(prefix="keyfob-tests-")
_NO_HOME: Final = os.path.join(_OURS, "no-home")
_FOLDERS: Final = ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
# What whoever runs the tests has set for keyfob, Codex, SDKs and their networks must not change the tests.
_FOREIGN: Final = ("AZURE_", "CODEX_", "GOOGLE_", "KEYFOB_", "OPENAI_", "NO_COLOR", "FORCE_COLOR")
_KEPT: Final = ("KEYFOB_E2E", "KEYFOB_SCREENSHOTS")
_ALL: Final = os.environ.get("KEYFOB_E2E") == "all"


@pytest.hookimpl(tryfirst=True)  # before pytest-socket reads the option
def pytest_configure(config: pytest.Config) -> None:
    """Close the network but for loopback, and take away home and settings: of this process and of its children."""
    config.add_cleanup(lambda: shutil.rmtree(_OURS, ignore_errors=True))
    config.option.allow_hosts = config.option.allow_hosts or _LOOPBACK
    for name in list(os.environ):
        if (name.startswith(_FOREIGN) and name not in _KEPT) or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ.update(dict.fromkeys(_FOLDERS, _NO_HOME))
    os.environ.pop("DBUS_SESSION_BUS_ADDRESS", None)
    os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"  # not the keyring of whoever runs them


@pytest.hookimpl(trylast=True)  # after the markers are set
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The quick come first, real counterparts last: they take longest, and their processes live on in the session."""
    items.sort(key=lambda item: [item.get_closest_marker(name) is not None for name in ("e2e", "slow")])


@pytest.fixture(scope="session", autouse=True)
def _home_stays_absent() -> Iterator[None]:
    """The home folder does not exist; a test that wrote to it would have written to the user's."""
    yield
    assert not os.path.exists(_NO_HOME), f"a test wrote to the home folder: {_NO_HOME}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """In a run that shall leave nothing out (scripts/test --all), a skipped test has failed."""
    report = yield
    return _failed_if_skipped(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Iterator[None]:
    """The same for a file that skips itself while it is imported."""
    report = yield
    return _failed_if_skipped(report)


def _failed_if_skipped(report):
    if _ALL and report.skipped and not hasattr(report, "wasxfail"):
        *_, reason = report.longrepr
        report.outcome, report.longrepr = "failed", f"nothing may be skipped here (KEYFOB_E2E=all): {reason}"
    return report
