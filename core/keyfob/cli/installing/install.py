"""What `keyfob install` does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.cli.installing import claude_code, codex, kubectl
from keyfob.cli.installing.arguments import TOOLS
from keyfob.cli.installing.command import command
from keyfob.cli.installing.consent import declined, documents
from keyfob.cli.installing.edits import write_all
from keyfob.cli.installing.records import Done, Installed, Records
from keyfob.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    import argparse

    from keyfob.cli.installing.plan import Plan
    from keyfob.cli.run import Session
    from keyfob.providers import Provider


def install(options: argparse.Namespace, session: Session) -> int:
    """Show the difference, ask, and write."""
    _see_that_it_fits(options)
    provider = session.provider(options.provider)
    plan, records = _planned(provider, options, session), Records(session.places.codex_home, options.tool)
    if not plan.edits:
        return _told(plan, options, session, written=False)
    _others(records, plan, options)
    given = (" --anyway" if options.anyway else "") + (f" --user {options.user}" if options.user else "")
    again = f"keyfob install {options.tool} {options.provider}{given}"
    code = declined(plan.edits, options, session, again)
    if code is not None:
        _told(plan, options, session, written=False)
        return code
    done = tuple(Done.by(edit, options.tool) for edit in plan.edits)
    new = Installed(options.provider, command(session.environ)[0], done, options.user or "")
    with records.lock():
        records.write([*_others(records, plan, options), new])  # first: a crash must not leave what nobody knows of
        write_all(plan.edits)
    return _told(plan, options, session, written=True)


def _see_that_it_fits(options: argparse.Namespace) -> None:
    if options.profile or options.config:
        message = "the command that is installed has no -p and no -c: what they set is not there when it is asked"
        raise UsageError(message, hint="write it into config.toml or keyfob.toml")
    for given, name, tool in ((options.user, "--user", "kubectl"), (options.anyway, "--anyway", "codex")):
        if given and options.tool != tool:
            raise UsageError(f"{name} is for {tool} alone", hint="keyfob install --help")


def _planned(provider: Provider, options: argparse.Namespace, session: Session) -> Plan:
    if options.tool == "codex":
        return codex.plan(provider, session, anyway=options.anyway)
    if options.tool == "claude-code":
        return claude_code.plan(provider, session)
    return kubectl.plan(provider, session, user=options.user or provider.id)


def _others(records: Records, plan: Plan, options: argparse.Namespace) -> list[Installed]:
    """The installations that this one leaves as they are; one that somebody has taken back by hand is none.

    Raises UsageError where one is there, in part or for another provider: it alone knows what was there before.
    """
    found = records.read()
    paths = {edit.path for edit in plan.edits}
    own = (options.provider, options.user or "")
    same = [
        each
        for each in found
        if paths & {done.path for done in each.files}
        and (options.tool == "claude-code" or (each.provider, each.user) == own)
    ]
    for each in same:
        if each.stands(options.tool):
            message = f"{each.provider} is installed for {TOOLS[options.tool]} already, and not as it would be now"
            raise UsageError(message, hint=f"keyfob uninstall {options.tool} {each.provider}")
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
        undo = f"keyfob uninstall {options.tool} {options.provider}"
        terminal.note(
            f"{TOOLS[options.tool]} asks keyfob for the token of {options.provider} now; `{undo}` takes it back"
        )
    for message, hint in plan.after if written else ():
        terminal.note(message, hint=hint)
    return EXIT_OK
