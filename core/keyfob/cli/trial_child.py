"""The child of a trial: loads one plugin as keyfob would, and writes to stdout what is wrong.

Nothing but that reaches stdout, whatever the plugin prints. `ok` says that it is sound, so that a child that was
ended by the plugin is told from one that found nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import TYPE_CHECKING

from keyfob.cli.situation import Situation
from keyfob.errors import KeyfobError, PluginError
from keyfob.routing.installed import Declaration

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyfob.host import Host
    from keyfob.providers import Provider

SOUND = "ok"


def main() -> None:
    """Check the declaration that stdin holds, in the situation that it holds."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8", errors="backslashreplace") as answer:
        os.dup2(2, 1)
        task = json.load(sys.stdin)
        answer.write(_verdict(Declaration(**task["declaration"]), Situation(**task["situation"])))


def _verdict(declaration: Declaration, situation: Situation) -> str:
    try:
        _load(declaration)
        if declaration.group == "keyfob.auth" and declaration.path:  # one that is not built in
            _open(declaration, situation.host())
    except KeyfobError as error:
        return str(error)
    except BaseException as error:  # noqa: BLE001  # whatever a plugin raises is a finding, not our end
        return f"{declaration}: {declaration.module} broke: {type(error).__name__}"
    return SOUND


def _load(declaration: Declaration) -> None:
    from keyfob.config.configuration import Configuration
    from keyfob.routing.plugins import Plugins

    plugins = Plugins([declaration])
    if declaration.group == "keyfob.auth":
        plugins.load(declaration.name)
    elif declaration.group == "keyfob.providers":
        Configuration([], {}).entry(declaration.name, plugins.shipped(declaration.name))
    else:
        plugins.listener(declaration)


def _open(declaration: Declaration, host: Host) -> None:
    """Go with each entry that needs it as far as can be gone without I/O. Raises PluginError."""
    for name in _needing(declaration.name, host):
        for part in _PARTS:
            try:
                part(host.provider(name))
            except PluginError:
                raise
            except KeyfobError:  # what is wrong with the entry itself is said elsewhere
                pass


def _needing(key: str, host: Host) -> list[str]:
    """The entries that go to the plugin of that key, of those for which nothing else has to be imported to say so."""
    with contextlib.suppress(KeyfobError):
        own = [name for name in host.configuration.user_ids if host.configuration.decides(name)]
        return [name for name in own if _key(host.provider(name)) == key]
    return []


def _key(provider: Provider) -> str | None:
    with contextlib.suppress(KeyfobError):
        return provider.route.plugin
    return None


_PARTS: tuple[Callable[[Provider], object], ...] = (
    lambda provider: provider.options,
    lambda provider: provider.base_url,
    lambda provider: provider.source,
    lambda provider: provider.state(),
)


if __name__ == "__main__":
    main()
