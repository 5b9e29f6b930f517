"""The plugin for `requires_openai_auth`: ChatGPT sign-in, an API key, or a personal access token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from keyfob.plugin import (
    About,
    Answer,
    AuthPlugin,
    Context,
    Credential,
    CredentialError,
    DamagedLoginError,
    Exchange,
    NoOptions,
    ProviderInfo,
    Record,
    StoredAuth,
    check_secret,
    hookimpl,
    masked,
)
from keyfob_openai import login, personal, rotation
from keyfob_openai.claims import claims, email, openai, text

API_BASE_URL = "https://api.openai.com/v1"
CHATGPT_BASE_URL = "https://chatgpt.com/backend-api/codex"
API_KEY, ACCESS_TOKEN = "CODEX_API_KEY", "CODEX_ACCESS_TOKEN"
_ACCOUNT, _FEDRAMP = "ChatGPT-Account-ID", "X-OpenAI-Fedramp"


class OpenAILogins:
    """What OpenAI's logins look like, and how they are renewed."""

    methods = ("api-key", "access-token")
    flows = ("browser", "device")
    unattended = None
    configuration = unattended_with = ""
    headers = ("Authorization",)
    missing = None

    def __init__(self, provider: str, context: Context, known: dict[str, Mapping[str, Any]]) -> None:
        """provider: its id, for commands.

        known: what OpenAI told of each personal access token, kept for all providers of the process.
        """
        self._command = f"keyfob login {provider}"
        self._context = context
        self._environ = context.environ
        self._clock = context.clock
        self._send = context.send
        self._personal = known

    # From the environment

    @property
    def variable(self) -> str:
        """CODEX_API_KEY goes first."""
        return ACCESS_TOKEN if not self._variable(API_KEY) and self._variable(ACCESS_TOKEN) else API_KEY

    def environment_secret(self) -> str | None:
        """The key or token of the environment; blank is unset."""
        return self._variable(API_KEY) or self._variable(ACCESS_TOKEN) or None

    def of_environment(self, secret: str) -> Record:
        """An API key, or a personal access token.

        Raises CredentialError for any other CODEX_ACCESS_TOKEN, IllegalHeaderError for what cannot be sent.
        """
        hint = f"set {self.variable} anew; a copied key is one line of ASCII"
        check_secret(secret, f"the value of {self.variable}", hint=hint)
        if self.variable == API_KEY:
            return login.record_of({"auth_mode": "apikey", "OPENAI_API_KEY": secret})
        return login.record_of(_personal_data(secret, ACCESS_TOKEN))

    def _variable(self, name: str) -> str:
        return self._environ.get(name, "").strip()

    # Stored

    def read(self, data: Mapping[str, Any]) -> Record:
        """See `keyfob_openai.login`."""
        try:
            return login.record_of(data)
        except DamagedLoginError as error:
            hint = f"codex login, or {self._command} --replace"
            raise DamagedLoginError(str(error), hint=hint) from None

    def complete(self, record: Record) -> Record:
        """A personal access token does not say whose it is: its issuer is asked, once in the life of a process."""
        if login.kind(record.data) != login.PERSONAL:
            return record
        found = self._personal.get(record.token)
        if found is None:
            hint = f"{self._command} --with-access-token"
            if self._variable(ACCESS_TOKEN) == record.token:
                hint = f"unset {ACCESS_TOKEN}, or set it anew"
            found = personal.whoami(record.token, self._environ, self._send, hint=hint)
            self._personal[record.token] = found
        account = found["chatgpt_account_id"]
        return replace(record, account=account, workspaces=(account,))

    def data_for(self, method: str, secret: str) -> Mapping[str, Any]:
        """What Codex stores for an API key, or for an access token."""
        if method == "api-key":
            return {"auth_mode": "apikey", "OPENAI_API_KEY": secret}
        return _personal_data(secret, "this")

    def sign_in(self, flow: str, workspaces: tuple[str, ...] = ()) -> AbstractContextManager[Mapping[str, Any]]:
        """See `keyfob_openai.sign_in`, which is imported when somebody signs in."""
        from keyfob_openai.sign_in import SignIn

        way = SignIn(self._context, workspaces)
        return way.device() if flow == "device" else way.browser()

    def missing_for_renewal(self, data: Mapping[str, Any]) -> str | None:
        """A login is renewed by what is stored of it alone."""
        return None

    def without_renewal(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """ChatGPT's tokens without the one that is spent; a key or a personal access token is never spent."""
        return login.without_refresh_token(data) if login.kind(data) == login.TOKENS else data

    def imported(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """As it is, if it is renewed where one signs in here."""
        from keyfob_openai.sign_in import issuer_of

        rotation.check_issuer(issuer_of(self._environ), data)
        return data

    def credential(self, record: Record) -> Credential:
        """A bearer token, and with ChatGPT the account it is used for."""
        headers = {"Authorization": f"Bearer {record.token}"}
        if record.account:
            headers[_ACCOUNT] = record.account
        if self._fedramp(record):
            headers[_FEDRAMP] = "true"
        return Credential(headers, expires_at=record.expires_at, token=record.token)

    def _fedramp(self, record: Record) -> bool:
        if login.kind(record.data) == login.TOKENS:
            return login.fedramp(record.data)
        return self._personal.get(record.token, {}).get("chatgpt_account_is_fedramp") is True

    def about(self, record: Record) -> About:
        """What its claims say."""
        kind, shown = login.kind(record.data), masked(record.token)
        if kind == login.KEY:
            return About("API key", shown, controls=_API_CONTROLS)
        if kind == login.PERSONAL:
            found = self._personal.get(record.token, {})
            plan = text(found, "chatgpt_plan_type")
            return About(
                "personal access token",
                shown,
                text(found, "email"),
                record.account,
                record.account,
                plan,
                _CHATGPT_CONTROLS,
            )
        identity = claims(record.data["tokens"]["id_token"]) or {}
        plan = text(openai(identity), "chatgpt_plan_type")
        workspace = text(openai(identity), "chatgpt_account_id")
        return About("ChatGPT", None, email(identity), record.account, workspace, plan, _CHATGPT_CONTROLS)

    # Renewal

    def exchange(self, record: Record, reason: str) -> Exchange:
        """See `keyfob_openai.rotation`."""
        return rotation.refresh(record, reason, self._environ)

    def absorb(self, record: Record, answer: Mapping[str, Any]) -> Mapping[str, Any]:
        """See `keyfob_openai.rotation`."""
        return rotation.absorb(record, answer, self._environ, self._clock)

    def refusal(self, answer: Answer) -> str | None:
        """See `keyfob_openai.rotation`."""
        return rotation.refusal(answer)

    def revocation(self, data: Mapping[str, Any]) -> Exchange | None:
        """See `keyfob_openai.rotation`."""
        return rotation.revocation(data, self._environ)


def _personal_data(token: str, what: str) -> Mapping[str, Any]:
    if not token.startswith(personal.PREFIX):
        raise CredentialError(f"{what} is not a personal access token: those begin with {personal.PREFIX}")
    return {"OPENAI_API_KEY": None, "personal_access_token": token}


_CHATGPT_CONTROLS = "your ChatGPT workspace: its permissions, retention and residency settings"
_API_CONTROLS = "your API organization: its retention and data-sharing settings"


class OpenAI(StoredAuth[NoOptions]):
    """ChatGPT sign-in or API key, for OpenAI's models and for proxies before them."""

    key = "openai"

    def __init__(self) -> None:
        self._personal: dict[str, Mapping[str, Any]] = {}

    def records(self, provider: ProviderInfo, options: NoOptions, context: Context) -> OpenAILogins:
        """OpenAI's logins; all providers share one."""
        return OpenAILogins(provider.id, context, self._personal)

    def base_url(self, provider: ProviderInfo, options: NoOptions, context: Context) -> str:
        """OpenAI's API for a key, and for nobody; ChatGPT's for who signed in there."""
        record = context.login()
        return API_BASE_URL if record is None or record.method == login.API else CHATGPT_BASE_URL


@hookimpl
def keyfob_auth_plugins() -> Sequence[AuthPlugin[Any]]:
    """The plugin for `requires_openai_auth`."""
    return [OpenAI()]
