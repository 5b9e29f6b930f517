"""`keyfob token`: print a provider's token, in the shape that whoever asks needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from keyfob.cli.run import Session

FORMATS = ("token", "header", "json", "env", "exec-credential")


def arguments(parser: argparse.ArgumentParser) -> None:
    """PROVIDER and the format."""
    parser.add_argument("provider", nargs="?", metavar="PROVIDER", help="a provider's id (default: model_provider)")
    parser.add_argument("--format", choices=FORMATS, default="token", help="the shape of what is printed")


def run(options: argparse.Namespace, session: Session) -> int:
    """Print it."""
    provider = session.host.provider(options.provider)
    credential = provider.credential()
    if credential.token is None:
        raise UsageError(f"{provider.id} is authenticated by more than one token", hint=f"keyfob headers {provider.id}")
    session.terminal.data(credential.token)
    return 0
