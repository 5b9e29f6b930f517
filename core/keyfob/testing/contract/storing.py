"""Rules about stored logins: kept whole, renewed once, and worth nothing when they are damaged."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from keyfob.credentials.records import Rotation
from keyfob.errors import DamagedLoginError, KeyfobError, UnsupportedLoginError
from keyfob.plugin import About, Answer
from keyfob.testing.answers import Received
from keyfob.testing.contract import racer
from keyfob.testing.contract.damage import document_of, without
from keyfob.testing.contract.rule import rule, see

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyfob.credentials.login import Login
    from keyfob.credentials.records import Records
    from keyfob.testing.contract.trial import Trial

_PROCESSES: Final = 4
_LIMIT: Final = 60.0  # seconds
_OUTAGES: Final = (
    (429, b'{"error": "slow_down"}'),
    (500, b""),
    (502, b"<!doctype html><title>Bad gateway</title>"),
    (503, b'{"error": "temporarily_unavailable"}'),
)
_DAMAGED: Final[tuple[dict[str, Any], ...]] = ({}, {"unknown": 1}, {"unknown": {"deep": [None]}})


class Storing:
    """What somebody signed in for outlives programs, crashes and upgrades."""

    @rule("stored")
    def test_damaged_logins_are_told(self, trial: Trial) -> None:
        """As DamagedLoginError, which says what to do: not as a KeyError, and not as a login."""
        records, data = _login(trial).records, _data(trial)
        broken = [{**data, name: [value]} for name, value in data.items() if isinstance(value, str)]
        for damaged in (*_DAMAGED, *broken):
            try:
                records.read(damaged)
            except (DamagedLoginError, UnsupportedLoginError):
                continue
            except Exception as error:  # any plugin may raise anything
                raise AssertionError(f"read() raises {type(error).__name__} for a damaged login") from error
            see(damaged in broken, f"read() takes {json.dumps(damaged)} for a login")

    @rule("stored")
    def test_a_login_is_told_without_its_secrets(self, trial: Trial) -> None:
        """`keyfob status` shows what `about` returns."""
        records = _login(trial).records
        about = records.about(records.read(_data(trial)))
        see(isinstance(about, About), f"about() returns a {type(about).__name__}")
        trial.check_none_shown(repr(about), "about()")

    @rule("rotating")
    def test_unknown_fields_are_kept(self, trial: Trial) -> None:
        """A renewal keeps what a later version, or another program, has added to the login."""
        rotation, data = _rotation(trial), {**_data(trial), "added-later": {"by": "somebody"}}
        renewed = rotation.absorb(rotation.read(data), _answer(trial))
        see(renewed.get("added-later") == {"by": "somebody"}, "absorb() drops a field that it does not know")

    @rule("rotating")
    def test_an_unrotated_refresh_token_is_kept(self, trial: Trial) -> None:
        """An answer without one says that the old one stays (RFC 6749, section 6)."""
        rotation, data, answer = _rotation(trial), _data(trial), _answer(trial)
        renewal = trial.issuer.grants[-1].refresh_token
        renewed = rotation.read(rotation.absorb(rotation.read(data), without(answer, renewal)))
        see(renewed.secret == rotation.read(data).secret, "after an answer without a refresh token the old one is gone")

    @rule("rotating")
    def test_a_worthless_answer_is_refused(self, trial: Trial) -> None:
        """It must not take the place of a login: absorb() raises ValueError."""
        rotation = _rotation(trial)
        record = rotation.read(_data(trial))
        for worthless in ({}, {"error": "temporarily_unavailable"}):
            try:
                rotation.absorb(record, worthless)
            except ValueError:
                continue
            raise AssertionError(f"absorb() takes {json.dumps(worthless)} for a renewed login")

    @rule("rotating")
    def test_an_outage_ends_no_login(self, trial: Trial) -> None:
        """`refusal` is None where an issuer is down or busy: else everybody would have to sign in again after it."""
        rotation = _rotation(trial)
        for status, body in _OUTAGES:
            try:
                code = rotation.refusal(Answer(status, body))
            except Exception as error:  # any plugin may raise anything
                raise AssertionError(f"refusal() raises {type(error).__name__} for an answer of {status}") from error
            see(code is None, f"refusal() takes an answer of {status} for the end of the login: None says try again")

    @rule("rotating")
    def test_anything_can_be_revoked(self, trial: Trial) -> None:
        """`revocation` is asked about issuer's answers alone too, whatever they hold."""
        rotation = _rotation(trial)
        for data in (_data(trial), _answer(trial), {}, {"unknown": [1]}):
            try:
                rotation.revocation(data)
            except KeyfobError:
                continue
            except Exception as error:
                raise AssertionError(f"revocation() raises {type(error).__name__}") from error

    @rule("rotating")
    def test_no_token_is_presented_twice(self, trial: Trial) -> None:
        """Processes that find an expired login at the same moment renew it once, and all of them go on."""
        trial.sets_out()
        trial.issuer.delay = 0.1
        before = len(trial.issuer.grants)
        _raced(trial)
        see(not trial.issuer.reused, "a refresh token was presented a second time, which ends the login of everybody")
        given = len(trial.issuer.grants) - before
        see(given == 1, f"{_PROCESSES} processes renewed one login {given} times")


