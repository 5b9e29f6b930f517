"""HMAC: requests signed with a secret shared with the gateway, as RFC 9421 describes (HTTP Message Signatures)."""

import base64
import hashlib
import hmac
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from keyfob.plugin import (
    Context,
    CredentialError,
    MissingCredentialError,
    ProviderInfo,
    SigningAuth,
    SigningKey,
    State,
    Unsigned,
    hookimpl,
)
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

_DERIVED = "@method|@target-uri|@authority|@scheme|@request-target|@path|@query"  # RFC 9421, section 2.2
_COMPONENTS = ("@method", "@target-uri", "content-digest")
_HEADERS = ("Content-Digest", "Signature-Input", "Signature")


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("names one component twice")  # RFC 9421, section 2
    return names


_Component = Annotated[str, Field(pattern=rf"^({_DERIVED}|[a-z0-9!#$%&'*+.^_`|~-]+)$")]
_Text = Annotated[str, Field(pattern=r"^[ !#-\[\]-~]+$")]  # RFC 8941, section 3.3.3, without what has to be escaped


class Options(BaseModel):
    """The table `hmac`. components: what is signed, in order; what is named `content-…` only where there is a body."""

    model_config = ConfigDict(extra="forbid")

    key_id: _Text
    secret_env: str = Field(min_length=1)
    encoding: Literal["text", "base64"] = "text"
    components: Annotated[tuple[_Component, ...], Field(min_length=1), AfterValidator(_each_once)] = _COMPONENTS
    created: bool = True
    label: str = Field("sig1", pattern=r"^[a-z*][a-z0-9_.*-]*$")  # RFC 8941, section 3.1.2
    tag: _Text | None = None


class Hmac(SigningAuth[Options]):
    """Selected by a table `hmac`; the algorithm is hmac-sha256 (RFC 9421, section 3.3.3)."""

    key = "hmac"

    def signing_key(self, provider: ProviderInfo, options: Options, context: Context) -> SigningKey:
        secret = context.environ[options.secret_env].strip()
        if not secret:
            raise MissingCredentialError(f"{options.secret_env} is empty")
        try:
            plain = options.encoding == "text"
            return SigningKey(secret.encode() if plain else base64.b64decode(secret, validate=True))
        except ValueError:
            raise CredentialError(f"{options.secret_env} is not base64, as `encoding` says") from None

    def sign(self, request: Unsigned, key: SigningKey, options: Options, context: Context) -> Mapping[str, str]:
        digest = base64.b64encode(hashlib.sha256(request.body).digest()).decode()
        added = {"content-digest": f"sha-256=:{digest}:"}  # RFC 9530, section 2
        covered = [name for name in options.components if request.body or not name.startswith("content-")]
        values = {name: _value(name, request, added) for name in covered}
        parameters = "".join([f"({' '.join(map(_quoted, covered))})", *_parameters(options, context)])
        lines = [f"{_quoted(name)}: {value}" for name, value in values.items()]
        base = "\n".join([*lines, f'"@signature-params": {parameters}'])  # RFC 9421, section 2.5
        signature = base64.b64encode(hmac.digest(key.secret, base.encode(), "sha256")).decode()
        signed = {"Signature-Input": f"{options.label}={parameters}", "Signature": f"{options.label}=:{signature}:"}
        return signed | ({"Content-Digest": added["content-digest"]} if "content-digest" in covered else {})

    def state(self, provider: ProviderInfo, options: Options, context: Context) -> State:
        return State.of_variable(context.environ, options.secret_env, _HEADERS)


def _quoted(text: str) -> str:
    return f'"{text}"'


def _parameters(options: Options, context: Context) -> Iterator[str]:
    """Of the signature: RFC 9421, section 2.3."""
    if options.created:
        yield f";created={int(context.clock())}"
    yield f";keyid={_quoted(options.key_id)}"
    if options.tag is not None:
        yield f";tag={_quoted(options.tag)}"


def _value(name: str, request: Unsigned, added: Mapping[str, str]) -> str:
    """A component's value (RFC 9421, sections 2.1 and 2.2). Raises CredentialError for a header that is not sent."""
    if name.startswith("@"):
        return _derived(name, request)
    value = added.get(name) or request.headers.get(name)
    if value is None or not value.isascii():
        what = "no such header" if value is None else "more than ASCII there"
        raise CredentialError(f"the signature is to cover `{name}`, and the request has {what}")
    return value.strip()


def _derived(name: str, request: Unsigned) -> str:
    scheme, _, rest = request.url.partition("://")
    target = f"/{rest.partition('/')[2]}"
    path, _, query = target.partition("?")
    default_port = ":443" if scheme == "https" else ":80"
    authority = request.headers["host"].lower().removesuffix(default_port)
    return {
        "@method": request.method,
        "@target-uri": f"{scheme}://{authority}{target}",
        "@authority": authority,
        "@scheme": scheme,
        "@request-target": target,
        "@path": path,
        "@query": f"?{query}",
    }[name]


@hookimpl
def keyfob_auth_plugins() -> list[Hmac]:
    """The plugins of this module."""
    return [Hmac()]
