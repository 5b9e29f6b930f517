"""One provider of a host: where requests go, the plugin that authenticates them, and the credentials it yields."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import BaseModel, ValidationError

from keyfob.clients.additions import Additions
from keyfob.clients.signing import Signing
from keyfob.config.builtin import IDS
from keyfob.config.places import home_of
from keyfob.credentials.asking import asked
from keyfob.credentials.event import Event
from keyfob.credentials.login import Login
from keyfob.credentials.source import CredentialSource, ForbiddenSource
from keyfob.credentials.stored import StoredSource
from keyfob.destination import base_url_for, followed_base_url
from keyfob.errors import ConfigError, CredentialError, IllegalHeaderError, PluginError
from keyfob.explaining import explanation
from keyfob.judging import Judge, judge_of
from keyfob.lazy import lazy
from keyfob.plugin.contract import ProviderInfo, State, SupportsLogin
from keyfob.routing.builtin import MODULES
from keyfob.routing.isolation import isolated, isolated_source, whole_records
from keyfob.routing.route import Route, route
from keyfob.standing import Standing, standing, state_of
from keyfob.stores.choice import SHARED

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from keyfob.clients.origin import BaseUrl
    from keyfob.config.entries import Entry
    from keyfob.credentials.credential import Credential, SecretHeaders
    from keyfob.credentials.event import Kind
    from keyfob.credentials.record import Record
    from keyfob.host import Host
    from keyfob.routing.explain import Explanation
    from keyfob.routing.plugins import Loaded

# Seconds: the system accepts no longer time-outs, and nobody waits that long.
_LONGEST_WAIT = 86_400.0


class Provider:
    """One provider: where requests go, the plugin that authenticates them, and the credentials it yields.

    Each part is resolved when first needed, and raises ConfigError if what it needs cannot be used. The public API is
    `id`, `base_url`, `credential`, `headers`, `explain` and `state`; the rest is internal and may change at any time.
    """

    def __init__(self, host: Host, provider: str) -> None:
        self.id = provider
        self.host = host

    def __repr__(self) -> str:
        return f"<Provider {self.id}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("providers are not pickled: they hold secrets")

    @lazy
    def entry(self) -> Entry:
        """The entry as configured."""
        alone = self.id in IDS or self.host.configuration.decides(self.id)
        entry = self.host.configuration.entry(self.id, None if alone else self.host.plugins.shipped(self.id))
        self.host.report(entry.warnings)
        return entry

    @lazy
    def route(self) -> Route:
        """Which plugin it goes to, and why."""
        return route(self.entry, self.host.plugins)

    @lazy
    def loaded(self) -> Loaded:
        """The plugin itself, imported when first needed."""
        return self.host.plugins.load(self.route.plugin)

    @lazy
    def options(self) -> BaseModel:
        """The plugin's options: its table, or for a built-in plugin the keys of the entry that it reads."""
        entry, key, model = self.entry, self.route.key, self.loaded.plugin.options
        table = (key,) if key is not None and key in entry.tables else ()
        data = entry.tables[table[0]] if table else entry.read_by(model, home_of(self.host.environ))
        with self.isolated("its options"):
            try:
                options: BaseModel = model.model_validate(data)
            except ValidationError as error:
                faults = entry.faults_of(error, model, data, table)
                raise ConfigError.of(faults) from None
        if table and model.model_config.get("extra", "ignore") == "ignore":
            self.host.report(entry.unknown(model, table, data))
        return options

    @lazy
    def info(self) -> ProviderInfo:
        """What the plugin is told of this provider."""
        fields = self.entry.fields
        return ProviderInfo(self.id, fields.name or self.id, fields.base_url)

    def isolated(self, what: str) -> AbstractContextManager[None]:
        """Around what calls its plugin: whatever that raises is a PluginError that says whose fault it is."""
        return isolated(self.loaded.owner, f"plugin `{self.route.plugin}` broke in {what}")

    @lazy
    def login(self) -> Login | None:
        """Its login, where its plugin stores one."""
        plugin, key = self.loaded.plugin, self.route.plugin
        if not isinstance(plugin, SupportsLogin):
            return None
        with self.isolated("records"):
            records = whole_records(plugin.records(self.info, self.options, self.host.context), self.loaded.owner)
            return Login(
                self.id,
                records,
                self.host.store(key, self.id),
                send=self.host.context.send,
                judge=lambda record: self.judge.check_login(record, records),
                clock=self.host.context.clock,
                origin=None if key == SHARED else str(self.base_url.origin),
                warn=lambda fault: self.host.report([fault]),
                permit=lambda: self.judge.check_new(),
                announce=self._announce,
            )

    @lazy
    def judge(self) -> Judge:
        """What the rules say of its credentials. Raises ConfigError for rules that make no sense."""
        return judge_of(self)

    @property
    def base_url(self) -> BaseUrl:
        """Where requests go: the entry's base URL, else the one its plugin knows, which may follow from the login.

        It is settled for good when it did not take a login, or when there is one. Raises ConfigError, and
        CredentialError for a login that cannot be read.
        """
        settled = self._settled
        return settled if settled is not None else self._found_base_url()

    @property
    def _settled(self) -> BaseUrl | None:
        found: BaseUrl | None = self.__dict__.get("_base_url")
        return found

    def _found_base_url(self) -> BaseUrl:
        lacking = False

        def known() -> Record | None:
            nonlocal lacking
            record = self.login.known() if self.login is not None else None
            lacking = record is None
            return record

        base_url = base_url_for(self, known)
        if lacking:
            return base_url
        settled: BaseUrl = self.__dict__.setdefault("_base_url", base_url)
        return settled

    @lazy
    def source(self) -> CredentialSource:
        """What yields its credentials; one for all threads, or each would run the command."""
        if self.id in asked(self.host.environ):
            raise CredentialError(
                f"provider {self.id} is being asked for its credential by a command that is run to answer just that",
                hint=f"keyfob explain {self.id}",
            )
        if self.login is not None:
            source: CredentialSource = StoredSource(self.login, self.host.renew, partial(followed_base_url, self))
        elif objection := self.judge.objection():
            return ForbiddenSource(objection)
        else:
            source = self._opened()
        return source if self.route.plugin in MODULES else isolated_source(source, self.loaded.owner)

    def _opened(self) -> CredentialSource:
        with self.isolated("open"):
            plugin: Any = self.loaded.plugin
            source: object = plugin.open(self.info, self.options, self.host.context)
        if isinstance(source, CredentialSource):
            return source
        owner, key = self.loaded.owner, self.route.plugin
        raise PluginError(f"{owner}: open() of plugin `{key}` returned no CredentialSource")

    @lazy
    def additions(self) -> Additions:
        """What its entry adds to each request beside the credential."""
        fields = self.entry.fields
        try:
            return Additions(
                fields.http_headers,
                fields.env_http_headers,
                fields.query_params,
                self.host.environ,
                required=self.judge.policy.headers,
            )
        except IllegalHeaderError as error:
            raise ConfigError.of([self.entry.fault(None, str(error))]) from None

    @property
    def signing(self) -> Signing:
        """What a client needs in order to send to this provider; a new one each time until the base URL is settled."""
        made: Signing | None = self.__dict__.get("_signing")
        if made is None:
            made = self._made_signing()
            if made.base_url is self._settled:
                made = self.__dict__.setdefault("_signing", made)
        return made

    def _made_signing(self) -> Signing:
        timeout = min(self.entry.fields.stream_idle_timeout_ms / 1000, _LONGEST_WAIT)
        return Signing(
            self.id,
            self.base_url,
            self.additions,
            self.source,
            environ=self.host.environ,
            read_timeout=timeout,
            announce=self._announce,
        )

    def _announce(self, kind: Kind, **about: str | None) -> None:
        """Announce an event of this provider to whichever plugins listen, see Announce."""
        self.host.announce(Event(kind, self.id, self.host.context.clock(), self.route.plugin, **about))

    def credential(self) -> Credential:
        """A usable credential. May block. Raises CredentialError."""
        credential = self.source.peek() or self.signing.get()
        if credential.base_url is not None:
            self.signing.check_belongs_here(credential)
        return credential

    def headers(self, url: str | None = None) -> SecretHeaders:
        """The headers to put on a request to `url`, or to anywhere below the base URL. May block.

        Printing them shows names, not values. Raises OriginError where nothing of this provider may go to `url`, and
        CredentialError.
        """
        return self.signing.headers(url)

    @property
    def plugin(self) -> str:
        """The key of the plugin it goes to; known from the snapshot where that holds."""
        held = self.host.snapshot
        routed = held.routed(self.id) if held else None
        return routed.plugin if routed else self.route.plugin

    def explain(self, url: str | None = None) -> Explanation:
        """The whole decision, told without running a command, asking an issuer or unlocking anything.

        url: also say whether the credential would be sent there. Never raises for a fault of the configuration.
        """
        return explanation(self, url, default=lambda: self.host.default_id)

    def state(self) -> State:
        """Whether a credential could be had, told without running, asking or unlocking anything."""
        return state_of(self)

    def standing(self, login: Login) -> Standing:
        """How its login stands, told as `state` is."""
        with self.isolated("its login"):
            return standing(login)
