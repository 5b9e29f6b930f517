"""Google Cloud: tokens by Application Default Credentials, through google-auth. Whose they are is told beforehand."""

import json
import logging
import os
import re
import socket
import time
from collections.abc import Mapping, Sequence
from datetime import UTC
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from keyfob.plugin import (
    AuthPlugin,
    ConfigError,
    Context,
    Credential,
    CredentialError,
    Exchange,
    KeyfobError,
    MintingAuth,
    ProviderInfo,
    State,
    UnansweredError,
    UnreachableError,
    hookimpl,
)
from pydantic import BaseModel, ConfigDict, Field

_MACHINE = "the metadata server"
_LOGIN = "gcloud auth application-default login"
_KEYS = "gcloud iam service-accounts keys list --iam-account EMAIL"
# The types of credential files, with google-auth's module and constructor. None of them runs a program.
_TYPES = {
    "authorized_user": ("google.oauth2.credentials", "from_authorized_user_info"),
    "service_account": ("google.oauth2.service_account", "from_service_account_info"),
    "external_account": ("google.auth.identity_pool", "from_info"),
    "impersonated_service_account": ("google.auth.impersonated_credentials", "from_impersonated_service_account_info"),
}
logging.getLogger("google.auth").addHandler(logging.NullHandler())  # or its warnings are printed beside our errors


class Options(BaseModel):
    """The table `google`. project and location: of Vertex AI, whose base URL they make. quota_project: who pays."""

    model_config = ConfigDict(extra="forbid")

    scopes: list[str] = Field(["https://www.googleapis.com/auth/cloud-platform"], min_length=1)
    credentials_file: str | None = None
    quota_project: str | None = None
    project: str | None = Field(None, pattern=r"^[a-z0-9.:-]+$")
    location: str = Field("global", pattern=r"^[a-z0-9-]+$")


class Google(MintingAuth[Options]):
    """Asks for a token; core keeps it until shortly before it expires."""

    key = "google"

    def mint(self, provider: ProviderInfo, options: Options, context: Context) -> Credential:
        """One token, by credentials that are loaded anew: after a 401, or a login, the file may be another."""
        file = _file(options, context.environ)
        credentials, request = _of_file(file, options, context) if file else _of_machine(options)
        try:
            credentials.refresh(request)
            until = credentials.expiry and credentials.expiry.replace(tzinfo=UTC)  # which it is, and does not say
            left = until and until.timestamp() - time.time()  # by the clock that google-auth counts from
            headers = {"Authorization": "Bearer " + credentials.token}  # a TypeError where it is none
            if payer := options.quota_project or credentials.quota_project_id:
                headers["x-goog-user-project"] = payer
            return Credential(headers, expires_at=left and context.clock() + left, token=credentials.token)
        except (KeyfobError, UnreachableError, UnansweredError):
            raise
        except Exception as error:  # noqa: BLE001  # google-auth trips over answers that it does not expect
            message = f"provider {provider.id}: no token from {file or _MACHINE} ({_why(error)})"
            mends = _KEYS if "service_account" in type(credentials).__module__ else _LOGIN
            raise CredentialError(message, hint=mends) from None

    def state(self, provider: ProviderInfo, options: Options, context: Context) -> State:
        """Whose token it would be; whether there is one, only asking tells."""
        if file := _file(options, context.environ):
            return State(found := os.path.isfile(file), "ready" if found else "no such file", comes_from=file)
        return State(ready=True, summary="asked when used", comes_from=_MACHINE)

    def base_url(self, provider: ProviderInfo, options: Options, context: Context) -> str:
        """Vertex AI's endpoint that speaks OpenAI's API."""
        if not options.project:
            raise ConfigError("neither base_url nor google.project is set", hint="gcloud config get project")
        host = ("" if options.location == "global" else f"{options.location}-") + "aiplatform.googleapis.com"
        return f"https://{host}/v1/projects/{options.project}/locations/{options.location}/endpoints/openapi"


def _file(options: Options, environ: Mapping[str, str]) -> str | None:
    """The file that is named, else gcloud's, if it is there; None: the metadata server's turn."""
    home = environ.get("HOME") or os.path.expanduser("~")
    base = environ.get("APPDATA", home) if os.name == "nt" else f"{home}/.config"
    file = os.path.join(environ.get("CLOUDSDK_CONFIG") or f"{base}/gcloud", "application_default_credentials.json")
    named = options.credentials_file or environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    return named or (file if os.path.isfile(file) else None)


def _of_file(file: str, options: Options, context: Context) -> tuple[Any, Any]:
    try:
        with open(file, encoding="utf-8") as stream:
            found = json.load(stream)
        module, made = _TYPES[found["type"]]
        scoped = {} if found["type"] == "authorized_user" else {"scopes": options.scopes}  # its login has its own
        return getattr(import_module(module).Credentials, made)(found, **scoped), _request(context)
    except Exception as error:  # noqa: BLE001  # whatever is in the file, its reader may trip over
        why = error.strerror if isinstance(error, OSError) else "holds no credentials of a type that can be used here"
        raise CredentialError(f"{file}: {why}", hint=_LOGIN) from None


def _request(context: Context) -> Any:
    """google-auth's way to Google is keyfob's: with its proxies and certificates, and no redirects."""

    def request(url: str, method: str = "GET", body: Any = None, headers: Any = None, **_: Any) -> Any:
        answer = context.send(Exchange(url, body or b"", headers or {}, method))
        if method == "POST" and not answer.document():
            raise UnansweredError(f"{url} answered {answer.status} and no JSON object")
        return SimpleNamespace(status=answer.status, data=answer.body, headers={})

    return request


def _of_machine(options: Options) -> tuple[Any, Any]:
    name, _, port = os.environ.get("GCE_METADATA_HOST", "169.254.169.254").partition(":")  # where google-auth reads it
    try:
        socket.create_connection((name, int(port or 80)), timeout=1).close()  # google-auth would try for half a minute
    except OSError:
        raise CredentialError("gcloud has no login, and this machine no metadata server", hint=_LOGIN) from None
    request = import_module("google.auth.transport.requests").Request()
    request.session.trust_env = False  # no proxy is to see it
    return import_module("google.auth.compute_engine").Credentials(scopes=options.scopes), request


def _why(error: Exception) -> str:
    """The code of RFC 6749, section 5.2; never google-auth's text, for the answer is in it."""
    code = answer.get("error") if isinstance(answer := error.args and error.args[-1], dict) else None
    return code if isinstance(code, str) and re.fullmatch("[a-z_]{1,40}", code) else type(error).__name__


@hookimpl
def keyfob_auth_plugins() -> Sequence[AuthPlugin[Any]]:
    """The plugins of this module."""
    return [Google()]
