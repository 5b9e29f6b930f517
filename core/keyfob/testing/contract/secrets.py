"""Rules about secrets: nothing that is printed, pickled, logged or raised shows one."""

from __future__ import annotations

import copy
import logging
import pickle
import traceback
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from keyfob.errors import KeyfobError
from keyfob.testing.answers import Answer
from keyfob.testing.contract.opening import own_source, sent
from keyfob.testing.contract.rule import rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from keyfob.testing.contract.trial import Trial


class Secrets:
    """What ends in a bug report, a log or a core dump's text must be worth nothing."""

    @rule()
    def test_nothing_printed_shows_a_secret(self, trial: Trial) -> None:
        """Neither the plugin, nor its options, its source or its credential, by str, repr or a format."""
        provider = trial.provider()
        source = own_source(provider)
        credential = source.get()
        trial.remember(credential)
        for thing in (provider.loaded.plugin, provider.options, source, credential, credential.headers):
            for text in (repr(thing), str(thing), f"{thing}"):
                trial.check_none_shown(text, f"printing a {type(thing).__name__}")

    @rule()
    def test_nothing_pickled_holds_a_secret(self, trial: Trial) -> None:
        """Pickles travel to other processes and into caches; a source or credential refuses to be one."""
        provider = trial.provider()
        source = own_source(provider)
        credential = source.get()
        trial.remember(credential)
        for thing in (provider.loaded.plugin, source, credential):
            trial.check_none_shown(_pickled(thing), f"a pickled {type(thing).__name__}")

    @rule()
    def test_no_error_shows_a_secret(self, trial: Trial) -> None:
        """Nor does what it was raised from: tracebacks end in logs."""
        for environ in _illegal(trial):
            _check_error_is_clean(trial, environ)
        echo = " ".join(trial.canaries)
        for answer in (Answer(400, body={"error": "invalid_client", "detail": echo}), Answer(200, body=echo)):
            trial.issuer.instead = [answer] * 4
            trial.sets_out()
            _check_error_is_clean(trial, trial.environ)
        trial.issuer.instead = []

    @rule()
    def test_no_log_shows_a_secret(self, trial: Trial, capfd: pytest.CaptureFixture[str]) -> None:
        """Not even at DEBUG, by whatever the plugin uses: a logger, a warning, or what is printed."""
        trial.sets_out()
        capfd.readouterr()
        with _logged() as said, warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            provider = trial.provider()
            trial.remember(provider.credential())
            sent(provider)  # of a signing plugin its signature, too
        trial.check_none_shown("\n".join(said), "a log at DEBUG")
        trial.check_none_shown("\n".join(str(each.message) for each in warned), "a warning")
        trial.check_none_shown("".join(capfd.readouterr()), "what it prints")


def _pickled(thing: object) -> str:
    """The text in its pickle; empty where it refuses to be one."""
    try:
        copy.copy(thing)
        return pickle.dumps(thing).decode("latin-1")
    except Exception:  # noqa: BLE001  # to refuse, it may raise anything
        return ""


def _illegal(trial: Trial) -> Iterator[dict[str, str]]:
    """Environments in which one value is what no header, address or name may hold."""
    for name, value in trial.environ.items():
        yield {**trial.environ, name: f"{value}\n\x00"}


def _check_error_is_clean(trial: Trial, environ: dict[str, str]) -> None:
    try:
        trial.provider(environ).credential()
    except KeyfobError as error:
        text = "".join(traceback.format_exception(error)) + f"{error.hint}"
        trial.check_none_shown(text, f"a {type(error).__name__} with its causes")


@contextmanager
def _logged() -> Iterator[list[str]]:
    """All that is logged meanwhile, at any level, as it would be written."""
    said: list[str] = []

    class Listening(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(self.format(record))

    root, listening = logging.getLogger(), Listening()
    before = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(listening)
    try:
        yield said
    finally:
        root.removeHandler(listening)
        root.setLevel(before)
