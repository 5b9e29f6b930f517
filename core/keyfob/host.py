"""The host: configuration, plugins and stores, resolved into providers."""

from __future__ import annotations

import contextlib
import os
import time
import warnings
from typing import TYPE_CHECKING, NoReturn

from keyfob.config import snapshot
from keyfob.config.builtin import IDS
from keyfob.config.configuration import Configuration
from keyfob.config.environment import layered
from keyfob.config.layers import read_layers
from keyfob.config.places import POLICY, Places, site_folders
from keyfob.config.snapshot_writer import Watched, save
from keyfob.credentials.renewals import renewals
from keyfob.errors import ConfigError
from keyfob.lazy import lazy
from keyfob.plugin.contract import Context
from keyfob.plugin.interaction import Interaction, Nobody
from keyfob.providers import Provider
from keyfob.remembering import routed
from keyfob.routing.installed import Installed
from keyfob.routing.plugins import Plugins
from keyfob.stores.choice import SHARED, clearable, store_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from keyfob.config.snapshot import Routed
    from keyfob.credentials.event import Event
    from keyfob.credentials.exchange import Answer, Exchange
    from keyfob.credentials.renewals import Renew
    from keyfob.credentials.store import Store
    from keyfob.errors import Fault
    from keyfob.routing.listeners import Listeners


class ConfigWarning(UserWarning):
    """Something in the configuration has no effect."""


def _warn(fault: Fault) -> None:
    warnings.warn(str(fault), ConfigWarning, stacklevel=2)


