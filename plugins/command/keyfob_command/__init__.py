"""`[model_providers.<id>.auth]`: a command that prints the token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from keyfob.plugin import (
    AuthPlugin,
    CommandError,
    Context,
    Credential,
    MintingAuth,
    ProviderInfo,
    State,
    asking,
    check_secret,
    hookimpl,
)
from keyfob_command.process import Failure, Finished, check, run


class Table(BaseModel):
    """The `auth` table; core has made `cwd` absolute. Times are in milliseconds."""

    command: str
    args: list[str] = Field(default_factory=list, repr=False)
    timeout_ms: int = 5_000
    refresh_interval_ms: int = 300_000
    cwd: str | None = None


class Options(BaseModel):
    """The key of the entry that this plugin reads."""

    auth: Table


class Command(MintingAuth[Options]):
    """Runs the command; its whole output, blanks trimmed, is the token."""

    key = "command"

    def max_age(self, options: Options) -> float | None:
        """The refresh interval in seconds; 0 says that only a 401 makes the token old."""
        return options.auth.refresh_interval_ms / 1000 or None

    def mint(self, provider: ProviderInfo, options: Options, context: Context) -> Credential:
        """Run the command once. Raises CommandError with what it wrote to stderr, IllegalHeaderError."""
        table = options.auth
        try:
            finished = run(
                [table.command, *table.args],
                cwd=table.cwd,
                environ=asking(context.environ, provider.id),
                timeout=table.timeout_ms / 1000,
            )
            return Credential.bearer(_token(finished, _who(provider, table)))
        except Failure as failure:
            hint = "raise auth.timeout_ms" if failure.timed_out else None
            raise CommandError(f"{_who(provider, table)} {failure}", hint=hint) from failure.__cause__

    def state(self, provider: ProviderInfo, options: Options, context: Context) -> State:
        """Ready, as far as can be told without running it."""
        table, summary = options.auth, "ready"
        try:
            check(table.command, table.cwd, context.environ)
        except Failure as failure:
            summary = f"command `{table.command}` {failure}"
        return State(summary == "ready", summary, comes_from=f"command `{table.command}`, run when asked")


def _who(provider: ProviderInfo, table: Table) -> str:
    return f"provider {provider.id}: command `{table.command}`"


def _token(finished: Finished, who: str) -> str:
    said = f": {finished.stderr}" if finished.stderr else ""
    if finished.status != 0:
        raise Failure(_ending(finished.status) + said)
    try:
        token = finished.stdout.decode().strip()
    except UnicodeDecodeError:
        raise Failure("printed something that is not UTF-8") from None
    if not token:
        raise Failure(f"printed no token{said}")
    check_secret(token, f"{who} printed a token that")
    return token


def _ending(status: int) -> str:
    return f"was killed by signal {-status}" if status < 0 else f"exited with status {status}"


@hookimpl
def keyfob_auth_plugins() -> Sequence[AuthPlugin[Any]]:
    """The plugin for `auth.command`."""
    return [Command()]
