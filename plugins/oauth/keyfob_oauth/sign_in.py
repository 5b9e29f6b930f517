"""Signing in at any OAuth server: in the browser, with a code on another device, or as a program."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from keyfob.plugin import Context, DisabledFlowError, MissingCredentialError, SignInError
from keyfob.plugin.oauth import (
    BASIC,
    NONE,
    POST,
    AuthorizationRequest,
    Client,
    Server,
    authorize,
    device_tokens,
    discover,
    plain,
    request_tokens,
)
from keyfob_oauth import login
from keyfob_oauth.hints import hinted, look_at, looking_at, table
from keyfob_oauth.identity import Identity, identity
from keyfob_oauth.options import BEGINS, BROWSER, DEVICE, ENDPOINTS, Options

# OpenID's own scopes are for the id token and the refresh token: servers may leave them out where they tell what the
# access token is for.
_OPENID = frozenset({"openid", "profile", "email", "address", "phone", "offline_access"})


class SignIn:
    """One sign-in to one provider. environment: the client's secret, as the environment gives it."""

    def __init__(self, provider: str, options: Options, context: Context, environment: str | None) -> None:
        self._provider = provider
        self._options = options
        self._context = context
        self._environment = environment
        self._typed: str | None = None
        self._table = table(provider)

    @contextlib.contextmanager
    def browser(self) -> Iterator[Mapping[str, Any]]:
        """In the browser: a code with PKCE, to loopback (RFC 8252)."""
        with hinted(self._provider, self._options):
            server, client = self._begun()
            url = self._beginning(BROWSER, server)
            with authorize(self._authorization_request(server, url), self._context.interaction) as grant:
                request = client.code(server.token_endpoint, grant, **self._options.asked_again)
                yield self._data(server, client, request_tokens(request, self._context.send))

    @contextlib.contextmanager
    def device(self) -> Iterator[Mapping[str, Any]]:
        """With a code (RFC 8628)."""
        with hinted(self._provider, self._options):
            server, client = self._begun()
            url = self._beginning(DEVICE, server)
            fields, context = self._options.asked_for, self._context
            tokens = device_tokens(client, url, server.token_endpoint, fields, context.send, context.interaction)
            yield self._data(server, client, tokens)

    @contextlib.contextmanager
    def program(self) -> Iterator[Mapping[str, Any]]:
        """By the client itself (RFC 6749, section 4.4); a refresh token, which it must not be given, is not kept."""
        with hinted(self._provider, self._options):
            server, client = self._begun()
            request = client.credentials(server.token_endpoint, **self._options.asked_for)
            tokens = dict(request_tokens(request, self._context.send))
        with contextlib.suppress(SignInError):  # by itself it does this where nobody is
            self._tell_of_scopes(tokens)
        yield self._stored(server, client, {**tokens, login.REFRESH: None}, Identity())

    def brought_home(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """A login from elsewhere, with the endpoints and the method that this machine finds. Raises SignInError."""
        with hinted(self._provider, self._options):
            server = self._server()
        found = self._made_at(server, self._method(server, self._environment if self._options.confidential else None))
        return {**{name: value for name, value in found.items() if value is not None}, **login.carried(data)}

    # The server and the client

    def _begun(self) -> tuple[Server, Client]:
        server = self._server()
        secret = self._secret() if self._options.confidential else None
        return server, Client(self._options.client_id, secret, self._method(server, secret), self._table)

    def _server(self) -> Server:
        """What is written goes before what is discovered; with a token endpoint nothing is."""
        options = self._options
        written = {name: url for name in ENDPOINTS if (url := getattr(options, name)) is not None}
        if options.issuer is None or not options.discovers:
            return Server(issuer=options.issuer, **written)
        with looking_at(self._provider, "issuer"):
            return replace(discover(options.issuer, self._context.send, named=f"{self._table}.issuer"), **written)

    def _method(self, server: Server, secret: str | None) -> str:
        """How the client authenticates: as it is written, else as the server takes it; it takes the first of them all
        where it does not say (RFC 8414, section 2)."""
        if self._options.token_endpoint_auth_method is not None or secret is None:
            return self._options.token_endpoint_auth_method or NONE
        found = next((method for method in (BASIC, POST) if method in (server.methods or (BASIC,))), None)
        if found is None:
            raise SignInError(
                f"{server.issuer} takes no client secret: it wants {plain(', '.join(server.methods))}",
                hint=look_at(self._provider, "token_endpoint_auth_method"),
            )
        return found

    def _secret(self) -> str:
        """The client's, of the environment; else whoever signs in is asked for it, and it is stored."""
        if self._environment is None:
            whom = f"{self._options.client_id} of {self._provider}"
            with self._naming_the_variable():
                self._typed = self._context.interaction.secret("client secret", whom)
        return self._environment or self._typed or ""

    @contextlib.contextmanager
    def _naming_the_variable(self) -> Iterator[None]:
        """Around asking for the secret, which somebody meant to export, perhaps."""
        variable = self._options.client_secret_env
        try:
            yield
        except MissingCredentialError as error:
            if variable is not None:
                error.hint = ", or ".join(filter(None, (f"export {variable}=…", error.hint)))
            raise

    def _beginning(self, flow: str, server: Server) -> str:
        """The endpoint that a flow begins with. Raises DisabledFlowError, whose hint leads elsewhere."""
        url: str | None = getattr(server, BEGINS[flow])
        if url is None:
            where = self._options.issuer or self._table
            message = f"{where} names no {BEGINS[flow]}: there is no signing in that way"
            raise DisabledFlowError(message, hint=self._instead_of(flow, server))
        return url

    def _instead_of(self, flow: str, server: Server) -> str:
        """The command for the other way, if that is one here; else the key that decides on it."""
        other, option = (DEVICE, " --device-auth") if flow == BROWSER else (BROWSER, "")
        if self._options.flow != BROWSER or getattr(server, BEGINS[other]) is None:
            return look_at(self._provider, "flow")
        return f"keyfob login {self._provider}{option}"

    # What is asked for

    def _authorization_request(self, server: Server, url: str) -> AuthorizationRequest:
        fields = {**self._prompt(), **self._options.authorization_parameters, **self._options.asked_for}
        back = urlsplit(self._options.redirect_uri or "http://127.0.0.1/callback")
        return AuthorizationRequest(
            url,
            self._options.client_id,
            {name: value for name, value in fields.items() if value},
            issuer=server.issuer,
            announces_iss=server.announces_iss,
            ports=(back.port or 0,),
            host=back.hostname or "",
            path=back.path,
            name=self._provider,
        )

    def _prompt(self) -> dict[str, str]:
        """OpenID Connect gives a refresh token for offline_access only to who is asked again (Core, section 11)."""
        return {"prompt": "consent"} if {"openid", "offline_access"} <= set(self._options.scopes) else {}

    # What came of it

    def _data(self, server: Server, client: Client, tokens: Mapping[str, Any]) -> Mapping[str, Any]:
        """The login of a person."""
        with looking_at(self._provider, "issuer"):
            whose = identity(tokens.get("id_token"), server.issuer, client.client_id)
        data = self._stored(server, client, tokens, whose)
        if login.REFRESH not in data:
            self._tell_of_the_end()
        self._tell_of_scopes(tokens)
        return data

    def _stored(self, server: Server, client: Client, tokens: Mapping[str, Any], whose: Identity) -> Mapping[str, Any]:
        found = {
            **self._made_at(server, client.method),
            login.SECRET: self._typed,
            login.ACCOUNT: whose.sub,
            login.EMAIL: whose.email,
            **login.tokens_of(tokens, self._context.clock()),
        }
        return {name: value for name, value in found.items() if value is not None}

    def _made_at(self, server: Server, method: str) -> Mapping[str, Any]:
        """What a login is bound to, and where it is renewed and revoked."""
        return {
            **login.bound(self._options),
            login.TOKEN_ENDPOINT: server.token_endpoint,
            login.REVOCATION_ENDPOINT: server.revocation_endpoint,
            login.METHOD: method,
        }

    def _tell_of_the_end(self) -> None:
        """Before somebody wonders in an hour."""
        scopes = self._options.scopes
        ask = "" if "offline_access" in scopes else ": many issuers want the scope offline_access for one"
        self._context.interaction.say(f"this login ends with its access token, for no refresh token came with it{ask}")

    def _tell_of_scopes(self, tokens: Mapping[str, Any]) -> None:
        """Of those that were asked for and not given (RFC 6749, section 5.1)."""
        given = tokens.get("scope")
        lacking = sorted(set(self._options.scopes) - set(given.split()) - _OPENID) if isinstance(given, str) else []
        if lacking:
            told = f"the issuer did not grant all that was asked for: it left out {', '.join(lacking)}"
            self._context.interaction.say(told)