class Host:
    """Reads the configuration once and resolves it into providers, each when it is asked for.

    environ: the environment; `.env` of CODEX_HOME is layered over it and never changes it. profile: the name of a
    profile file. overrides: `key=value` texts, as `-c` takes them. places: where the files are; by default where
    `environ` says. warn: told, once, of each key that has no effect. clock: seconds since the epoch. renew: carries
    out the renewals of logins; see `keyfob.credentials.renewals`. interaction: whoever may be asked to sign in; by
    default nobody. waiting: told, from another thread, of a plugin that takes long to be loaded.

    The public API is `provider`, `default_id` and `ids`; the rest is internal and may change at any time.
    """

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        *,
        profile: str | None = None,
        overrides: Sequence[str] = (),
        places: Places | None = None,
        warn: Callable[[Fault], None] = _warn,
        clock: Callable[[], float] = time.time,
        renew: Renew = renewals.start,
        interaction: Interaction | None = None,
        waiting: Callable[[str], None] | None = None,
    ) -> None:
        self._environ = environ
        self._profile = profile
        self._overrides = overrides
        self._warn = warn
        self._clock = clock
        self.renew = renew
        self._interaction = interaction or Nobody()
        self._waiting = waiting
        self._stores: dict[tuple[str, str], Store] = {}
        self._providers: dict[str, Provider] = {}
        self._watched = Watched()
        self.places = places or Places.of(environ)

    @lazy
    def environ(self) -> Mapping[str, str]:
        """The environment, with `.env` of CODEX_HOME layered over it."""
        self._watched.add([self.places.dotenv])
        environ, faults = layered(self.places.dotenv, self._environ)
        self.report(faults)
        return environ

    @lazy
    def configuration(self) -> Configuration:
        """The merged configuration. Raises ConfigError with the faults of every file that cannot be read."""
        files = self.places.files(self._profile)
        self._watched.add([path for layer, path in files if layer not in POLICY])
        self._watched.add([path for layer, path in files if layer in POLICY], "policy")
        configuration = Configuration(read_layers(self.places, self._profile, self._overrides), self.environ)
        self.report(configuration.warnings)
        return configuration

    @lazy
    def plugins(self) -> Plugins:
        """The plugins at hand. KEYFOB_DISABLE_PLUGINS leaves third parties' out."""
        if self._environ.get("KEYFOB_DISABLE_PLUGINS"):
            return Plugins((), self.configuration.allowed_plugins)
        installed = Installed(site_folders(), lambda paths: self._watched.add(paths, "installed"))
        return Plugins(installed, self.configuration.allowed_plugins, self._waiting)

    @lazy
    def context(self) -> Context:
        """What plugins may touch."""
        return Context(environ=self.environ, clock=self._clock, send=self._send, interaction=self._interaction)

    def _send(self, exchange: Exchange) -> Answer:
        """Send one request to an issuer. The HTTP library is imported for it, not before."""
        from keyfob.clients.issuer import send

        return send(exchange, self.environ)

    def store(self, plugin: str, provider: str) -> Store:
        """Where that plugin keeps that provider's login; one for all who ask, and for all who share it."""
        key = (plugin, "" if plugin == SHARED else provider)
        if key not in self._stores:
            made = store_for(self.configuration.store, self.places.codex_home, plugin, provider, self._warn)
            self._stores.setdefault(key, made)
        return self._stores[key]

    def stores(self, plugin: str, provider: str) -> tuple[Store, ...]:
        """Every place where that plugin's login for that provider may be, whatever the setting is now."""
        return clearable(self.configuration.store, self.places.codex_home, plugin, provider, self._warn)

    def announce(self, event: Event) -> None:
        """Have the plugins that listen told of it, in threads of their own. Waits for nobody and raises nothing."""
        with contextlib.suppress(ConfigError):  # who may listen is not known then; whoever uses it is told
            if self._listeners is not None:
                self._listeners.announce(event)

    @lazy
    def _listeners(self) -> Listeners | None:
        """The plugins that listen. Where there are none, nothing is imported for them."""
        if not self.plugins.listeners:
            return None
        from keyfob.routing.listeners import Listeners

        return Listeners(self.plugins, self._warn)

    def heard(self) -> None:
        """Wait until they have heard of all that was announced, two seconds at the most.

        The interpreter does so at its end; for a process that ends otherwise, or becomes another program.
        """
        listeners: Listeners | None = vars(self).get("_listeners")
        if listeners is not None:
            listeners.heard()

    @property
    def default_id(self) -> str:
        """The id of the default provider."""
        return self.configuration.default_id

    @property
    def ids(self) -> tuple[str, ...]:
        """Every provider there is: those of the files, those that plugins ship, the built-in ones."""
        shipped = [declared.name for declared in self.plugins.accepted if declared.group == "keyfob.providers"]
        return tuple(dict.fromkeys([*self.configuration.user_ids, *shipped, *IDS]))

    def provider(self, provider: str | None = None) -> Provider:
        """One provider, the default one if none is named. Nothing is read until it is needed."""
        name = self.default_id if provider is None else provider
        # Not `if name not in …`: two threads must get the same one.
        return self._providers.get(name) or self._providers.setdefault(name, Provider(self, name))

    @lazy
    def snapshot(self) -> snapshot.Snapshot | None:
        """What an earlier host found, where that still holds and tells all there is to know of this one."""
        if not self._plain or self.places.codex_home_fault:
            return None
        return snapshot.load(self.places, self._profile)

    @property
    def _plain(self) -> bool:
        """Whether nothing but the files decides: `-c` and these variables are not in the snapshot's key."""
        return not self._overrides and not any(name in self._environ for name in snapshot.BYPASS)

    def remember(self) -> bool:
        """Write the snapshot for the next start. Whether it was written; not being able to is no fault."""
        if not self._plain:
            return False
        try:
            found = {name: self._routed(name) for name in self.ids}
            return save(self.places, self._profile, self._watched, self.default_id, found, time.time())
        except ConfigError:
            return False

    def _routed(self, name: str) -> Routed | None:
        """What is remembered of a provider: nothing of one that a plugin ships, which has to be asked each time."""
        asked = name not in IDS and not self.configuration.decides(name)
        return None if asked else routed(self.provider(name))

    def report(self, ignored: Sequence[Fault]) -> None:
        """Tell of keys that have no effect."""
        for fault in ignored:
            self._warn(fault)

    def __repr__(self) -> str:
        return f"<Host {self.places.codex_home}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("hosts are not pickled: they hold secrets")
