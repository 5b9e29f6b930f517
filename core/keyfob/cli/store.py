"""`keyfob store`: where logins are, and moving them from one place to the other.

JSON: {"setting", "logins": [{"providers", "kind", "place", "held", "used", "last_refresh", "problem"}]}, one for each
place. held: whether a login is there, null where that cannot be told. used: whether it is the one that requests get.
providers: who uses it; of one that nobody uses, whose it was.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keyfob.cli.leftovers import unclaimed
from keyfob.cli.logins import logins
from keyfob.cli.text import Cell, homely
from keyfob.errors import EXIT_OK, EXIT_REFUSED, ConfigError, KeyfobError, UsageError, at

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session
    from keyfob.credentials.login import Login
    from keyfob.credentials.record import Data
    from keyfob.stores.file import FileStore
    from keyfob.stores.keyring import KeyringStore

_KEY = "cli_auth_credentials_store"
_HEAD = ("PROVIDERS", "STORE", "LOGIN", "PLACE")


@dataclass(slots=True)
class _Kept:
    """One login: the providers that share it, and the two places where it may be."""

    login: Login
    file: FileStore
    keyring: KeyringStore
    providers: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Place:
    """One of its places, and what is there."""

    providers: Sequence[str]
    store: FileStore | KeyringStore
    held: bool | None
    used: bool
    last_refresh: str | None = None
    problem: str | None = None


def arguments(parser: Parser) -> None:
    """What to do, and where to."""
    parser.usage = "keyfob store [--json]\n       keyfob store move file|keyring [--replace]"
    parser.add_argument("action", nargs="?", choices=("move",), help="move every login; without it, they are listed")
    parser.add_argument("target", nargs="?", choices=("file", "keyring"), help="where to")
    parser.add_argument("--replace", action="store_true", help="even if another login is there, which is lost then")
    parser.add_json()
    parser.epilog = "exit code: 1 if a login could not be moved; it is still where it was."


def run(options: argparse.Namespace, session: Session) -> int:
    """List them, or move them."""
    if options.action is None:
        return _list(options, session)
    if options.target is None:
        raise UsageError("say where to", hint="keyfob store move file, or keyfob store move keyring")
    return _move(options.target, session, replace=options.replace)


def _kept(session: Session) -> list[_Kept]:
    """Every login that there may be; providers that share one are told together."""
    from keyfob.stores.choice import places

    found: dict[str, _Kept] = {}
    for login in logins(session):
        plugin = session.host.provider(login.provider).route.plugin
        file, keyring = places(session.places.codex_home, plugin, login.provider, lambda _: None)
        found.setdefault(file.place, _Kept(login, file, keyring)).providers.append(login.provider)
    return list(found.values())


# Listing


def _list(options: argparse.Namespace, session: Session) -> int:
    """Every place that holds a login or cannot be looked into, and where there is none the one that is used."""
    setting, terminal = session.host.configuration.store, session.terminal
    found = [place for kept in _kept(session) for place in _places(kept, setting)]
    found += [
        _Place([each.provider], each.store, held=True, used=False, problem=str(each)) for each in unclaimed(session)
    ]
    if options.json:
        terminal.document({"setting": setting, "logins": [_document(place) for place in found]})
        return EXIT_OK
    home = session.environ.get("HOME")
    rows = [_row(place, home) for place in found if place.held is not False or place.used]
    terminal.table(_HEAD if terminal.interactive else (), rows)
    terminal.note(f"{_KEY} is {setting!r}{_set_at(session)}")
    return EXIT_OK


def _places(kept: _Kept, setting: str) -> Iterator[_Place]:
    used = _used(kept, setting)
    for store in (kept.file, kept.keyring):
        try:
            data = store.read()
        except KeyfobError as error:
            yield _Place(kept.providers, store, None, used == store.place, problem=str(error))
            continue
        time = None if data is None else data.get("last_refresh")
        shown = time if isinstance(time, str) else None
        problem = _problem(kept.login, data) if data is not None and used == store.place else None
        yield _Place(kept.providers, store, data is not None, used == store.place and not problem, shown, problem)


def _problem(login: Login, data: Data) -> str | None:
    """Why what is stored cannot be used."""
    try:
        login.read(data)
    except KeyfobError as error:
        return str(error)
    return None


def _used(kept: _Kept, setting: str) -> str | None:
    """The place that the setting has everybody look at; with `auto`, the one that counts."""
    if setting != "auto":
        return {"file": kept.file.place, "keyring": kept.keyring.place}.get(setting)
    from keyfob.stores.auto import AutoStore

    store = AutoStore(kept.file, kept.keyring)
    with contextlib.suppress(KeyfobError):
        store.read()
    return store.place


def _row(place: _Place, home: str | None) -> list[Cell | str]:
    providers = ", ".join(place.providers)
    where = homely(place.store.place, home)
    return [
        Cell(providers, "bold"),
        place.store.kind,
        _state(place),
        f"{where}: {place.problem}" if place.problem else where,
    ]


def _state(place: _Place) -> Cell:
    if place.held is None:
        return Cell("not known", "red")
    if place.held:
        return Cell("used", "green") if place.used else Cell("not used", "yellow")
    return Cell("none")


def _document(place: _Place) -> dict[str, object]:
    return {
        "providers": place.providers,
        "kind": place.store.kind,
        "place": place.store.place,
        "held": place.held,
        "used": place.used and place.held is not False,
        "last_refresh": place.last_refresh,
        "problem": place.problem,
    }


# Moving


def _move(target: str, session: Session, *, replace: bool) -> int:
    """Move every login; one that cannot be does not keep another from it."""
    _check_allowed(target, session)
    moved = [_moved(kept, target, session, replace=replace) for kept in _kept(session)]
    if not any(moved) and None not in moved:
        session.terminal.note(f"there is nothing to move to the {target}")
    elif any(moved):
        _tell_setting(target, session)
    return EXIT_REFUSED if None in moved else EXIT_OK


def _moved(kept: _Kept, target: str, session: Session, *, replace: bool) -> bool | None:
    """Whether there was anything to move; None if it could not be."""
    from keyfob.stores.entry import NoKeyringError
    from keyfob.stores.move import move

    try:
        if session.terminal.attended:
            kept.keyring.unlock()
        moved = move(kept.file, kept.keyring, target, replace=replace)
    except KeyfobError as error:
        if isinstance(error, NoKeyringError) and target == "file" and session.host.configuration.store != "keyring":
            return False  # nothing can have been put there
        session.terminal.error(error)
        return None
    if moved:
        goal = kept.file if target == "file" else kept.keyring
        place = homely(goal.place, session.environ.get("HOME"))
        session.terminal.note(f"the login of {', '.join(kept.providers)} is now in: {place}")
    return moved


def _check_allowed(target: str, session: Session) -> None:
    """An administrator's word on where logins are kept counts for moving them too."""
    configuration = session.host.configuration
    rule = next((rule for rule in configuration.policy.rules if rule.key == _KEY), None)
    if rule is not None and rule.value not in (target, "auto"):
        raise ConfigError(f"{rule.place}: {rule}: logins may not be moved to the {target}")


def _tell_setting(target: str, session: Session) -> None:
    setting = session.host.configuration.store
    if setting in (target, "auto"):
        return
    message = f"{_KEY} is {setting!r}{_set_at(session)}: neither keyfob nor Codex looks into the {target} yet"
    session.terminal.warn(f'{message}; write {_KEY} = "{target}" in {session.places.codex_home}/config.toml')


def _set_at(session: Session) -> str:
    """Where it is set, in brackets; nothing for the default."""
    from keyfob.config.entries import place

    path, line = place(session.host.configuration.layers, (_KEY,))
    return "" if path is None else f" ({at(path, line)})"
