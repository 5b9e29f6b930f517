"""AWS: requests to Bedrock, signed with SigV4 by whatever AWS's own tools would sign with; Codex's table `aws`."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from keyfob.plugin import (
    ConfigError,
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
from pydantic import BaseModel, Field

_HINT = "aws configure sso, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_BEARER = "AWS_BEARER_TOKEN_BEDROCK"
_REGION = r"[a-z]{2,}(?:-[a-z]+)+-\d+"
_DOMAINS = {"bedrock-mantle": "api.aws", "bedrock-runtime": "amazonaws.com"}


class Options(BaseModel, extra="forbid"):
    """The table `aws`, as in Codex, but for `credential_export`. auth_refresh: here it is the hint of an error."""

    profile: str | None = None
    region: str | None = Field(None, pattern=rf"^{_REGION}$")
    auth_refresh: dict[str, list[str] | str | int] = {}


class Aws(SigningAuth[Options]):
    """For the ids `amazon-bedrock` (Mantle) and `amazon-bedrock-runtime`, and any entry with a table `aws`."""

    key = "aws"

    def base_url(self, provider: ProviderInfo, options: Options, context: Context) -> str:
        name = _endpoint(provider)
        return f"https://{name}.{_region(provider, options, context)}.{_DOMAINS[name]}/openai/v1"

    def max_age(self, options: Options) -> float:
        return 300.0  # keys that do not say when they expire may be those of a file that is written anew

    def signing_key(self, provider: ProviderInfo, options: Options, context: Context) -> SigningKey:
        """The keys of botocore's chain, which may ask AWS for them; before it, as in Codex, Bedrock's own token."""
        from botocore.exceptions import NoCredentialsError

        token = context.environ.get(_BEARER, "").strip()
        if token and not options.profile:
            return SigningKey(None, headers={"Authorization": f"Bearer {token}"})
        with _told(provider, options):
            found = _session(options, context).get_credentials()
            frozen = found and found.get_frozen_credentials()
            if not frozen or not all(map(str.strip, frozen[:2])):  # botocore takes a blank for a key
                raise NoCredentialsError
        ends = getattr(found, "_expiry_time", None)  # botocore has no public name for it; max_age serves without it
        secret = (frozen, _endpoint(provider).removesuffix("-runtime"), _region(provider, options, context))
        return SigningKey(secret, expires_at=ends.timestamp() if ends else None)

    def sign(self, request: Unsigned, key: SigningKey, options: Options, context: Context) -> Mapping[str, str]:
        """SigV4 by botocore's parts: its `add_auth` has a clock of its own, and would log the security token."""
        if key.secret is None:
            return {}
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        url, _, query = request.url.partition("?")
        if "+" in query or "\N{REPLACEMENT CHARACTER}" in unquote(query):
            raise CredentialError("a query must be UTF-8 without `+`, which AWS's services read differently: write %20")
        now, signer = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(context.clock())), SigV4Auth(*key.secret)
        added = {"X-Amz-Date": now} | ({"X-Amz-Security-Token": token} if (token := key.secret[0].token) else {})
        kept = {k: v for k, v in request.headers.items() if k in ("content-type", "host") or k.startswith("x-amz")}
        parameters: Any = parse_qsl(query, keep_blank_values=True)  # a list: a name may be there twice
        asked = AWSRequest(request.method, url, {**kept, **added}, request.body, parameters)
        asked.context["timestamp"] = now
        signature = signer.signature(signer.string_to_sign(asked, signer.canonical_request(asked)), asked)
        parts = (signer.scope(asked), signer.signed_headers(signer.headers_to_sign(asked)), signature)
        said = "AWS4-HMAC-SHA256 Credential={}, SignedHeaders={}, Signature={}".format(*parts)
        return {"Authorization": said, **added}

    def state(self, provider: ProviderInfo, options: Options, context: Context) -> State:
        """The chain is not asked: it reads files, runs commands and asks the machine's own metadata."""
        at_hand = not options.profile and any(context.environ.get(name) for name in (_BEARER, "AWS_ACCESS_KEY_ID"))
        summary = "ready" if at_hand else "not known until asked"
        return State(at_hand, summary, f"AWS profile {options.profile or 'by default'}")


@contextmanager
def _told(provider: ProviderInfo, options: Options) -> Iterator[None]:
    """What botocore raises, by its kind: its text may hold what a command printed."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError, OSError, RuntimeError, ValueError) as error:
        args = options.auth_refresh.get("args")
        hint = f"aws {' '.join(args)}" if isinstance(args, list) else _HINT
        profile, kind = options.profile or "by default", type(error).__name__
        raise MissingCredentialError(f"{provider.id}: no AWS keys, profile {profile}: {kind}", hint=hint) from None


def _endpoint(provider: ProviderInfo) -> str:
    host = urlsplit(provider.base_url or "").hostname or ""
    otherwise = "bedrock-mantle" if provider.id == "amazon-bedrock" else "bedrock-runtime"
    return next((name for name in _DOMAINS if name in host), otherwise)


def _region(provider: ProviderInfo, options: Options, context: Context) -> str:
    """The option's, the host's (it refuses a signature for another), the environment's, the profile's."""
    named = re.search(rf"\.({_REGION})\.", provider.base_url or "")
    region = options.region or (named and named[1]) or context.environ.get("AWS_REGION", "").strip()
    with _told(provider, options):
        region = region or _session(options, context).get_config_variable("region") or ""
    if not re.fullmatch(_REGION, region):
        hint = f'write region = "us-east-1" under [model_providers.{provider.id}.aws], or set AWS_REGION'
        raise ConfigError(f"provider {provider.id}: no AWS region, or one that is none", hint=hint)
    return region


def _session(options: Options, context: Context) -> Any:
    """A session of botocore that reads `context.environ` where botocore itself reads the process's own."""
    from botocore.configprovider import ConfigChainFactory
    from botocore.credentials import ContainerProvider, EnvProvider
    from botocore.session import Session

    session = Session(profile=options.profile or None)
    store, chains = session.get_component("config_store"), ConfigChainFactory(session, context.environ)
    for name, (in_file, variables, *rest) in session.SESSION_VARIABLES.items():
        store.set_config_provider(name, chains.create_config_chain(name, variables, in_file, *rest))
    if "mfa_serial" in session.get_scoped_config():
        raise CredentialError(f"AWS profile {session.profile} wants the code of an MFA device, and nobody is there")
    resolver = session.get_component("credential_provider")
    own = {each.METHOD: each for each in (EnvProvider(context.environ), ContainerProvider(context.environ))}
    off = {"iam-role"} if context.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true" else ()
    resolver.providers[:] = [own.get(each.METHOD, each) for each in resolver.providers if each.METHOD not in off]
    return session


@hookimpl
def keyfob_auth_plugins() -> list[Aws]:
    return [Aws()]
