"""Checking providers: one request to each, all at once, and what the answers say."""

from __future__ import annotations

import asyncio
import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keyfob.httpx
from keyfob.cli.policy import carried_out
from keyfob.cli.sending import HEADERS, library, unreachable
from keyfob.clients.landing import landed
from keyfob.clients.reasons import phrase, why
from keyfob.errors import KeyfobError, PolicyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyfob.providers import Provider

_AT_ONCE = 16
# Bytes. The longest known lists of models have less than one million.
_LONGEST_ANSWER = 8 * 1024 * 1024
_OK, _UNAUTHORIZED = 200, 401
_REFUSED = (_UNAUTHORIZED, 403)
# What servers are known to answer that says something else than it means.
_MEANINGS = {"no_db_connection": "a LiteLLM proxy without a database says so of a key that it does not know"}


@dataclass
class Finding:
    """What was found out of one provider so far; None is not known. Nothing else of an answer is kept.

    credential: accepted, refused, missing, not needed, or unclear, where the server says neither. error: the code or
    type of an error as OpenAI writes it. problem: for people, why the provider cannot be used; hint: what to do.
    """

    provider: str
    reachable: bool | None = None
    credential: str | None = None
    status: int | None = None
    error: str | None = None
    latency_ms: int | None = None
    models: list[str] | None = None
    problem: str | None = None
    hint: str | None = None

    @property
    def ok(self) -> bool:
        """Whether the provider can be used."""
        return self.problem is None


async def checked(providers: Sequence[Provider], timeout: float) -> list[Finding]:
    """Check them side by side; the findings are in the order of the providers. timeout: seconds for each."""
    turns = asyncio.Semaphore(_AT_ONCE)

    async def in_turn(provider: Provider) -> Finding:
        async with turns:
            return await _checked(provider, timeout)

    return await asyncio.gather(*map(in_turn, providers))


async def _checked(provider: Provider, timeout: float) -> Finding:
    """One provider, whatever happens to it."""
    finding = Finding(provider.id)
    try:
        async with asyncio.timeout(timeout):
            await _ask(provider, finding)
    except TimeoutError:
        finding.problem = f"no answer within {timeout:g} s"
    except library.TransportError as error:
        finding.problem, finding.hint = why(error), unreachable(provider, error).hint
    except PolicyError as error:
        _tell(finding, await asyncio.to_thread(carried_out, provider, error))
    except KeyfobError as error:
        _tell(finding, error)
    except Exception as error:  # noqa: BLE001  # a fault of one provider's plugin must not hide what the others said
        finding.problem = f"internal error: {type(error).__name__}"
    return finding


def _tell(finding: Finding, error: KeyfobError) -> None:
    """Of several faults the first."""
    finding.problem, finding.hint = str(error).partition("\n")[0], error.hint


async def _ask(provider: Provider, finding: Finding) -> None:
    signing = provider.signing
    finding.credential = "missing"
    credential = signing.peek() or await landed(signing.start())
    finding.credential, finding.reachable = None, False
    async with keyfob.httpx.AsyncClient(provider) as client:
        started = time.perf_counter()
        async with client.stream("GET", "models", headers=HEADERS) as answer:
            finding.reachable, finding.status = True, answer.status_code
            body = await _body(answer)
        finding.latency_ms = round((time.perf_counter() - started) * 1000)
    _judge(finding, _parsed(body), (*signing.additions.merged(credential).pairs, *signing.additions.query.items()))
    if finding.credential == "refused":
        finding.hint = _after_refusal(provider, finding.status)


def _after_refusal(provider: Provider, status: int | None) -> str:
    """Another login, if it is a stored one that the server does not know (any more); else see where it is from."""
    login = provider.login
    anew = status == _UNAUTHORIZED and login is not None and login.records.environment_secret() is None
    return login.command if anew and login else f"keyfob explain {provider.id}"


async def _body(answer: Any) -> bytes:
    body = bytearray()
    async for piece in answer.aiter_raw():
        body += piece
        if len(body) > _LONGEST_ANSWER:
            return b""
    return bytes(body)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _judge(finding: Finding, document: Any, sent: Sequence[tuple[str, str]]) -> None:
    """What the answer says of the credential; a login page, which is a 200 too, says nothing. sent: the headers."""
    status, authenticated = finding.status or 0, bool(sent)
    if status == _OK:
        finding.models = _models(document)
        if finding.models is None:
            finding.credential, finding.problem = "unclear", "answered 200, but not with a list of models"
        else:
            finding.credential = "accepted" if authenticated else "not needed"
        return
    finding.error = _error(document, sent)
    finding.credential = "unclear" if status not in _REFUSED else "refused" if authenticated else "missing"
    finding.problem = f"answered {phrase(status)}" + (f", {finding.error}" if finding.error else "")
    if finding.error in _MEANINGS:
        finding.problem += f" ({_MEANINGS[finding.error]})"


def _models(document: Any) -> list[str] | None:
    """The ids in https://platform.openai.com/docs/api-reference/models/list."""
    data = document.get("data") if isinstance(document, dict) else None
    if not isinstance(data, list):
        return None
    return [model["id"] for model in data if isinstance(model, dict) and isinstance(model.get("id"), str)]


def _error(document: Any, sent: Sequence[tuple[str, str]]) -> str | None:
    """`code`, else `type`, of an error as OpenAI writes it: a plain word that is no part of what was sent."""
    error = document.get("error") if isinstance(document, dict) else None
    words = [error.get("code"), error.get("type")] if isinstance(error, dict) else []
    plain = [word for word in words if isinstance(word, str) and re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,39}", word)]
    return next((word for word in plain if not any(word in value for _, value in sent)), None)
