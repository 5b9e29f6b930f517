"""Explaining one provider: each part of the decision, as far as it can be found out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from keyfob.clients.origin import shown
from keyfob.config.builtin import IDS
from keyfob.errors import KeyfobError, PluginError
from keyfob.routing.explain import Explanation, PluginPlace, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyfob.clients.origin import BaseUrl
    from keyfob.config.entries import Entry, Setting
    from keyfob.config.policy import Policy
    from keyfob.plugin.contract import State
    from keyfob.providers import Provider

Part = TypeVar("Part")


class _Reader:
    """Reads one part after another. faults: what was wrong with those that were None, each once."""

    def __init__(self) -> None:
        self.faults: dict[str, None] = {}

    def __call__(self, read: Callable[[], Part]) -> Part | None:
        try:
            return read()
        except KeyfobError as error:
            self.faults[str(error)] = None
            return None


def explanation(provider: Provider, url: str | None, *, default: Callable[[], str]) -> Explanation:
    """The whole decision about a provider. url: where to a credential might be sent. default: the default's id."""
    part = _Reader()
    entry, route = part(lambda: provider.entry), part(lambda: provider.route)
    loaded, base_url = part(lambda: provider.loaded), part(lambda: provider.base_url)
    state, policy = part(provider.state), part(lambda: provider.judge.policy)
    credential = part(lambda: provider.source.peek())
    plugin = (route.plugin, loaded.distribution, loaded.version, loaded.file) if route and loaded else None
    return Explanation(
        provider=provider.id,
        default=part(default) == provider.id,
        settings=(*entry.settings, *_shipped(provider, entry)) if entry else (),
        claims=route.claims if route else (),
        plugin=PluginPlace(*plugin) if plugin else None,
        ready=state.ready if state else None,
        state=state.summary if state else None,
        comes_from=state.comes_from if state else None,
        policy=tuple(map(str, policy.rules)) if policy else (),
        expires_at=credential.expires_at if credential else state.expires_at if state else None,
        headers=_headers(entry, state, policy),
        query_params=tuple(entry.fields.query_params) if entry else (),
        base_url=str(base_url) if base_url else None,
        origin=str(base_url.origin) if base_url else None,
        verdict=_verdict(base_url, url) if base_url and url is not None else None,
        faults=tuple(part.faults),
    )


def _shipped(provider: Provider, entry: Entry) -> tuple[Setting, ...]:
    """What a plugin ships under this id; where the files decide, nothing of it counts, nor that it is broken."""
    host = provider.host
    if provider.id in IDS or not host.configuration.decides(provider.id):
        return entry.shipped
    try:
        withheld = host.plugins.shipped(provider.id)
    except PluginError:
        return ()
    settings = replace(entry, base=withheld).shipped if withheld else ()
    return tuple(replace(setting, wins=False) for setting in settings)


def _headers(entry: Entry | None, state: State | None, policy: Policy | None) -> tuple[str, ...]:
    """The names of all that a request gets."""
    own = (*entry.fields.http_headers, *entry.fields.env_http_headers) if entry else ()
    return tuple(dict.fromkeys([*own, *(state.headers if state else ()), *(policy.headers if policy else ())]))


def _verdict(base_url: BaseUrl, url: str) -> Verdict:
    if base_url.covers(url):
        return Verdict(shown(url), sent=True, reason=f"it is at or below {base_url}")
    return Verdict(shown(url), sent=False, reason=f"it is not at or below {base_url}")
