"""Signing in with ChatGPT: in the browser, or with a code on another device, as Codex 0.169 does both."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from keyfob.plugin import (
    ConfigError,
    Context,
    DamagedLoginError,
    DisabledFlowError,
    Exchange,
    KeyfobError,
    SignInError,
    UnansweredError,
    UnreachableError,
)
from keyfob.plugin.oauth import (
    AuthorizationCode,
    AuthorizationRequest,
    Client,
    Prompt,
    authorize,
    check_pending,
    disabled,
    fault_of,
    invite,
    poll,
    prompt_of,
    refused,
    request_tokens,
)
from keyfob_openai.claims import claims, openai, text
from keyfob_openai.login import record_of, stamp
from keyfob_openai.rotation import CLIENT_ID, ISSUER

# For tests: another issuer that speaks OpenAI's dialect.
OTHER_ISSUER = "KEYFOB_OPENAI_ISSUER"
# How the redirect URI names this machine. OpenAI has both registered; Codex used to say `localhost`.
REDIRECT_HOST = "KEYFOB_OPENAI_REDIRECT_HOST"
_HOSTS = ("127.0.0.1", "localhost")
_PORTS = (1455, 1457)
_PATH = "/auth/callback"
_SCOPES = "openid profile email offline_access api.connectors.read api.connectors.invoke"
_REFUSALS = {
    "missing_codex_entitlement": "Codex is not enabled for your workspace; its administrator can give you access"
}
_DEVICE_SECONDS = 15 * 60
_PENDING = (403, 404)
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - a name
# The API key is not waited for much longer than a person would. Seconds without a byte.
_PATIENCE = 3.0
_NEEDED = ("id_token", "access_token", "refresh_token")


class SignIn:
    """One way in to one issuer. Raises ConfigError for a variable that cannot be obeyed."""

    def __init__(self, context: Context, workspaces: tuple[str, ...]) -> None:
        self._context = context
        self._workspaces = workspaces
        self._issuer = issuer_of(context.environ)
        self._host = urlsplit(self._issuer).hostname or self._issuer
        self._redirect_host = _redirect_host(context.environ)
        self._client = Client(CLIENT_ID, named=OTHER_ISSUER)

    @contextlib.contextmanager
    def browser(self) -> Iterator[Mapping[str, Any]]:
        """In the browser. The API key is an extra that OpenAI gives to some: without it the login is as good."""
        with authorize(self._authorization_request(), self._context.interaction) as grant:
            tokens = self._tokens(grant)
            yield self._data(tokens, self._api_key(tokens["id_token"]) if self._may_stay(tokens) else None)

    @contextlib.contextmanager
    def device(self) -> Iterator[Mapping[str, Any]]:
        """With a code; in the browser where a workspace has that switched off, as OpenAI documents it."""
        way: contextlib.AbstractContextManager[Mapping[str, Any]]
        try:
            prompt, device = self._prompt()
        except DisabledFlowError as error:
            self._context.interaction.say(f"{error}; signing in in the browser instead")
            way = self.browser()
        else:
            way = contextlib.nullcontext(self._data(self._tokens(self._entered(prompt, device)), None))
        with way as data:
            yield data

    def _authorization_request(self) -> AuthorizationRequest:
        fields = {
            "scope": _SCOPES,
            "id_token_add_organizations": "true",
            "codex_cli_simplified_flow": "true",
            "originator": "codex_cli_rs",
        }
        if self._workspaces:
            fields["allowed_workspace_id"] = ",".join(self._workspaces)
        return AuthorizationRequest(
            f"{self._issuer}/oauth/authorize",
            CLIENT_ID,
            fields,
            issuer=self._issuer,
            ports=_PORTS,
            host=self._redirect_host,
            path=_PATH,
            ask=True,
            name="ChatGPT",
            refusals=_REFUSALS,
        )

    def _tokens(self, grant: AuthorizationCode) -> Mapping[str, Any]:
        tokens = request_tokens(self._client.code(f"{self._issuer}/oauth/token", grant), self._context.send)
        missing = [name for name in _NEEDED if text(tokens, name) is None]
        if missing:
            raise SignInError(f"{self._host} answered without {' and '.join(missing)}")
        return tokens

    def _may_stay(self, tokens: Mapping[str, Any]) -> bool:
        """Whether the workspace is one that is wanted: for another one no key is asked for. That it goes no further is
        core's business."""
        return not self._workspaces or _account(tokens) in self._workspaces

    def _api_key(self, id_token: str) -> str | None:
        """The key; None where there is none, whatever the reason: nobody is kept from signing in by that."""
        asking = {"requested_token": "openai-api-key", "subject_token": id_token, "subject_token_type": _ID_TOKEN}
        request = self._client.request(f"{self._issuer}/oauth/token", _EXCHANGE, asking)
        try:
            answer = self._context.send(replace(request, timeout=_PATIENCE))
        except (UnreachableError, UnansweredError, KeyfobError):
            return None
        return text(answer.document(), "access_token") if answer.ok else None

    def _data(self, tokens: Mapping[str, Any], api_key: str | None) -> Mapping[str, Any]:
        """What Codex stores. Raises SignInError for what neither could use then."""
        data = {
            "auth_mode": "chatgpt",
            "OPENAI_API_KEY": api_key,
            "tokens": {
                **{name: tokens[name] for name in _NEEDED},
                "oauth_provenance": {"issuer": self._issuer, "client_id": CLIENT_ID},
                "login_owner_id": secrets.token_urlsafe(32),
                "account_id": _account(tokens),
            },
            "last_refresh": stamp(self._context.clock()),
        }
        try:
            record_of(data)
        except DamagedLoginError as error:
            raise SignInError(f"{self._host} answered with a login that cannot be used") from error
        return data

    # The device flow, which is OpenAI's own

    def _prompt(self) -> tuple[Prompt, str]:
        """What to show, and the code of the device itself. OpenAI says nothing of address and time: they are known."""
        document = self._usercode()
        device = text(document, "device_auth_id")
        if device is None:
            raise SignInError(f"{self._host} answered without a device_auth_id")
        standard = {
            "verification_uri": f"{self._issuer}/codex/device",
            "user_code": text(document, "user_code") or text(document, "usercode"),
            "expires_in": _DEVICE_SECONDS,
            "interval": document.get("interval"),
        }
        return prompt_of(standard, self._host), device

    def _usercode(self) -> Mapping[str, Any]:
        request = self._json("usercode", {"client_id": CLIENT_ID})
        answer = self._context.send(request)
        if answer.status == 404:
            raise disabled(self._host)
        if not answer.ok:
            raise refused(answer, request)
        return answer.document()

    def _entered(self, prompt: Prompt, device: str) -> AuthorizationCode:
        interaction = self._context.interaction
        request = self._json("token", {"device_auth_id": device, "user_code": prompt.code})
        invite(prompt, interaction)
        return poll(lambda: self._poll(request), prompt, interaction, self._context.clock)

    def _poll(self, request: Exchange) -> AuthorizationCode | None:
        """As Codex: whatever else is answered ends it, a gateway's error too."""
        answer = self._context.send(request)
        if not answer.ok:
            check_pending(answer, request, pending=answer.status in _PENDING)
            return None
        document = answer.document()
        code, verifier = text(document, "authorization_code"), text(document, "code_verifier")
        if code is None or verifier is None:
            raise SignInError(f"{self._host} answered without an authorization code")
        return AuthorizationCode(code, verifier, f"{self._issuer}/deviceauth/callback")

    def _json(self, path: str, body: Mapping[str, str]) -> Exchange:
        url = f"{self._issuer}/api/accounts/deviceauth/{path}"
        data = json.dumps(body, separators=(",", ":")).encode()
        return Exchange(url, data, {"Content-Type": "application/json"}, named=OTHER_ISSUER)


def issuer_of(environ: Mapping[str, str]) -> str:
    """Where people sign in. Raises ConfigError."""
    other = environ.get(OTHER_ISSUER, "").strip().rstrip("/")
    fault = fault_of(other) if other else None
    if fault is not None:
        raise ConfigError(f"{OTHER_ISSUER}: it {fault}", hint=f"unset {OTHER_ISSUER}")
    return other or ISSUER


def _redirect_host(environ: Mapping[str, str]) -> str:
    """The code goes nowhere else than to this machine."""
    host = environ.get(REDIRECT_HOST, "").strip() or _HOSTS[0]
    if host not in _HOSTS:
        raise ConfigError(f"{REDIRECT_HOST}: it is neither {' nor '.join(_HOSTS)}", hint=f"unset {REDIRECT_HOST}")
    return host


def _account(tokens: Mapping[str, Any]) -> str | None:
    return text(openai(claims(tokens["id_token"]) or {}), "chatgpt_account_id")
