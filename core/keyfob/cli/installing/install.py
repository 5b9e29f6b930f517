"""What `keyfob install` does."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from keyfob.cli.installing.arguments import TITLES
from keyfob.cli.installing.command import command, needed
from keyfob.cli.installing.consent import declined, documents
from keyfob.cli.installing.edits import check_unchanged
from keyfob.cli.installing.installations import Done, Installation, Installations
from keyfob.cli.installing.tools import TOOLS
from keyfob.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    import argparse

    from keyfob.cli.installing.plan import Plan
    from keyfob.cli.run import Session


def install(options: argparse.Namespace, session: Session) -> int:
    """Show the difference, ask, and write."""
    _check_options(options)
    provider = session.provider(options.provider)
    plan = TOOLS[options.tool].plan(provider, session, options)
    installations = Installations(session.places.codex_home, options.tool)
    if not plan.edits:
        return _told(plan, options, session, written=False)
    _others(installations, plan, options)  # before anybody is asked
    code = declined(plan.edits, options, session, _command(options))
    if code is not None:
        _told(plan, options, session, written=False)
        return code
    done = tuple(Done.by(edit, options.tool) for edit in plan.edits)
    new = Installation(options.provider, tuple(needed(command(session.environ))), done, options.user or "")
    with installations.lock():
        check_unchanged(plan.edits)
        others = _others(installations, plan, options)  # it may have taken an hour to say yes
        installations.write([*others, new])  # first: a crash must not leave what nobody knows of
        for edit in plan.edits:
            edit.write()
    return _told(plan, options, session, written=True)


def _command(options: argparse.Namespace) -> str:
    """What was typed, to be typed again."""
    given = [*(["--anyway"] if options.anyway else []), *(["--user", options.user] if options.user else [])]
    return shlex.join(["keyfob", "install", options.tool, options.provider, *given])


def _undoing(tool: str, provider: str) -> str:
    return shlex.join(["keyfob", "uninstall", tool, provider])


def _check_options(options: argparse.Namespace) -> None:
    if options.profile or options.config:
        message = "the command that is installed has no -p and no -c: what they set is not there when it is asked"
        raise UsageError(message, hint="write it into config.toml or keyfob.toml")
    for given, name, tool in ((options.user, "--user", "kubectl"), (options.anyway, "--anyway", "codex")):
        if given and options.tool != tool:
            raise UsageError(f"{name} is for {tool} alone", hint="keyfob install --help")


def _others(installations: Installations, plan: Plan, options: argparse.Namespace) -> list[Installation]:
    """The installations that this one leaves as they are; one that somebody has taken back by hand is none.

    Raises UsageError where one is there, in part or for another provider: it alone knows what was there before.
    """
    found = installations.read()
    paths = {edit.path for edit in plan.edits}
    own = (options.provider, options.user or "")
    same = [
        each
        for each in found
        if paths & {done.path for done in each.files}
        and (not TOOLS[options.tool].shared or (each.provider, each.user) == own)
    ]
    for each in same:
        if each.stands(options.tool):
            message = f"{each.provider} is installed for {TITLES[options.tool]} already, and not as it would be now"
            raise UsageError(message, hint=_undoing(options.tool, each.provider))
    return [each for each in found if each not in same]


def _told(plan: Plan, options: argparse.Namespace, session: Session, *, written: bool) -> int:
    """Say what came of it."""
    terminal, remark = session.terminal, None if plan.edits else plan.remark
    if options.json:
        said = {"tool": options.tool, "provider": options.provider, "written": written, "remark": remark}
        terminal.document({**said, "files": documents(plan.edits, session)})
    elif remark:
        terminal.note(f"nothing to do. {remark}", hint=plan.hint)
    if written:
        undo = _undoing(options.tool, options.provider)
        terminal.note(
            f"{TITLES[options.tool]} asks keyfob for the token of {options.provider} now; `{undo}` takes it back"
        )
    for message, hint in plan.after if written else ():
        terminal.note(message, hint=hint)
    return EXIT_OK
