"""The plugin for the table `oauth`: a login at any OAuth server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from keyfob.plugin import (
    About,
    Answer,
    AuthPlugin,
    Context,
    Credential,
    Exchange,
    MissingCredentialError,
    NotSignedInError,
    OtherOriginError,
    ProviderInfo,
    Record,
    StoredAuth,
    hookimpl,
)
from keyfob_oauth import login
from keyfob_oauth.options import BROWSER, DEVICE, PROGRAM, Options

if TYPE_CHECKING:
    from keyfob.plugin.oauth import Client


class OAuthLogins:
    """What the logins of one provider look like, how they are made and how they are renewed."""

    methods = ()

    def __init__(self, provider: str, options: Options, context: Context) -> None:
        self._provider = provider
        self._options = options
        self._context = context

    # The client's secret, in the environment

    @property
    def variable(self) -> str:
        """The one with the client's secret; no variable holds a login."""
        return self._options.client_secret_env or ""

    @property
    def missing(self) -> str | None:
        """Names the variable, where that is all that is missing."""
        if not self._options.by_itself or not self.variable or self._of_environment():
            return None
        return f"environment variable {self.variable} is not set"

    def environment_secret(self) -> str | None:
        """No variable holds a login."""
        return None

    def of_environment(self, secret: str) -> Record:
        """No variable holds a login."""
        raise NotSignedInError(f"{self._provider}: no variable holds its login", hint=self._command)

    def data_for(self, method: str, secret: str) -> Mapping[str, Any]:
        """There is no key that could be stored: one signs in."""
        raise NotSignedInError(f"{self._provider}: {method} is no way to sign in", hint=self._command)

    @property
    def _command(self) -> str:
        return f"keyfob login {self._provider}"

    def _of_environment(self) -> str | None:
        return self._context.environ.get(self.variable, "").strip() or None

    def missing_for_renewal(self, data: Mapping[str, Any]) -> str | None:
        """The client's secret, for a login that is renewed with it."""
        renewed = self._options.by_itself or data.get(login.REFRESH) is not None
        if not renewed or not self._options.confidential or self._secret(data) is not None:
            return None
        return f"export {self.variable}=…" if self.variable else self._command

    def _secret(self, data: Mapping[str, Any]) -> str | None:
        stored = data.get(login.SECRET)
        return self._of_environment() or (stored if isinstance(stored, str) else None)

    # Signing in

    @property
    def flows(self) -> tuple[str, ...]:
        """The one that is configured; beside the browser a code, where the server may have that."""
        options = self._options
        if options.flow != BROWSER:
            return (PROGRAM,) if options.by_itself else (DEVICE,)
        devices = options.device_authorization_endpoint is not None or options.token_endpoint is None
        return (BROWSER, DEVICE) if devices else (BROWSER,)

    @property
    def unattended(self) -> str | None:
        """A client whose secret is in the environment needs nobody."""
        return PROGRAM if self._options.by_itself and self._of_environment() else None

    @property
    def unattended_with(self) -> str:
        """The whole table and the secret: whoever mends either wants to see what comes of it."""
        return f"{self._options.model_dump_json()}\n{self._of_environment()}"

    @property
    def headers(self) -> tuple[str, ...]:
        """The one that is configured."""
        return (self._options.header,)

    @property
    def configuration(self) -> str:
        """See `keyfob_oauth.login`."""
        return login.configuration(self._options)

    def sign_in(self, flow: str, workspaces: tuple[str, ...] = ()) -> AbstractContextManager[Mapping[str, Any]]:
        """See `keyfob_oauth.sign_in`, which is imported when somebody signs in."""
        from keyfob_oauth.sign_in import SignIn

        way = SignIn(self._provider, self._options, self._context, self._of_environment())
        return {BROWSER: way.browser, DEVICE: way.device, PROGRAM: way.program}[flow]()

    def without_renewal(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """The login with its access token alone."""
        return {name: value for name, value in data.items() if name not in (login.REFRESH, login.SECRET)}

    def imported(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Its tokens, bound to what is configured here, with the endpoints that it would be made with here: whoever has
        sent it could have the client's secret sent to them.

        One that is never renewed needs no issuer, and nobody asks the token endpoint that it names; its end is the
        business of the machine that it is from.
        """
        if data.get(login.REFRESH) is None and not self._options.by_itself:
            endpoint = self._options.token_endpoint or data[login.TOKEN_ENDPOINT]
            return {**login.bound(self._options), login.TOKEN_ENDPOINT: endpoint, **login.carried(data)}
        from keyfob_oauth.sign_in import SignIn

        return SignIn(self._provider, self._options, self._context, self._secret(data)).brought_home(data)

    # Stored

    def read(self, data: Mapping[str, Any]) -> Record:
        """See `keyfob_oauth.login`."""
        try:
            return login.record_of(data, self._options, self._secret(data))
        except OtherOriginError as error:
            raise OtherOriginError(f"{self._provider}: {error}", hint=self._command) from None

    def complete(self, record: Record) -> Record:
        """There is nothing that its issuer could add."""
        return record

    def credential(self, record: Record) -> Credential:
        """The access token, in the header that is configured."""
        headers = self._options.carrying(record.token)
        return Credential(headers, expires_at=record.expires_at, token=record.token)

    def about(self, record: Record) -> About:
        """What the id token said; of a program, which client it is."""
        email, issuer = record.data.get(login.EMAIL), self._options.issuer or self._options.token_endpoint
        who = self._options.client_id if self._options.by_itself else record.account
        return About("OAuth", email=email, account=who, controls=f"those of {issuer}")

    # Renewal

    def exchange(self, record: Record, reason: str) -> Exchange:
        """See `keyfob_oauth.rotation`. Raises MissingCredentialError where the client's secret is gone."""
        from keyfob_oauth import rotation

        return rotation.renewal(record, self._options, self._client(record.data))

    def absorb(self, record: Record, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """The login with what the issuer sent: a refresh token that is not rotated stays (RFC 6749, section 6)."""
        kept = {name: value for name, value in record.data.items() if name != login.EXPIRES}
        new = login.tokens_of(answer, self._context.clock())
        if self._options.by_itself:
            new.pop(login.REFRESH, None)
        return {**kept, **{name: value for name, value in new.items() if value is not None}}

    def refusal(self, answer: Answer) -> str | None:
        """See `keyfob_oauth.rotation`."""
        from keyfob_oauth import rotation

        return rotation.refusal(answer, self._options)

    def revocation(self, data: Mapping[str, Any]) -> Exchange | None:
        """See `keyfob_oauth.rotation`. An issuer's answer alone does not say where that is done."""
        from keyfob_oauth import rotation

        if login.MADE_WITH not in data:
            return None
        return rotation.revocation(self.read(data), self._client(data))

    def _client(self, data: Mapping[str, Any]) -> Client:
        from keyfob.plugin.oauth import Client

        secret = self._secret(data) if self._options.confidential else None
        if self._options.confidential and secret is None:
            said = self.variable and f"environment variable {self.variable} is not set"
            raise MissingCredentialError(
                f"{self._provider}: {said or 'no client secret is stored'}", hint=self._command
            )
        named = f"the stored login of {self._provider}"
        return Client(self._options.client_id, secret, str(data.get(login.METHOD)), named)


class OAuth(StoredAuth[Options]):
    """A login at the company's own server, for the company's own models."""

    key = "oauth"

    def records(self, provider: ProviderInfo, options: Options, context: Context) -> OAuthLogins:
        """The logins of one provider."""
        return OAuthLogins(provider.id, options, context)


@hookimpl
def keyfob_auth_plugins() -> Sequence[AuthPlugin[Any]]:
    """The plugin for `oauth`."""
    return [OAuth()]