def _login(trial: Trial) -> Login:
    login = trial.provider().login
    if login is None:
        raise AssertionError("the plugin has no `records`")
    return login


def _rotation(trial: Trial) -> Rotation:
    records = _login(trial).records
    if not isinstance(records, Rotation):
        raise AssertionError("its records are no Rotation: they have no `exchange`, so nothing ever renews the login")
    return records


def _data(trial: Trial) -> dict[str, Any]:
    """The login that is stored, as its plugin wrote it."""
    login = _login(trial)
    if login.store.read() is None:
        _make_one(trial, login.records)
    data = login.store.read()
    see(data is not None, "no login is stored: `login` of this test has to say what is")
    return {name: value for name, value in (data or {}).items() if name != "origin"}


def _make_one(trial: Trial, records: Records) -> None:
    """As its user would, with a key, or as a program that needs nobody."""
    if records.methods:
        trial.store(records.data_for(records.methods[0], trial.issuer.grant().token))
    else:
        trial.provider().credential()


def _answer(trial: Trial) -> dict[str, Any]:
    """What the issuer answers to the renewal of the stored login, in its own words."""
    rotation = _rotation(trial)
    exchange = rotation.exchange(rotation.read(_data(trial)), "proactive_expiry")
    address = urlsplit(exchange.url)
    asked = Received(exchange.method, address.path, address.query, tuple(exchange.headers.items()), exchange.body)
    return document_of(trial.issuer.answer(asked))


def _raced(trial: Trial) -> None:
    """Let processes need the login at the same moment, and see that none fails."""
    file = os.path.join(trial.folder, "race.json")
    with open(file, "w", encoding="utf-8") as out:
        json.dump(trial.specification(), out)
    with _racing(file) as racing:
        for process in racing:
            process.stdout.readline()
        for process in racing:
            with contextlib.suppress(OSError):  # it is over already, which is told below
                process.stdin.write("go\n")
                process.stdin.flush()
        for process in racing:
            _, told = process.communicate(timeout=_LIMIT)
            see(process.returncode == 0, f"one of {_PROCESSES} processes got no credential: {told.strip()[-300:]}")


@contextlib.contextmanager
def _racing(file: str) -> Iterator[list[Any]]:  # of Popen whose pipes are there
    """The processes. However it ends, they are killed and waited for; after the limit they are killed in any case."""
    command, pipe = [sys.executable, racer.__file__, file], subprocess.PIPE
    racing: list[Any] = []
    limit = threading.Timer(_LIMIT, lambda: [process.kill() for process in racing])
    with contextlib.ExitStack() as stack:
        for _ in range(_PROCESSES):
            racing.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True))
            stack.callback(_end, racing[-1])
        limit.start()
        stack.callback(limit.cancel)
        yield racing


def _end(process: Any) -> None:
    process.kill()
    with contextlib.suppress(OSError), process:  # closes its pipes, of which one may be broken, and waits for it
        pass
