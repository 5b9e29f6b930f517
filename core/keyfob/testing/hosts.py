"""Hosts whose configuration is given instead of read: what fakes and the contract kit stand on."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

from keyfob.config.configuration import Configuration
from keyfob.config.layers import Layer
from keyfob.config.places import Places
from keyfob.host import Host
from keyfob.lazy import lazy
from keyfob.routing.installed import Declaration
from keyfob.routing.plugins import Loaded, Plugins

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keyfob.errors import Fault
    from keyfob.plugin import AuthPlugin, Event, Interaction

_NOWHERE: Final = os.path.join(os.sep, "nonexistent")


class GivenHost(Host):
    """A host of this configuration. It reads no file of configuration, no `.env`, and remembers nothing.

    data: what `keyfob.toml` would hold. environ: the whole environment. plugins: None takes the installed ones.
    places: where logins are kept in files; None where `data` keeps them in none. Nothing is warned of.
    """

    def __init__(
        self,
        data: Mapping[str, Any],
        environ: Mapping[str, str],
        *,
        plugins: Plugins | None = None,
        places: Places | None = None,
        clock: Callable[[], float] = time.time,
        interaction: Interaction | None = None,
    ) -> None:
        places = places or Places(_NOWHERE, system=_NOWHERE, cache=_NOWHERE)
        super().__init__(environ, places=places, warn=_unheard, clock=clock, interaction=interaction)
        self._data = dict(data)
        self._given = plugins

    @lazy
    def environ(self) -> Mapping[str, str]:
        """As it was given."""
        return self._environ

    @lazy
    def configuration(self) -> Configuration:
        """As it was given."""
        return Configuration([Layer("user", None, self._data)], self.environ)

    @lazy
    def plugins(self) -> Plugins:
        """Those that were given, or the installed ones."""
        return self._given or super().plugins

    @lazy
    def snapshot(self) -> None:
        """None: there is nothing to remember it by."""

    def remember(self) -> bool:
        """False: nothing was written."""
        return False

    def announce(self, event: Event) -> None:
        """To nobody: what happens in a test belongs in no log, whatever is installed."""


def _unheard(_: Fault) -> None:
    """A warning, and nobody who would read it."""


def plugins_of(plugin: AuthPlugin[Any]) -> Plugins:
    """One plugin at hand, as if it had been installed."""
    found = Plugins([declared_here(plugin.key, type(plugin).__module__)])
    found.take(Loaded(plugin, "given", "0", type(plugin).__module__))
    return found


def declared_here(key: str, module: str, group: str = "keyfob.auth") -> Declaration:
    """The declaration of a plugin, or of what else the group is of, that no distribution declares."""
    return Declaration(group, key, module, "given", "0", "")
