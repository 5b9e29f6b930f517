"""`keyfob status`: how one is signed in. It asks nobody, renews nothing, and changes nothing.

JSON: {"logins": [{…}]}, the one that was asked about first; docs/commands.md lists the fields of each. A time is an
RFC 3339 time; what is not known is null.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from keyfob.cli.logins import OPENAI, login_of, logins
from keyfob.cli.text import Cell, homely
from keyfob.cli.times import rfc3339, span
from keyfob.errors import EXIT_OK, EXIT_REFUSED, KeyfobError, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session
    from keyfob.config.policy import Rule
    from keyfob.credentials.login import Login
    from keyfob.credentials.record import About, Record
    from keyfob.credentials.store import Store
    from keyfob.standing import Standing


@dataclass(frozen=True, slots=True)
class _Shown:
    """One login with all that is said of it. users: the providers that use it, the one that was asked about first.

    setting: `cli_auth_credentials_store`. remark: what the store says of its choice. now: seconds since the epoch.
    """

    users: tuple[str, ...]
    found: Standing
    rules: Sequence[Rule]
    setting: str
    remark: str
    now: float


def arguments(parser: Parser) -> None:
    """PROVIDER and --json."""
    parser.add_provider()
    parser.add_json()
    parser.epilog = (
        "exit codes: 0 if there is a login that can be used; 1 if not. `keyfob login status` is the same. Without "
        "PROVIDER, whatever else is stored is listed too."
    )


def run(options: argparse.Namespace, session: Session) -> int:
    """Say it; the exit code is for the login that was asked about."""
    asked, *others = _grouped(session, _asked(session, options.provider), alone=options.provider is not None)
    shown = [_shown(session, asked), *_others(session, others)]
    if options.json:
        session.terminal.document({"logins": [_document(each) for each in shown]})
    else:
        for number, each in enumerate(shown):
            if number and session.terminal.interactive:
                session.terminal.data("")
            _print(each, session)
    return EXIT_OK if shown[0].found.usable else EXIT_REFUSED


def _asked(session: Session, name: str | None) -> Login:
    """The login of the provider that was named; else the default one's, and where that needs none, OpenAI's."""
    try:
        return login_of(session, name, "status")
    except UsageError:
        if name is not None:
            raise
    return login_of(session, OPENAI, "status")


def _grouped(session: Session, asked: Login, *, alone: bool) -> list[list[Login]]:
    """Each login once, with all providers that use it; the one that was asked about first."""
    groups: dict[Store, list[Login]] = {asked.store: [asked]}
    plugin = session.host.provider(asked.provider).route.plugin if alone else None  # another's use another store
    for login in logins(session, plugin):
        if login.store in groups or not alone:
            groups.setdefault(login.store, []).append(login)
    return list(groups.values())


def _others(session: Session, groups: Sequence[Sequence[Login]]) -> Iterator[_Shown]:
    """Of the logins that nobody asked about those that are stored; a plugin that breaks stops no other's."""
    for users in groups:
        try:
            shown = _shown(session, users)
        except KeyfobError as error:
            session.terminal.warn(str(error))
            continue
        if shown.found.overruled is not None or (shown.found.stored and not shown.found.absent):
            yield shown


def _shown(session: Session, users: Sequence[Login]) -> _Shown:
    login, host = users[0], session.host
    provider = host.provider(login.provider)
    return _Shown(
        tuple(dict.fromkeys(each.provider for each in users)),
        provider.standing(login),
        provider.judge.policy.rules,
        host.configuration.store,
        login.store.remark,
        login.clock(),
    )


def _document(shown: _Shown) -> dict[str, Any]:
    found, about = shown.found, shown.found.about
    return {
        "provider": shown.users[0],
        "used_by": list(shown.users),
        "state": found.state,
        "usable": found.usable,
        **_whose(about),
        **_age(found.record, shown.now),
        "stored": found.stored,
        "place": found.place,
        "store": shown.setting,
        "store_remark": shown.remark or None,
        "overruled": found.overruled,
        "unfinished_since": rfc3339(found.begun),
        "failures": found.failures,
        "not_before": rfc3339(found.not_before),
        "policy": [
            {"key": rule.key, "value": rule.value, "path": rule.path, "line": rule.line} for rule in shown.rules
        ],
        "controls": about.controls if about else None,
        "problem": {"code": found.problem.code, "message": str(found.problem)} if found.problem else None,
        "hint": found.hint,
    }


def _whose(about: About | None) -> dict[str, str | None]:
    """Whose login it is, in JSON as in words."""
    return {
        "method": about.method if about else None,
        "key": about.masked if about else None,
        "email": about.email if about else None,
        "account": about.account if about else None,
        "workspace": about.workspace if about else None,
        "plan": about.plan if about else None,
    }


def _age(record: Record | None, now: float) -> dict[str, str | int | None]:
    issued_at = record.issued_at if record else None
    return {
        "expires_at": rfc3339(record.expires_at) if record else None,
        "renewed_at": rfc3339(issued_at),
        "age_seconds": None if issued_at is None else int(now - issued_at),
    }


def _print(shown: _Shown, session: Session) -> None:
    """One login as rows of a label and words; a person's home folder is `~`."""
    terminal = session.terminal
    home = session.environ.get("HOME") if terminal.interactive else None
    rows = [(label, Cell(homely(words, home), style)) for label, words, style in _rows(shown)]
    if terminal.interactive:
        terminal.table((), [(Cell(label, "dim"), cell) for label, cell in rows])
    else:
        terminal.table((), rows)


def _rows(shown: _Shown) -> Iterator[tuple[str, str, str]]:
    """Label, words and style."""
    found = shown.found
    yield "provider", shown.users[0], "bold"
    if len(shown.users) > 1:
        yield "also for", ", ".join(shown.users[1:]), ""
    yield "state", found.state, "green" if found.usable and not found.problem else "yellow"
    if found.problem and found.problem.code != "not-signed-in":  # the state says it
        yield "problem", str(found.problem), "red"
    if found.failures:
        yield "failures", _failures(found), "yellow"
    if found.hint:
        yield "to do", found.hint, ""
    yield from ((label, words, "") for label, words in _whose(found.about).items() if words)
    yield from _when(shown)
    yield from _where(shown)
    for rule in shown.rules:
        yield "policy", str(rule), ""
    if found.about and found.about.controls:
        yield "data rules", found.about.controls, ""


def _failures(found: Standing) -> str:
    return f"{found.failures} in a row; it is not tried again before {rfc3339(found.not_before)}"


def _when(shown: _Shown) -> Iterator[tuple[str, str, str]]:
    record, begun, now = shown.found.record, shown.found.begun, shown.now
    if record and record.expires_at is not None:
        left = record.expires_at - now
        yield (
            "expires",
            f"{rfc3339(record.expires_at)} ({f'in {span(left)}' if left > 0 else f'{span(-left)} ago'})",
            "",
        )
    if record and record.issued_at is not None:
        yield "renewed", f"{rfc3339(record.issued_at)} ({span(now - record.issued_at)} ago)", ""
    if begun is not None:
        yield "unfinished", f"a renewal that was begun {rfc3339(begun)}; the next request finishes it", "yellow"


def _where(shown: _Shown) -> Iterator[tuple[str, str, str]]:
    found = shown.found
    if found.located:
        yield ("stored in" if found.stored else "comes from"), found.place, ""
    if found.stored:
        yield "store", f"{shown.setting}: {shown.remark}" if shown.remark else shown.setting, ""
    if found.overruled:
        yield "overruled", f"{found.overruled} holds a login, which is not used while the variable is set", "yellow"
