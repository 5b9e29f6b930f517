"""Examinations of the logins: how each stands, what a renewal left behind, and whether there are two."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from keyfob import standing
from keyfob.cli.doctor.finding import Finding
from keyfob.cli.leftovers import leftovers
from keyfob.cli.times import rfc3339
from keyfob.credentials.absorbing import absorbed
from keyfob.credentials.records import Rotation, SignsIn
from keyfob.errors import DamagedLoginError, KeyfobError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keyfob.cli.doctor.finding import Level
    from keyfob.cli.run import Session
    from keyfob.credentials.login import Login
    from keyfob.credentials.store import Store
    from keyfob.standing import Standing

# Where Codex keeps its login with `features.secret_auth_storage`, as it does on Windows unless told otherwise.
_CODEX_ALONE = os.path.join("secrets", "codex_auth.age")
_LEVELS: dict[str, Level] = {
    standing.PRESENT: "ok",
    standing.RENEWABLE: "ok",
    standing.UNATTENDED: "ok",
    standing.ABSENT: "note",
}


def logins(session: Session) -> Iterator[Finding]:
    """How the login of each provider stands; providers that share one are told of once."""
    seen: set[Store] = set()
    for name in session.host.ids:
        login = _login(session, name)
        if login is None or login.store in seen:
            continue
        seen.add(login.store)
        yield from _stands(login)
        yield from _left_behind(login)
    for each in leftovers(session):
        yield Finding("logins", "warning", f"{each.store.place}: {each}", f"keyfob logout {each.provider}")


def _login(session: Session, name: str) -> Login | None:
    """The login of a provider, where its plugin stores one; what is wrong with its entry was told already."""
    try:
        return session.host.provider(name).login
    except KeyfobError:
        return None


def _stands(login: Login) -> Iterator[Finding]:
    found = standing.standing(login)
    if found.state == standing.ABSENT and not isinstance(login.records, SignsIn):
        return  # that its variable is not set was told with the environment
    yield Finding("logins", _level(found), _said(login, found), found.hint)


def _level(found: Standing) -> Level:
    if found.usable and found.problem:
        return "warning"
    return _LEVELS.get(found.state, "problem")


def _said(login: Login, found: Standing) -> str:
    who = f"{login.provider}: "
    problem = "" if found.problem is None or found.state == standing.ABSENT else str(found.problem).removeprefix(who)
    message = f"{who}{found.state}"
    if found.located and found.place not in problem:
        message = f"{message}, in {found.place}"
    if problem:
        message = f"{message}: {problem}"
    if found.failures:
        message = f"{message}; failures in a row: {found.failures}, not tried again before {rfc3339(found.not_before)}"
    if found.record and found.record.expires_at is not None:
        message = f"{message}; good until {rfc3339(found.record.expires_at)}"
    return message


def stores(session: Session) -> Iterator[Finding]:
    """Whether the OpenAI login is in one place alone, and that place can be used."""
    from keyfob.stores.choice import SHARED, places

    setting, home = session.host.configuration.store, session.places.codex_home
    yield Finding("stores", "note", f"logins are kept in: {setting} (cli_auth_credentials_store)")
    if os.path.exists(os.path.join(home, _CODEX_ALONE)):
        message = f"Codex keeps a login in {home}/{_CODEX_ALONE}, encrypted, which only Codex can read"
        yield Finding("stores", "warning", message, "features.secret_auth_storage = false in config.toml; codex login")
    file, keyring = places(home, SHARED, SHARED, lambda _: None)
    held, problem = _read(keyring)
    if problem and setting in ("keyring", "auto"):
        yield _unusable(problem, setting)
    elif held and _read(file)[0]:
        message = f"a login is in {file.place} and another in {keyring.place}: only one of them is used and renewed"
        yield Finding("stores", "warning", message, "keyfob store")
    elif held and setting == "file":
        message = f"a login is in {keyring.place}, where the setting has nobody look"
        yield Finding("stores", "warning", message, "keyfob store move file")
    elif setting == "keyring" and _read(file)[0]:
        message = f"a login is in {file.place}, where the setting has nobody look"
        yield Finding("stores", "warning", message, "keyfob store move keyring")


def _read(store: Store) -> tuple[object, KeyfobError | None]:
    """What is there, and why it cannot be read."""
    try:
        return store.read(), None
    except KeyfobError as error:
        return None, error


def _unusable(problem: KeyfobError, setting: str) -> Finding:
    """auto can do without a keyring."""
    from keyfob.stores.entry import NoKeyringError

    if isinstance(problem, DamagedLoginError):
        return Finding(
            "stores",
            "problem",
            str(problem),
            "keyfob logout openai, which removes all of them; then keyfob login openai",
        )
    level: Level = "note" if setting == "auto" and isinstance(problem, NoKeyringError) else "problem"
    return Finding("stores", level, str(problem), None if level == "note" else problem.hint)


def _left_behind(login: Login) -> Iterator[Finding]:
    """Traces of a renewal that did not end, and of clocks that differ."""
    try:
        journal, waiting = login.store.journal(), _waits(login)
    except KeyfobError:
        return
    if journal.intent or waiting:
        message = f"{login.provider}: a renewal is under way or broke off; the next use finishes it"
        yield Finding("logins", "note", message, f"keyfob check {login.provider}")
    if journal.skew:
        message = f"this clock was {journal.skew.seconds:.0f} s ahead of the issuer's at the last renewal"
        yield Finding("clock", "warning", message, "date")


def _waits(login: Login) -> bool:
    """Whether an issuer's answer lies there that is yet to be made part of the stored login."""
    stage, record = login.store.stage(), login.stored()
    if stage is None or record is None or not isinstance(login.records, Rotation) or stage.parent != record.fingerprint:
        return False
    return absorbed(login.records, record, stage) is not None
