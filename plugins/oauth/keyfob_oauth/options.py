"""The table `[model_providers.<id>.oauth]`: at which server one signs in, as which client, and for what."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticKnownError

from keyfob_oauth.values import (
    Endpoint,
    Header,
    Issuer,
    Nothing,
    Parameters,
    RedirectUri,
    Resource,
    Scheme,
    Scope,
    Text,
    Variable,
    wrong,
)

ENDPOINTS = ("authorization_endpoint", "token_endpoint", "device_authorization_endpoint", "revocation_endpoint")
BROWSER, DEVICE, PROGRAM = "browser", "device", "client_credentials"
PUBLIC = "none"
# What a flow begins with, where that is not the token endpoint.
BEGINS = {BROWSER: "authorization_endpoint", DEVICE: "device_authorization_endpoint"}

Flow = Literal["browser", "device", "client_credentials"]
Method = Literal["client_secret_basic", "client_secret_post", "none"]


class Options(BaseModel):
    """The table. Names as RFC 6749, 8414, 8628, 8707 and OpenID Connect have them.

    In this order they are looked at: a key is judged together with those above it.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)

    client_id: Text = Field(examples=["keyfob"], description="The client that is registered there.")
    scopes: list[Scope] = Field([], examples=[["openid", "offline_access"]], description="What to ask for.")
    audience: Text | None = Field(None, examples=["llm"], description="Whom the token is for, as some servers name it.")
    resource: Resource | None = Field(
        None, examples=["https://llm.example.com"], description="Whom the token is for (RFC 8707)."
    )
    flow: Flow = Field("browser", description="How one signs in: browser, device or client_credentials.")
    token_endpoint_auth_method: Method | None = Field(
        None, examples=["client_secret_post"], description="How the client authenticates; else as the server takes it."
    )
    client_secret_env: Variable | None = Field(
        None, examples=["CORP_CLIENT_SECRET"], description="The environment variable with the client's secret."
    )
    client_secret: SkipJsonSchema[Nothing] = None
    redirect_uri: RedirectUri | None = Field(
        None, examples=["http://127.0.0.1:8765/callback"], description="As it is registered; any port if it has none."
    )
    authorization_parameters: Parameters = Field(
        {}, examples=[{"prompt": "consent"}], description="Further fields of the address that the browser is sent to."
    )
    header: Header = Field("Authorization", description="The header with the token.")
    scheme: Scheme | None = Field(
        None, examples=["Bearer"], description="The word before the token: Bearer in Authorization, else none."
    )
    authorization_endpoint: Endpoint | None = Field(
        None, examples=["https://sso.example.com/authorize"], description="Where the browser is sent."
    )
    device_authorization_endpoint: Endpoint | None = Field(
        None, examples=["https://sso.example.com/device"], description="Where a code for another device is had."
    )
    revocation_endpoint: Endpoint | None = Field(
        None, examples=["https://sso.example.com/revoke"], description="Where a login is ended."
    )
    token_endpoint: Endpoint | None = Field(
        None,
        examples=["https://sso.example.com/token"],
        description="Where tokens are had; then nothing is discovered.",
    )
    issuer: Issuer | None = Field(
        None,
        validate_default=True,
        examples=["https://sso.example.com"],
        description="The server, as its metadata names it, to the letter; they name the endpoints that are not here.",
    )

    @field_validator("token_endpoint_auth_method")
    @classmethod
    def _a_program_has_a_secret(cls, method: Method | None, info: ValidationInfo) -> Method | None:
        """RFC 6749, section 4.4."""
        if method == PUBLIC and info.data.get("flow") == PROGRAM:
            raise wrong("must be another: a program signs in with a secret")
        return method

    @field_validator("client_secret_env")
    @classmethod
    def _a_public_client_has_none(cls, name: str | None, info: ValidationInfo) -> str | None:
        if name is not None and info.data.get("token_endpoint_auth_method") == PUBLIC:
            raise wrong("contradicts token_endpoint_auth_method, by which there is no secret")
        return name

    @field_validator("token_endpoint")
    @classmethod
    def _the_flow_begins_somewhere(cls, url: str | None, info: ValidationInfo) -> str | None:
        needed = BEGINS.get(info.data.get("flow", ""))
        if url is not None and needed is not None and info.data.get(needed, "") is None:
            raise wrong(f"is written, so nothing is discovered: then this flow needs {needed}, too")
        return url

    @field_validator("issuer")
    @classmethod
    def _somebody_gives_tokens(cls, issuer: str | None, info: ValidationInfo) -> str | None:
        if issuer is None and info.data.get("token_endpoint", "") is None:
            raise PydanticKnownError("missing")
        return issuer

    @property
    def discovers(self) -> bool:
        """Whether the issuer is asked for its endpoints: with a token endpoint it is not."""
        return self.issuer is not None and self.token_endpoint is None

    @property
    def confidential(self) -> bool:
        """Whether the client has a secret (RFC 6749, section 2.1)."""
        method = self.token_endpoint_auth_method
        return self.by_itself or self.client_secret_env is not None or method not in (None, PUBLIC)

    @property
    def by_itself(self) -> bool:
        """Whether the client signs in for itself, without a person."""
        return self.flow == PROGRAM

    @property
    def asked_for(self) -> dict[str, str]:
        """What a login is for, as fields of the request for it (RFC 6749, section 3.3; RFC 8707, section 2)."""
        fields = {"scope": " ".join(self.scopes), "audience": self.audience, "resource": self.resource}
        return {name: value for name, value in fields.items() if value}

    @property
    def asked_again(self) -> dict[str, str]:
        """The same for a request that follows another (RFC 8707, section 2.2)."""
        return {} if self.resource is None else {"resource": self.resource}

    def carrying(self, token: str) -> dict[str, str]:
        """The header with this token."""
        usual = "Bearer" if self.header.lower() == "authorization" else ""
        scheme = usual if self.scheme is None else self.scheme
        return {self.header: f"{scheme} {token}" if scheme else token}
