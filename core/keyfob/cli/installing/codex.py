"""Codex: its half of an entry in `config.toml`, which asks keyfob, and the other half in `keyfob.toml` beside it.

Codex refuses `auth` together with a key that says how to authenticate: such a key moves to `keyfob.toml`. That file is
written first, so that a crash between the two leaves an entry that says the same twice, and nothing lost.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any

from keyfob.cli.installing.command import anew, command
from keyfob.cli.installing.edits import Edit, read
from keyfob.cli.installing.plan import Plan, check_token_suffices, not_ready
from keyfob.cli.installing.toml import Toml
from keyfob.config.builtin import FIXED
from keyfob.config.configuration import Configuration
from keyfob.config.faults import toml, toml_key
from keyfob.config.layers import Layer, merge
from keyfob.errors import ConfigError, Fault
from keyfob.routing.builtin import CLAIMS
from keyfob.routing.route import route, runs_keyfob

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping, Sequence

    from keyfob.cli.run import Session
    from keyfob.config.entries import Setting
    from keyfob.providers import Provider

# Milliseconds. A renewal may take longer than the 5 seconds that Codex waits of itself (docs/codex.md); a token is
# fetched anew well before those ten minutes in which keyfob renews it.
TIMEOUT, REFRESH = 60_000, 300_000
# What Codex refuses beside `auth`.
_CLAIMS = tuple(key for key in CLAIMS if key != "auth")
# Of an entry that Codex has not seen: the keys that it knows, but for those that say how to authenticate.
_COPIED = (
    "http_headers", "env_http_headers", "query_params", "request_max_retries", "stream_max_retries",
    "stream_idle_timeout_ms", "websocket_connect_timeout_ms", "wire_api", "supports_websockets",
)  # fmt: skip


def plan(provider: Provider, session: Session, options: argparse.Namespace) -> Plan:
    """What makes Codex ask keyfob for this provider's token; with `anyway`, also where Codex needs no help.

    Raises ConfigError, UsageError.
    """
    return _Halves(provider, session).plan(anyway=options.anyway)


class _Halves:
    """Both files, and the entry as keyfob and as Codex see it."""

    def __init__(self, provider: Provider, session: Session) -> None:
        self._provider, self._session = provider, session
        self._table = ("model_providers", provider.id)
        self._entry = provider.entry
        self._layers = self._entry.layers
        self._seen = _own(merge(layer.data for layer in self._layers if _is_codexs(layer.path)), self._table)
        home = session.places.codex_home
        self._paths = [os.path.join(home, name) for name in ("keyfob.toml", "config.toml")]
        self._before = [read(path) for path in self._paths]
        self._ours, self._codexs = (Toml(*each) for each in zip(self._paths, self._before, strict=True))

    def plan(self, *, anyway: bool) -> Plan:
        """What has to change in them."""
        needless = self._needless(anyway=anyway)
        if needless:
            return needless
        check_token_suffices(self._provider, "Codex's command")
        self._check_one_destination()
        self._move_claims()
        self._add_what_codex_lacks()
        self._codexs.put_table((*self._table, "auth"), self._auth())
        self._check()
        texts = (self._ours.text, self._codexs.text)
        whole = zip(self._paths, self._before, texts, strict=True)
        return Plan([Edit(*each) for each in whole if each[1] != each[2]], after=self._after())

    def _needless(self, *, anyway: bool) -> Plan | None:
        """Why nothing is to be done."""
        name, key, setting = self._provider.id, self._provider.route.key, self._entry.setting("auth")
        if setting and runs_keyfob(self._entry):
            return self._asked_already(setting)
        if setting:
            return Plan(remark=f"{setting.place}: Codex runs the command of `auth` itself, and needs no help")
        if key is None:
            return Plan(remark=f"{name} is sent no credential: there is nothing that Codex would have to ask for")
        if name in FIXED:
            return Plan(remark=f"{name} is built into Codex, which signs in to it by itself")
        if anyway or key not in _CLAIMS or key not in self._seen or self._is_stored_here_alone():
            return None
        remark = f"Codex reads `{key}` of {name} itself, and needs no help; --anyway has it ask keyfob all the same"
        return Plan(remark=remark, hint=shlex.join(["keyfob", "install", "codex", name, "--anyway"]))

    def _asked_already(self, setting: Setting) -> Plan:
        program = self._entry.fields.auth.command if self._entry.fields.auth else ""
        if os.path.isabs(program) and not os.path.exists(program):
            remark = f"{setting.place}: Codex asks {program}, which is not there any more"
            return Plan(remark=remark, hint=anew("codex", self._provider.id))
        return Plan(remark=f"{setting.place}: Codex asks keyfob already")

    def _is_stored_here_alone(self) -> bool:
        """Whether there is a key that Codex cannot know: one that `keyfob login` stored in place of a variable."""
        login = self._provider.login
        return (
            self._provider.route.plugin == "envkey"
            and login is not None
            and (login.records.environment_secret() is None and login.known() is not None)
        )

    def _check_one_destination(self) -> None:
        """Codex sends the token to the base URL of its own files; keyfob has it for the one that it sees."""
        codexs, ours = self._seen.get("base_url"), self._entry.fields.base_url
        if codexs is not None and codexs != ours:
            message = "Codex does not read this, and would send the token to the base_url of its own files"
            raise ConfigError.of([self._entry.fault("base_url", message, "write it in config.toml")])

    def _move_claims(self) -> None:
        """Move the keys that Codex refuses beside `auth`, as the lines that they are."""
        moved = [key for key in _CLAIMS if self._seen.get(key) not in (None, False)]
        for key in moved:
            self._check_set_by_user(key)
        lines = {key: self._codexs.take(self._table, key) for key in moved}
        held = _own(self._ours.data, self._table)
        self._ours.put(self._table, [line for key, line in lines.items() if key not in held])

    def _check_set_by_user(self, key: str) -> None:
        for setting in self._entry.settings:
            if setting.key == key and _is_codexs(setting.path) and setting.path != self._codexs.path:
                message = f"Codex refuses `{key}` beside the command that asks keyfob, and only config.toml is edited"
                fault = Fault(
                    message, "move it there", path=setting.path, line=setting.line, provider=self._provider.id
                )
                raise ConfigError.of([fault])

    def _add_what_codex_lacks(self) -> None:
        """A name and a base URL; of an entry that it has not seen all that it knows. The rest is ours to know."""
        fields = self._entry.fields
        values = fields.model_dump(include={*_COPIED} & fields.model_fields_set) if "base_url" not in self._seen else {}
        known = {"name": fields.name or self._provider.id, "base_url": str(self._where()), **values}
        lacking = {key: value for key, value in known.items() if key not in self._seen}
        self._codexs.put(self._table, _assigned(lacking))
        base = self._entry.base.data if self._entry.base else {}
        shipped = {
            key: value for key, value in base.items() if key not in known and self._entry.setting(key) is None
        }  # from now on the files decide, and then nothing of what a plugin ships counts
        self._ours.put(self._table, _assigned(shipped))

    def _where(self) -> str:
        return self._entry.fields.base_url or str(self._provider.base_url)

    def _auth(self) -> Mapping[str, Any]:
        program, *first = command(self._session.environ)
        args = [*first, "token", self._provider.id, "--repeat-means-refused"]
        return {"command": program, "args": args, "timeout_ms": TIMEOUT, "refresh_interval_ms": REFRESH}

    def _check(self) -> None:
        """See that keyfob will find the same entry as before, and Codex one that it can use: whatever else is set."""
        host, name = self._session.host, self._provider.id
        layers = self._layers_then()
        entry = Configuration(layers, host.environ).entry(name)
        kept = route(entry, host.plugins).plugin == self._provider.route.plugin and _same(entry, self._entry)
        seen = _own(merge(layer.data for layer in layers if _is_codexs(layer.path)), self._table)
        refused = [key for key in _CLAIMS if seen.get(key) not in (None, False)]
        if not kept or refused or seen.get("auth") != self._auth() or seen.get("base_url") != self._where():
            message = "this entry cannot be parted in two halves without changing what it says"
            raise ConfigError.of([self._entry.fault(None, message, "see docs/codex-proxy.md, Both halves of an entry")])

    def _layers_then(self) -> Sequence[Layer]:
        texts = ((self._codexs.path, self._codexs), (self._ours.path, self._ours))
        user = [Layer("user", path, each.data, each.text) for path, each in texts]
        below = [layer for layer in self._layers if layer.name == "system"]
        return [*below, *user, *(layer for layer in self._layers if layer.name not in ("system", "user"))]

    def _after(self) -> Sequence[tuple[str, str | None]]:
        name, default = self._provider.id, self._session.host.default_id
        told = f"model_provider = {toml(name)} in {self._codexs.path}"
        other = f"Codex uses {default} unless it is told otherwise, as by `{told}`"
        chosen = [] if default == name else [(other, None)]
        return [*not_ready(self._provider), *chosen]


def _is_codexs(path: str | None) -> bool:
    """Whether Codex reads this file too."""
    return path is not None and path.endswith("config.toml")


def _own(data: Mapping[str, Any], table: Iterable[str]) -> Mapping[str, Any]:
    for key in table:
        data = data.get(key, {})
    return data


def _assigned(values: Mapping[str, Any]) -> list[str]:
    return [f"{toml_key(key)} = {toml(value)}" for key, value in values.items()]


def _same(one: Any, other: Any) -> bool:
    """Whether two entries say the same, but for what Codex's half has: the command, the name and the base URL."""
    left_out = {"auth", "name", "base_url"}
    fields = [each.fields.model_dump(exclude=left_out) for each in (one, other)]
    return bool(fields[0] == fields[1] and one.tables == other.tables)
