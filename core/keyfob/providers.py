"""One provider of a host: where requests go, the plugin that authenticates them, and the credentials it yields."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from keyfob.clients.additions import Additions
from keyfob.clients.signing import Signing
from keyfob.config.builtin import IDS
from keyfob.config.faults import dotted
from keyfob.config.policy import method_at
from keyfob.credentials.asking import asked
from keyfob.credentials.event import Event
from keyfob.credentials.login import Login
from keyfob.credentials.source import CredentialSource, ForbiddenSource
from keyfob.credentials.stored import StoredSource
from keyfob.destination import checked_base_url
from keyfob.errors import (
    ConfigError,
    CredentialError,
    IllegalHeaderError,
    PluginError,
    PolicyError,
)
from keyfob.explaining import explanation
from keyfob.lazy import lazy
from keyfob.plugin.contract import Context, ProviderInfo, State, SuppliesBaseUrl, SupportsLogin, SupportsState
from keyfob.routing.builtin import MODULES
from keyfob.routing.isolation import isolated, isolated_source, whole_records
from keyfob.routing.route import Route, route
from keyfob.standing import FORBIDDEN, Standing, standing, state_of
from keyfob.stores.choice import SHARED

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from keyfob.clients.origin import BaseUrl
    from keyfob.config.builtin import Base
    from keyfob.config.entries import Entry
    from keyfob.config.policy import Policy
    from keyfob.credentials.credential import Credential, SecretHeaders
    from keyfob.credentials.event import Kind
    from keyfob.credentials.record import Record
    from keyfob.host import Host
    from keyfob.routing.explain import Explanation
    from keyfob.routing.plugins import Loaded


Part = TypeVar("Part")

# Seconds; the system takes no longer waits, and nobody waits so long.
_LONGEST_WAIT = 86_400.0


class Provider:
    """One provider: where requests go, the plugin that authenticates them, and the credentials it yields.

    Each part is resolved when first needed, and raises ConfigError if what it needs cannot be used.
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
        data = entry.tables[table[0]] if table else entry.read_by(model)
        with self._isolated("its options"):
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
            record = self._known_login()
            lacking = record is None
            return record

        base_url = self._base_url_for(known)
        if lacking:
            return base_url
        settled: BaseUrl = self.__dict__.setdefault("_base_url", base_url)
        return settled

    def _base_url_for(self, login: Callable[[], Record | None]) -> BaseUrl:
        written = self.entry.fields.base_url
        text = self._plugins_base_url(login) if written is None else written
        return checked_base_url(text, self.entry, self.host.places.codex_home)

    def _plugins_base_url(self, login: Callable[[], Record | None]) -> str:
        plugin = self.loaded.plugin
        if isinstance(plugin, SuppliesBaseUrl):
            with self._isolated("base_url"):
                text: object = plugin.base_url(self.info, self.options, self._context_with(login))
            if isinstance(text, str):
                return text
            raise PluginError(f"{self.loaded.owner}: base_url() of plugin `{self.route.plugin}` returned no text")
        fault = self.entry.fault(None, "there is no base_url", f'write base_url = "https://…"{self._whose()}')
        raise ConfigError.of([fault])

    def _context_with(self, login: Callable[[], Record | None]) -> Context:
        """Its base URL may follow from OpenAI's login alone: any other is read for the origin of the base URL."""
        return replace(self.host.context, login=login) if self.route.plugin == SHARED else self.host.context

    def _whose(self) -> str:
        """Whose base URL does not count here, and why, as the end of a sentence; "" where no plugin ships one."""
        deciding = self.host.configuration.deciding(self.id)
        shipper = self.host.plugins.shipper(self.id) if deciding and self.id not in IDS else None
        return f"; that of {shipper} is not for an entry that sets {dotted(deciding[0])}" if shipper else ""

    @property
    def withheld(self) -> Base | None:
        """What a plugin ships under this id where it does not count, because the files decide. Raises PluginError."""
        decided = self.id not in IDS and self.host.configuration.decides(self.id)
        return self.host.plugins.shipped(self.id) if decided else None

    def _where(self, record: Record) -> str | None:
        """The base URL that this login is for; None where the entry says one."""
        return None if self.entry.fields.base_url is not None else str(self._base_url_for(lambda: record))

    @property
    def source(self) -> CredentialSource:
        """What yields its credentials; one for all threads, or each would run the command."""
        opened: CredentialSource | None = self.__dict__.get("_source")
        if opened is None:
            opened = self.__dict__.setdefault("_source", self._opened())
        return opened

    def _opened(self) -> CredentialSource:
        if self.id in asked(self.host.environ):
            raise CredentialError(
                f"provider {self.id} is being asked for its credential by a command that is run to answer just that",
                hint=f"keyfob explain {self.id}",
            )
        if self.login is not None:
            source: CredentialSource = StoredSource(self.login, self.host.renew, self._where)
        elif self._forbidden is not None:
            return ForbiddenSource(self._forbidden)
        else:
            source = self._plugins_source()
        return source if self.route.plugin in MODULES else isolated_source(source, self.loaded.owner)

    def _plugins_source(self) -> CredentialSource:
        with self._isolated("open"):
            plugin: Any = self.loaded.plugin
            source: object = plugin.open(self.info, self.options, self.host.context)
        if isinstance(source, CredentialSource):
            return source
        owner, key = self.loaded.owner, self.route.plugin
        raise PluginError(f"{owner}: open() of plugin `{key}` returned no CredentialSource")

    def _known_login(self) -> Record | None:
        return self.login.known() if self.login is not None else None

    @lazy
    def login(self) -> Login | None:
        """Its login, where its plugin stores one."""
        plugin, key = self.loaded.plugin, self.route.plugin
        if not isinstance(plugin, SupportsLogin):
            return None
        with self._isolated("records"):
            return Login(
                self.id,
                whole_records(plugin.records(self.info, self.options, self.host.context), self.loaded.owner),
                self.host.store(key, self.id),
                send=self.host.context.send,
                judge=self._judge,
                clock=self.host.context.clock,
                origin=None if key == SHARED else str(self.base_url.origin),
                warn=lambda fault: self.host.report([fault]),
                permit=self.see_that_one_may_sign_in,
                announce=self._announce,
            )

    @lazy
    def policy(self) -> Policy | None:
        """The rules that its credentials are under; None where there are none.

        They are about OpenAI's logins, wherever those go, and about whatever goes to OpenAI: another provider's own key
        is nobody's business. Raises ConfigError for rules that make no sense.
        """
        configuration = self.host.configuration
        if not configuration.ruled:
            return None
        about = self.route.plugin == SHARED or method_at(self.base_url.origin.host) is not None
        return configuration.policy if about else None

    def _judge(self, record: Record) -> None:
        """Raise PolicyError for a login, stored or of the environment, that a rule forbids."""
        if self.policy is None or self.login is None:
            return
        records = self.login.records
        variable = records.variable if records.given() == record.token else None
        if self.route.plugin == SHARED:
            self.policy.judge(self.id, record, variable)
        else:
            self.policy.judge_sent(self.id, self.base_url.origin.host, stored=variable is None)

    @property
    def workspaces(self) -> tuple[str, ...]:
        """The only ones that policy permits whoever signs in to belong to; empty: any."""
        policy = self.policy if self.route.plugin == SHARED else None
        return (policy.workspaces if policy else None) or ()

    def see_that_one_may_sign_in(self) -> None:
        """Raise PolicyError where policy permits no such login: before anybody is sent to make one."""
        if self.policy is None:
            return
        if self.route.plugin == SHARED:
            self.policy.judge_flow(self.id)
        else:
            self.policy.judge_sent(self.id, self.base_url.origin.host)

    @lazy
    def _forbidden(self) -> PolicyError | None:
        """Why the credential of a plugin that stores none may not go where it would; None if it may."""
        try:
            if self.policy is not None:
                self.policy.judge_sent(self.id, self.base_url.origin.host)
        except PolicyError as error:
            return error
        return None

    def _announce(self, kind: Kind, **about: str | None) -> None:
        """Announce an event of this provider to whichever plugins listen, see Announce."""
        self.host.announce(Event(kind, self.id, self.host.context.clock(), self.route.plugin, **about))

    def _isolated(self, what: str) -> AbstractContextManager[None]:
        return isolated(self.loaded.owner, f"plugin `{self.route.plugin}` broke in {what}")

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
                required=self.policy.headers if self.policy else {},
            )
        except IllegalHeaderError as error:
            raise ConfigError.of([self.entry.fault(None, str(error))]) from None

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
        plugin = self.loaded.plugin
        if self.login is not None:
            with self._isolated("its login"):
                return state_of(self.login, standing(self.login))
        if self._forbidden is not None:
            return State(ready=False, summary=FORBIDDEN, comes_from=f"plugin {self.route.plugin}", headers=())
        if isinstance(plugin, SupportsState):
            with self._isolated("state"):
                state: object = plugin.state(self.info, self.options, self.host.context)
            if isinstance(state, State):
                return state
            raise PluginError(f"{self.loaded.owner}: state() of plugin `{self.route.plugin}` returned no State")
        credential = self.source.peek()
        comes_from = f"plugin {self.route.plugin}"
        if credential is None:
            return State(ready=False, summary="not known until asked", comes_from=comes_from, headers=())
        return State(ready=True, summary="ready", comes_from=comes_from, headers=tuple(credential.headers))

    def standing(self, login: Login) -> Standing:
        """How its login stands, told as `state` is."""
        with self._isolated("its login"):
            return standing(login)

    def credential(self) -> Credential:
        """A usable credential. May block. Raises CredentialError."""
        credential = self.source.peek() or self.signing.get()
        if credential.base_url is not None:
            self.signing.see_that_it_belongs_here(credential)
        return credential

    def headers(self, url: str | None = None) -> SecretHeaders:
        """The headers to put on a request to `url`, or to anywhere below the base URL. May block.

        Printing them shows names, not values. Raises OriginError where nothing of this provider may go to `url`, and
        CredentialError.
        """
        return self.signing.headers(url)
