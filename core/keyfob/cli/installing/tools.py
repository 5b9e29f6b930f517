"""The programs whose configuration keyfob edits: how their files are read, and what is written into them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from keyfob.cli.installing import claude_code, codex, kubectl
from keyfob.cli.installing.json_file import Json
from keyfob.cli.installing.kubeconfig import Kubeconfig
from keyfob.cli.installing.toml import Toml

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from keyfob.cli.installing.changes import Change
    from keyfob.cli.installing.plan import Plan
    from keyfob.cli.run import Session
    from keyfob.providers import Provider


class File(Protocol):
    """One file of another program's, as what it says and as text that is edited."""

    @property
    def text(self) -> str:
        """The text, so far."""
        ...

    @property
    def says(self) -> dict[str, Any]:
        """What it says, by its keys."""
        ...

    def revert(self, done: Sequence[Change]) -> bool:
        """Take changes back where the text was written anew; whether that could be done exactly."""
        ...


class Tool(NamedTuple):
    """One program. file: raises ConfigError for text that it could not read. shared: whether it asks for several."""

    file: Callable[[str, str | None], File]
    plan: Callable[[Provider, Session, argparse.Namespace], Plan]
    shared: bool = True


TOOLS: Mapping[str, Tool] = {
    "codex": Tool(Toml, codex.plan),
    "claude-code": Tool(Json, claude_code.plan, shared=False),
    "kubectl": Tool(Kubeconfig, kubectl.plan),
}
