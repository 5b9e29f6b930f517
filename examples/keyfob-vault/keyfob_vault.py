"""Vault, or OpenBao: a key that is read where the company keeps it, through hvac. Its lease is its expiry."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from keyfob.plugin import (
    AuthPlugin,
    Context,
    Credential,
    CredentialError,
    MintingAuth,
    MissingCredentialError,
    ProviderInfo,
    fault_of,
    hookimpl,
)
from keyfob.plugin.oauth import expiry
from pydantic import BaseModel, ConfigDict, Field

# What hvac or requests raises → what it means, while `{at}` is read, and the command that tells more.
_MEANINGS = {
    "Forbidden": ("denies {at}: no policy grants it, or the token is no good any more", "vault token lookup"),
    "InvalidRequest": ("refuses the AppRole login, or the request for {at}", "vault list auth/approle/role"),
    "InvalidPath": ("has nothing at {at}; path is without the `data/` of KV version 2", "vault kv get {at}"),
    "VaultDown": ("is sealed, or not ready", "vault status"),
    "SSLError": ("has a certificate that is not trusted", "export VAULT_CACERT=/path/of/its/ca.pem"),
    "ConnectionError": ("cannot be reached", "vault status"),
    "ReadTimeout": ("does not answer", "vault status"),
}


class Options(BaseModel):
    """The table `vault`.

    path: below `mount`, without the `data/` of KV version 2. field: whose value is the key. address: else VAULT_ADDR.
    header: takes the bare key, in place of Authorization. max_age: seconds, for what has no lease.
    role_id: sign in by AppRole; else VAULT_TOKEN counts, then the file that `vault login` writes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(min_length=1)
    field: str = "key"
    mount: str = Field("secret", min_length=1)
    address: str | None = None
    namespace: str | None = None
    header: str | None = None
    max_age: float = Field(900, gt=0)
    role_id: str | None = None
    secret_id_env: str = Field("VAULT_SECRET_ID")
    auth_mount: str = "approle"

    def below(self, middle: str = "/") -> str:
        """The path with its mount."""
        return quote(self.mount.strip("/") + middle + self.path.strip("/"))


class Vault(MintingAuth[Options]):
    """Reads the key anew when its lease ends, and renews none: at the longest, a lease ends all the same."""

    key = "vault"

    def max_age(self, options: Options) -> float:
        return options.max_age  # of a key without a lease

    def mint(self, provider: ProviderInfo, options: Options, context: Context) -> Credential:
        """The key as it is now."""
        address = options.address or context.environ["VAULT_ADDR"]
        if fault := fault_of(address):
            raise CredentialError(f"{provider.id}: Vault's address {fault}", hint="export VAULT_ADDR=https://…")
        secret, now = _secret(options, context.environ), context.clock()
        with _told(f"{provider.id}: Vault", options), _client(address, options, context.environ) as client:
            life = _signed_in(client, options, secret)
            answer = _read(client, options)
            key, lease = answer["data"].get(options.field), answer["lease_duration"]
        if not isinstance(key, str) or not key:
            message = f"{provider.id}: Vault has no text in the field {options.field} of {options.below()}"
            raise MissingCredentialError(message, hint=f"vault kv get -mount={options.mount} {options.path}")
        # A lease ends with the token that took it out, whatever it says itself.
        lives = [lease, life] if answer.get("lease_id") else [lease]
        ends = [expiry({"expires_in": seconds}, now) for seconds in lives if seconds]
        expires_at = min(filter(None, ends), default=None)
        headers = {options.header: key} if options.header else {"Authorization": f"Bearer {key}"}
        return Credential(headers, expires_at=expires_at, token=key)


def _secret(options: Options, environ: Mapping[str, str]) -> str:
    """The secret id of AppRole, or the token: the variable's, else of the file that `vault login` writes."""
    if options.role_id:
        if not (secret := environ[options.secret_id_env].strip()):
            raise MissingCredentialError(f"{options.secret_id_env} is empty")
        return secret
    home = environ.get("HOME") or environ.get("USERPROFILE") or "/"
    try:
        return environ.get("VAULT_TOKEN", "").strip() or Path(home, ".vault-token").read_text("utf-8").strip()
    except (OSError, ValueError):
        raise MissingCredentialError("VAULT_TOKEN is not set, and nobody is signed in", hint="vault login") from None


@contextmanager
def _client(address: str, options: Options, environ: Mapping[str, str]) -> Iterator[Any]:
    """hvac's client. What it would look for in the environment by itself is given; a redirect is not followed."""
    import hvac  # type: ignore[import-untyped]
    import requests

    verify = environ.get("VAULT_CACERT") or True
    namespace = options.namespace or environ.get("VAULT_NAMESPACE")
    with requests.Session() as session:
        session.trust_env, session.verify = False, verify
        yield hvac.Client(address, "", (), verify, allow_redirects=False, session=session, namespace=namespace)


def _signed_in(client: Any, options: Options, secret: str) -> Any:
    """Give the client its token. How long that lives, in seconds, where it is known."""
    if not options.role_id:
        client.token = secret
        return None
    return client.auth.approle.login(options.role_id, secret, mount_point=options.auth_mount)["auth"]["lease_duration"]


def _read(client: Any, options: Options) -> Any:
    """What is there: of KV version 2, which is asked for as `vault kv get` does, what its envelope holds."""
    mount = client.adapter.get(f"/v1/sys/internal/ui/mounts/{options.below()}")["data"]
    versioned = (mount["options"] or {}).get("version") == "2"
    answer = client.adapter.get("/v1/" + options.below("/data/" if versioned else "/"))
    return {**answer, "data": answer["data"]["data"]} if versioned else answer


@contextmanager
def _told(who: str, options: Options) -> Iterator[None]:
    """Say what an exception means. Not its text: that may hold an answer."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # hvac's, requests', urllib3's, and what odd answers lead to
        names = [kind.__name__ for kind in type(error).__mro__]
        unknown = f"did not answer with a secret ({names[0]})", "vault status"
        why, hint = next((_MEANINGS[name] for name in names if name in _MEANINGS), unknown)
        at = options.below()
        raise CredentialError(f"{who} {why.format(at=at)}", hint=hint.format(at=at)) from None


@hookimpl
def keyfob_auth_plugins() -> Sequence[AuthPlugin[Any]]:
    """The plugin of this module."""
    return [Vault()]
