"""Entra ID: tokens for Azure's models, through azure-identity. Whom it asks is decided, and told, beforehand."""

import logging
import re
import time
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode, urlsplit

from keyfob.plugin import (
    AuthPlugin,
    Context,
    Credential,
    CredentialError,
    Exchange,
    KeyfobError,
    MintingAuth,
    MissingCredentialError,
    ProviderInfo,
    State,
    UnansweredError,
    UnreachableError,
    hookimpl,
)
from pydantic import BaseModel, ConfigDict, Field

_TENANT, _CLIENT = "AZURE_TENANT_ID", "AZURE_CLIENT_ID"
_SECRET, _CERTIFICATE, _WORKLOAD = "client secret", "client certificate", "workload identity"
_MANAGED, _PROBED, _CLI = "managed identity", "managed identity, if one answers", "Azure CLI"
_SELECTS = {
    "AZURE_CLIENT_SECRET": _SECRET,
    "AZURE_CLIENT_CERTIFICATE_PATH": _CERTIFICATE,
    "AZURE_FEDERATED_TOKEN_FILE": _WORKLOAD,
    "IDENTITY_ENDPOINT": _MANAGED,
    "MSI_ENDPOINT": _MANAGED,
}
_MENDS = {
    _SECRET: "az ad app credential reset --id CLIENT_ID",
    _CERTIFICATE: "az ad app credential list --cert --id CLIENT_ID",
    _WORKLOAD: "az ad app federated-credential list --id CLIENT_ID",
    _MANAGED: "az vm identity assign, or outside Azure: az login, without managed_identity",
    _CLI: "az login",
}
_JSON: dict[str, Any] = {"headers": {}, "content_type": "application/json", "reason": ""}
logging.getLogger("azure.identity").addHandler(logging.NullHandler())  # or its warnings are printed beside our errors


class Options(BaseModel):
    """The table `azure`. managed_identity: true or a client id asks nobody else; false never asks it."""

    model_config = ConfigDict(extra="forbid")

    scope: str = Field("https://cognitiveservices.azure.com/.default", pattern=r"^[A-Za-z0-9_.:/-]+$")
    tenant_id: str | None = Field(None, pattern=r"^[A-Za-z0-9.-]+$")
    client_id: str | None = None
    managed_identity: bool | str | None = None


def _plan(options: Options, environ: Mapping[str, str]) -> tuple[list[str], Mapping[str, str], str | None]:
    """Whom to ask in turn, the variables that azure-identity would read, and which of them is missing."""
    managed = options.managed_identity
    over = {_TENANT: options.tenant_id, _CLIENT: managed if isinstance(managed, str) else options.client_id}
    values = {**environ, **{name: value for name, value in over.items() if value}}
    never = (_MANAGED, _PROBED) if managed is False else ()
    selected = [name for variable, name in _SELECTS.items() if values.get(variable) and name not in never][:1]
    names = [_MANAGED] if managed else selected or [name for name in (_PROBED, _CLI) if name not in never]
    needed = (_TENANT, _CLIENT) if names[0] in (_SECRET, _CERTIFICATE, _WORKLOAD) else ()
    return names, values, next((name for name in needed if not values.get(name)), None)


class Azure(MintingAuth[Options]):
    """Asks for a token; core keeps it until shortly before it expires."""

    key = "azure"

    def mint(self, provider: ProviderInfo, options: Options, context: Context) -> Credential:
        """One token, from a credential built anew: azure-identity's keep theirs, and core wants another after a 401."""
        (names, values, missing), failures = _plan(options, context.environ), []
        if missing:
            raise MissingCredentialError(f"{missing} is not set", hint=f"export {missing}=…")
        for name in names:
            try:
                token = _credential(name, values, context).get_token(options.scope)
                left = token.expires_on - time.time()  # by the clock that azure-identity counts from
                return Credential.bearer(token.token, expires_at=context.clock() + left)
            except Exception as error:  # noqa: BLE001  # azure-identity passes on whatever its parsers raise
                failures.append(f"{name}: {_why(error)}")
        message = f"provider {provider.id}: Azure gave no token ({'; '.join(failures)})"
        raise CredentialError(message, hint=_MENDS[names[-1]])

    def state(self, provider: ProviderInfo, options: Options, context: Context) -> State:
        """Who would be asked; whether there is a token, only asking tells."""
        names, _, missing = _plan(options, context.environ)
        summary = f"`{missing}` not set" if missing else "asked when used" if names[-1] in (_MANAGED, _CLI) else "ready"
        return State(not missing, summary, comes_from=", else ".join(names))


def _credential(name: str, values: Mapping[str, str], context: Context) -> Any:
    """azure-identity's; what it would read in os.environ is handed to it where it can be, for the sake of `.env`."""
    from azure import identity

    client, tenant = values.get(_CLIENT) or None, values.get(_TENANT, "")
    entra: dict[str, Any] = {"tenant_id": tenant, "client_id": client, "authority": values.get("AZURE_AUTHORITY_HOST")}
    # An authority that is not Microsoft's is the user's own word: nobody has to be asked whether it is one.
    entra |= {"disable_instance_discovery": True, "retry_total": 1, "transport": _transport(context)}
    if name == _SECRET:
        return identity.ClientSecretCredential(client_secret=values["AZURE_CLIENT_SECRET"], **entra)
    if name == _CERTIFICATE:
        path, password = values["AZURE_CLIENT_CERTIFICATE_PATH"], values.get("AZURE_CLIENT_CERTIFICATE_PASSWORD")
        return identity.CertificateCredential(certificate_path=path, password=password, **entra)
    if name == _WORKLOAD:
        return identity.WorkloadIdentityCredential(token_file_path=values["AZURE_FEDERATED_TOKEN_FILE"], **entra)
    if name == _CLI:
        return identity.AzureCliCredential(tenant_id=tenant, process_timeout=30)
    managed = identity.ManagedIdentityCredential(client_id=client, retry_total=2)
    return identity.ChainedTokenCredential(managed) if name == _PROBED else managed  # a chain first looks, for a second


def _why(error: BaseException) -> str:
    """Entra ID's code, or keyfob's own words; never azure-identity's text, for the answer may be in it."""
    if code := re.search(r"AADSTS\d+", str(error)):
        return code[0]
    inner: BaseException | None = error
    while inner and not isinstance(inner, KeyfobError | UnreachableError | UnansweredError):
        inner = inner.__cause__ or inner.__context__
    return str(inner or type(error).__name__)


def _transport(context: Context) -> Any:
    """azure-core's way to Entra ID is keyfob's: with its proxies and certificates, and no redirects."""

    def send(request: Any, **_: Any) -> Any:
        form = request.content
        body = urlencode(form).encode() if isinstance(form, dict) else form or b""
        answer = context.send(Exchange(request.url, body, dict(request.headers), request.method))
        if not answer.document():  # azure-identity would log it
            raise UnansweredError(f"{urlsplit(request.url).hostname} answered {answer.status} and no JSON object")
        text = answer.body.decode(errors="replace")
        return SimpleNamespace(status_code=answer.status, text=lambda *_, **__: text, **_JSON)

    return SimpleNamespace(send=send)


@hookimpl
def keyfob_auth_plugins() -> Sequence[AuthPlugin[Any]]:
    """The plugins of this module."""
    return [Azure()]
