"""The explanation of one provider: what was looked at, what won and why, and where its credential may go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyfob.config.entries import Setting
    from keyfob.routing.route import Claim


@dataclass(frozen=True, slots=True)
class PluginPlace:
    """A plugin, whose it is, and the file with the code that will see the secret."""

    key: str
    distribution: str
    version: str
    file: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a credential would be sent to a URL, and the reason."""

    url: str
    sent: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything that decides how requests to one provider are authenticated; no value that could be a secret.

    policy: the rules that its credentials are under, each with its place. What could not be found out because of a
    fault is None or empty, and `faults` says why.
    """

    provider: str
    default: bool
    settings: tuple[Setting, ...] = ()
    claims: tuple[Claim, ...] = ()
    plugin: PluginPlace | None = None
    ready: bool | None = None
    state: str | None = None
    comes_from: str | None = None
    policy: tuple[str, ...] = ()
    expires_at: float | None = None
    headers: tuple[str, ...] = ()
    query_params: tuple[str, ...] = ()
    base_url: str | None = None
    origin: str | None = None
    verdict: Verdict | None = None
    faults: tuple[str, ...] = ()
