"""Signing in with ChatGPT: in the browser, or with a code on another device, as Codex 0.169 does both."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from keyfob.plugin import Context, DisabledFlowError, Exchange, SignInError, UnansweredError, UnreachableError
from keyfob.plugin.oauth import (
    Client,
    Granted,
    Prompt,
    Wanted,
    asked,
    disabled,
    granted,
    invite,
    polled,
    refused,
    seconds_of,
)
from keyfob_openai.claims import claims, openai, text
from keyfob_openai.rotation import CLIENT_ID, ISSUER

# For tests: another issuer that speaks OpenAI's dialect. OpenAI's own knows the redirect URI by its host, too.
OTHER_ISSUER = "KEYFOB_OPENAI_ISSUER"
REDIRECT_HOST = "KEYFOB_OPENAI_REDIRECT_HOST"
_HOST = "127.0.0.1"
_PORTS = (1455, 1457)
_PATH = "/auth/callback"
_SCOPES = "openid profile email offline_access api.connectors.read api.connectors.invoke"
_DEVICE_SECONDS = 15 * 60.0
_PENDING = (403, 404)
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 - a name
_NEEDED = ("id_token", "access_token", "refresh_token")


class SignIn:
    """One way in to one issuer."""

    def __init__(self, context: Context, workspaces: tuple[str, ...]) -> None:
        self._context = context
        self._workspaces = workspaces
        self._issuer = context.environ.get(OTHER_ISSUER, "").strip().rstrip("/") or ISSUER
        self._client = Client(CLIENT_ID, named=OTHER_ISSUER)

    @contextlib.contextmanager
    def browser(self) -> Iterator[Mapping[str, Any]]:
        """In the browser. The API key is an extra that OpenAI gives to some: without it the login is as good."""
        with granted(self._wanted(), self._context.interaction) as grant:
            tokens = self._tokens(grant)
            yield self._data(tokens, self._api_key(tokens["id_token"]) if self._may_stay(tokens) else None)

    @contextlib.contextmanager
    def device(self) -> Iterator[Mapping[str, Any]]:
        """With a code; in the browser where a workspace has that switched off, as OpenAI documents it."""
        try:
            prompt, device = self._prompt()
        except DisabledFlowError as error:
            self._context.interaction.say(f"{error}; signing in in the browser instead")
            with self.browser() as data:
                yield data
            return
        invite(prompt, self._context.interaction)
        grant = polled(lambda: self._poll(prompt, device), prompt, self._context.interaction)
        yield self._data(self._tokens(grant), None)

    def _wanted(self) -> Wanted:
        fields = {
            "scope": _SCOPES,
            "id_token_add_organizations": "true",
            "codex_cli_simplified_flow": "true",
            "originator": "codex_cli_rs",
        }
        if self._workspaces:
            fields["allowed_workspace_id"] = ",".join(self._workspaces)
        host = self._context.environ.get(REDIRECT_HOST, "").strip() or _HOST
        endpoint = f"{self._issuer}/oauth/authorize"
        return Wanted(endpoint, CLIENT_ID, fields, ports=_PORTS, host=host, path=_PATH, ask=True)

    def _tokens(self, grant: Granted) -> Mapping[str, Any]:
        tokens = asked(self._client.code(f"{self._issuer}/oauth/token", grant), self._context.send)
        if not all(text(tokens, name) for name in _NEEDED) or claims(tokens["id_token"]) is None:
            raise SignInError("OpenAI's issuer answered without a login that can be kept")
        return tokens

    def _may_stay(self, tokens: Mapping[str, Any]) -> bool:
        """Whether the workspace is one that is wanted: for another one no key is asked for. That it goes no further is
        core's business."""
        return not self._workspaces or _account(tokens) in self._workspaces

    def _api_key(self, id_token: str) -> str | None:
        asking = {"requested_token": "openai-api-key", "subject_token": id_token, "subject_token_type": _ID_TOKEN}
        request = self._client.request(f"{self._issuer}/oauth/token", _EXCHANGE, asking)
        with contextlib.suppress(SignInError, UnreachableError, UnansweredError):
            return text(asked(request, self._context.send), "access_token")
        return None

    def _data(self, tokens: Mapping[str, Any], api_key: str | None) -> Mapping[str, Any]:
        """What Codex stores."""
        now = datetime.fromtimestamp(self._context.clock(), UTC)
        return {
            "auth_mode": "chatgpt",
            "OPENAI_API_KEY": api_key,
            "tokens": {
                **{name: tokens[name] for name in _NEEDED},
                "oauth_provenance": {"issuer": self._issuer, "client_id": CLIENT_ID},
                "login_owner_id": secrets.token_urlsafe(32),
                "account_id": _account(tokens),
            },
            "last_refresh": now.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z",
        }

    # The device flow, which is OpenAI's own

    def _prompt(self) -> tuple[Prompt, str]:
        request = self._json("usercode", {"client_id": CLIENT_ID})
        answer = self._context.send(request)
        if answer.status == 404:
            raise disabled(urlsplit(self._issuer).hostname or self._issuer)
        if not answer.ok:
            raise refused(answer, request)
        document = answer.document()
        code = text(document, "user_code") or text(document, "usercode")
        device = text(document, "device_auth_id")
        if code is None or device is None:
            raise SignInError("OpenAI's issuer answered without a code to enter")
        interval = seconds_of(document.get("interval"), 5.0, 60.0)
        return Prompt(f"{self._issuer}/codex/device", code, _DEVICE_SECONDS, interval), device

    def _poll(self, prompt: Prompt, device: str) -> Granted | None:
        request = self._json("token", {"device_auth_id": device, "user_code": prompt.code})
        answer = self._context.send(request)
        if answer.status in _PENDING:
            return None
        if not answer.ok:
            raise refused(answer, request)
        document = answer.document()
        code, verifier = text(document, "authorization_code"), text(document, "code_verifier")
        if code is None or verifier is None:
            raise SignInError("OpenAI's issuer answered without an authorization code")
        return Granted(code, verifier, f"{self._issuer}/deviceauth/callback")

    def _json(self, path: str, body: Mapping[str, str]) -> Exchange:
        url = f"{self._issuer}/api/accounts/deviceauth/{path}"
        data = json.dumps(body, separators=(",", ":")).encode()
        return Exchange(url, data, {"Content-Type": "application/json"}, named=OTHER_ISSUER)


def _account(tokens: Mapping[str, Any]) -> str | None:
    return text(openai(claims(tokens["id_token"]) or {}), "chatgpt_account_id")
