"""One trial of a plugin: an issuer, and providers of hosts that know nothing but this."""

from __future__ import annotations

import importlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

from keyfob.config.places import Places
from keyfob.credentials.saving import save
from keyfob.routing.builtin import MODULES
from keyfob.routing.plugins import Plugins
from keyfob.testing.hosts import GivenHost, declared_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from keyfob.credentials.credential import Credential
    from keyfob.providers import Provider
    from keyfob.testing.contract.issuer import Grant, NastyIssuer
    from keyfob.testing.model_server import ModelServer

ID = "trial"
NOWHERE = "https://trial.invalid/v1"
# Shorter values are names and switches, and stand in texts by chance.
_LEAST = 6


class Trial:
    """What the rules work with.

    entry: the keys of the provider's entry; its base URL is the kit's. environ: what its user exports. module: where
    the plugin is, if no distribution declares it, and `declares` the keys that one would. secrets: those of the entry;
    public: the variables that hold none.
    login: what is stored for a grant; None for a plugin whose logins are none, or are not made of grants. lifetime:
    of a credential, in seconds; None where the issuer says it.
    """

    def __init__(
        self,
        folder: str,
        key: str,
        *,
        issuer: NastyIssuer,
        entry: Mapping[str, Any],
        environ: Mapping[str, str],
        module: str | None = None,
        declares: tuple[str, ...] = (),
        secrets: tuple[str, ...] = (),
        public: tuple[str, ...] = (),
        login: Callable[[NastyIssuer, Grant], Mapping[str, Any]] | None = None,
        lifetime: float | None = None,
    ) -> None:
        self.folder, self.key, self.module = folder, key, module
        self._declares = declares or (key,)
        self.issuer, self.entry, self.environ = issuer, dict(entry), dict(environ)
        self._secrets, self._public, self._login = secrets, public, login
        self._sent: set[str] = set()
        self.lifetime = lifetime
        self._ahead = 0.0  # seconds
        self._base_url = NOWHERE
        self._stored: Mapping[str, Any] | None = None
        if login is not None:
            self.store(login(issuer, issuer.grant()))

    def sets_out(self, *, expired: bool = True) -> None:
        """Begin anew. expired: what is stored has expired, so that the next credential takes the issuer."""
        self._ahead = 0.0
        if self._login is not None:
            self.store(self._login(self.issuer, self.issuer.grant(-60 if expired else 3600)))
        else:
            self._forget()

    @property
    def middle_of_life(self) -> float:
        """Seconds after which a credential is neither new nor due to be replaced."""
        return min(120.0, 0.8 * (self.lifetime or 3600.0))

    def later(self, seconds: float) -> None:
        """Have that much time pass, for providers that are there already, too."""
        self._ahead += seconds

    def _forget(self) -> None:
        """What a program signed in for by itself."""
        login = self.provider().login
        if login is not None:
            with login.store.lock(), login.store.writing():
                login.store.delete()
                login.store.clear()

    def _clock(self) -> float:
        return time.time() + self._ahead

    def specification(self) -> dict[str, Any]:
        """All that a host is made of, for another process too: the arguments of `host_of`."""
        entry = {"base_url": self._base_url, **self.entry}
        data = {"cli_auth_credentials_store": "file", "model_providers": {ID: entry}}
        return {
            "folder": self.folder,
            "data": data,
            "environ": self.environ,
            "module": self.module,
            "declares": self._declares,
        }

    def provider(self, environ: Mapping[str, str] | None = None) -> Provider:
        """The provider, of a host that knows what a new process would."""
        made = self.specification()
        return host_of(**made if environ is None else {**made, "environ": environ}, clock=self._clock).provider(ID)

    def store(self, data: Mapping[str, Any]) -> None:
        """Store that login, as if somebody had just signed in."""
        login = self.provider().login
        if login is None:
            raise AssertionError(f"`login` is given, but the plugin `{self.key}` stores none: it has no `records`")
        save(login, data, replace_damaged=True)
        self._stored = data

    def at(self, models: ModelServer) -> Provider:
        """The provider, with requests that go to that server; a login is for the origin that it was stored for."""
        self._base_url = models.base_url
        if self._stored is not None:
            self.store(self._stored)
        return self.provider()

    def without(self, name: str) -> dict[str, str]:
        """The environment without that variable."""
        return {key: value for key, value in self.environ.items() if key != name}

    @property
    def private(self) -> list[str]:
        """The variables that hold a secret: neither an address nor one that the test calls public."""
        addresses = ("http://", "https://", os.sep)
        return [
            name for name, value in self.environ.items() if name not in self._public and not value.startswith(addresses)
        ]

    @property
    def canaries(self) -> Iterator[str]:
        """Every secret that there is: of the environment, of the entry, and what the issuer gave."""
        for value in (*(self.environ[name] for name in self.private), *self._secrets):
            if len(value) >= _LEAST:
                yield value
        for given in self.issuer.grants:
            yield from (given.token, given.refresh_token)
        yield from self._sent

    def remember(self, credential: Credential) -> None:
        """Count what it sends as a secret too, whatever it was made into: whole, and without its scheme."""
        for value in credential.headers.values():
            self._sent |= {part for part in (value, value.partition(" ")[2]) if len(part) >= _LEAST}

    def check_none_shown(self, text: str, where: str) -> None:
        """Fail if a secret stands in a text, as it is or as JSON and Python would write it."""
        for canary in self.canaries:
            written = {canary, json.dumps(canary)[1:-1], repr(canary)[1:-1]}
            if any(each in text for each in written):
                raise AssertionError(f"{where} shows a secret (which one is not said here)")

    @property
    def built_in(self) -> bool:
        """Whether it comes with keyfob."""
        return self.module is None and self.key in MODULES

    @property
    def offered(self) -> list[str]:
        """The keys of all plugins that its module offers."""
        return [plugin.key for plugin in importlib.import_module(self.loaded_from).keyfob_auth_plugins()]

    @property
    def loaded_from(self) -> str:
        """The module of the plugin. Raises PluginError."""
        if self.module is not None:
            return self.module
        if self.built_in:
            return MODULES[self.key]
        declaration = self.provider().host.plugins.declared("keyfob.auth", self.key)
        if declaration is None:
            raise AssertionError(f"no installed distribution declares `{self.key}` in the group keyfob.auth")
        return declaration.module


def host_of(
    folder: str,
    data: Mapping[str, Any],
    environ: Mapping[str, str],
    module: str | None,
    declares: Sequence[str] = (),
    group: str = "keyfob.auth",
    clock: Callable[[], float] = time.time,
    kind: type[GivenHost] = GivenHost,
) -> GivenHost:
    """A host of this configuration, with the plugins as installed, or what `module` would declare in the group."""
    places = Places(folder, system=os.path.join(folder, "system"), cache=os.path.join(folder, "cache"))
    plugins = None if module is None else Plugins([declared_here(key, module, group) for key in declares])
    return kind(data, environ, plugins=plugins, places=places, clock=clock)
