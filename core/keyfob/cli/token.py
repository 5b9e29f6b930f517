"""`keyfob token`: print a provider's token, in the shape that whoever asks needs.

json: {"provider", "token", "expires_at", "base_url"}; expires_at is an RFC 3339 time or null. exec-credential:
https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from keyfob.cli.policy import obeyed
from keyfob.cli.repeats import Repeats, parent
from keyfob.cli.times import rfc3339
from keyfob.cli.unprinted import unprinted
from keyfob.cli.variables import variables, with_token

if TYPE_CHECKING:
    import argparse

    from keyfob.cli.commands import Parser
    from keyfob.cli.run import Session
    from keyfob.providers import Provider

_HELP = """the shape: token; header (`Authorization: Bearer …`); json; env (lines for eval: OPENAI_BASE_URL and
OPENAI_API_KEY); exec-credential (for kubectl)"""


def arguments(parser: Parser) -> None:
    """PROVIDER and the format."""
    parser.add_provider()
    parser.add_argument("--format", choices=tuple(_FORMATS), default="token", help=_HELP)
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    parser.add_argument(
        "--repeat-means-refused",
        action="store_true",
        help="for a program that asks again only after a 401: asked again by the same process within 10 seconds, the "
        "token that it was handed counts as refused",
    )


def run(options: argparse.Namespace, session: Session) -> int:
    """Print it."""
    provider = session.provider(options.provider)
    with obeyed(provider), unprinted():
        if options.repeat_means_refused:
            _heed(provider, session)
        answer = _FORMATS[options.format](provider)
    session.terminal.data(answer)
    return 0


def _heed(provider: Provider, session: Session) -> None:
    """Have the token replaced that whoever asks was handed a moment ago, and note which one it is handed now."""
    repeats = Repeats(session.places, provider.id, parent())
    credential = with_token(provider)
    if repeats.counts(str(credential.token)):
        credential = provider.signing.get(credential)
    try:
        repeats.note(str(credential.token))
    except OSError as error:
        session.terminal.warn(f"a repeat will not be noticed: {error.filename}: {error.strerror}")


def _token(provider: Provider) -> str:
    return str(with_token(provider).token)


def _header(provider: Provider) -> str:
    return "\n".join(f"{name}: {value}" for name, value in with_token(provider).headers.items())


def _json(provider: Provider) -> str:
    credential = with_token(provider)
    document = {
        "provider": provider.id,
        "token": credential.token,
        "expires_at": rfc3339(credential.expires_at),
        "base_url": str(provider.base_url),
    }
    return json.dumps(document, indent=2)


def _env(provider: Provider) -> str:
    return "\n".join(
        f"unset {name}" if value is None else f"export {name}={shlex.quote(value)}"
        for name, value in variables(provider).items()
    )


def _exec_credential(provider: Provider) -> str:
    credential = with_token(provider)
    status = {"token": credential.token}
    expires_at = rfc3339(credential.expires_at)
    if expires_at:
        status["expirationTimestamp"] = expires_at
    version = "client.authentication.k8s.io/v1"
    return json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status})


_FORMATS = {
    "token": _token,
    "header": _header,
    "json": _json,
    "env": _env,
    "exec-credential": _exec_credential,
}
