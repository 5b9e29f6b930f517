"""A key that is read from the real server, as a user's program gets it: from the table to the header."""

from __future__ import annotations

import time
from typing import Any

import pytest
from keyfob.plugin import Context, CredentialError, MissingCredentialError, ProviderInfo
from keyfob_vault import Options, Vault

CORP = ProviderInfo("corp", "corp", "https://llm.example.com/v1")
POLICY = """
path "secret/data/llm" { capabilities = ["read"] }
path "database/creds/team" { capabilities = ["read"] }
"""


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(server, clock):
    """Opens a source: options by name, the environment's variables in capitals."""

    def opened(**given: Any) -> Any:
        environ = {name: value for name, value in given.items() if name.isupper()}
        own = {"VAULT_ADDR": server.root.url, "VAULT_TOKEN": server.root.token, "VAULT_CACERT": server.cacert}
        options = Options(**{name: value for name, value in given.items() if not name.isupper()})
        return Vault().open(
            CORP, options, Context({name: value for name, value in (own | environ).items() if value}, clock)
        )

    return opened


def put(server, key: str, path: str = "llm", field: str = "key") -> None:
    """Write a secret of KV version 2."""
    server.root.secrets.kv.v2.create_or_update_secret(path, secret={field: key})


def refused(source, kind: type[CredentialError] = CredentialError) -> CredentialError:
    """The error, which shows neither the token nor what Vault wrote."""
    with pytest.raises(kind) as caught:
        source.get()
    assert caught.value.hint
    for secret in ("root-token", "errors", "canary"):
        assert secret not in f"{caught.value} {caught.value.hint}"
    assert caught.value.__cause__ is None
    return caught.value


# What is read


def test_a_key_of_kv_version_2_is_kept_for_its_max_age(server, opened, clock):
    """It has no lease, so it is read anew when the option says."""
    put(server, "k-1")
    source = opened(path="llm", max_age=60)
    assert (source.get().headers["Authorization"], source.get().expires_at) == ("Bearer k-1", None)
    put(server, "k-2")
    clock.now += 59
    assert source.get().token == "k-1"
    clock.now += 2
    assert source.get().token == "k-2"


def test_a_key_that_was_refused_is_read_anew(server, opened):
    """Somebody has changed it in Vault: the 401 brings the new one, whatever its age."""
    put(server, "k-1")
    source = opened(path="llm")
    first = source.get()
    put(server, "k-2")
    assert source.get(rejected=first).token == "k-2"


def test_a_lease_is_the_expiry(server, opened, clock, database):
    """A secret that Vault makes when it is read: another one when its lease is over, whatever `max_age` is."""
    source = opened(path=database, mount="database", field="password", max_age=1)
    credential = source.get()
    assert credential.expires_at == pytest.approx(clock.now + 90)
    clock.now += 10
    assert source.get() is credential
    clock.now += 81
    assert source.peek() is None
    assert source.get().token != credential.token


def test_the_time_to_live_of_kv_version_1_is_its_lease(server, opened, clock):
    """It is written beside the key."""
    secret = {"key": "k-1", "ttl": "90s"}
    server.root.secrets.kv.v1.create_or_update_secret("llm", secret, mount_point="old")
    credential = opened(path="llm", mount="old").get()
    assert (credential.token, credential.expires_at) == ("k-1", pytest.approx(clock.now + 90))


def test_a_field_goes_bare_into_the_header_that_is_named(server, opened):
    """As Azure and others want it."""
    put(server, "k-1", "teams/search key", "api_key")
    credential = opened(path="/teams/search key/", field="api_key", header="api-key", mount="/secret/").get()
    assert dict(credential.headers) == {"api-key": "k-1"}


# Who asks


def test_the_file_of_vault_login_counts_where_no_variable_does(server, opened, tmp_path):
    """It is looked for in the home that the environment names."""
    put(server, "k-1")
    (tmp_path / ".vault-token").write_text(f"{server.root.token}\n")
    assert opened(path="llm", VAULT_TOKEN=None, HOME=str(tmp_path)).get().token == "k-1"
    error = refused(opened(path="llm", VAULT_TOKEN=None, HOME=str(tmp_path / "no")), MissingCredentialError)
    assert (str(error), error.hint) == ("VAULT_TOKEN is not set, and nobody is signed in", "vault login")


def test_what_this_process_has_in_its_environment_does_not_count(server, opened, monkeypatch):
    """hvac reads it by itself, and requests too; the plugin goes by the provider's."""
    put(server, "k-1")
    monkeypatch.setenv("VAULT_ADDR", "http://127.0.0.1:9")
    monkeypatch.setenv("VAULT_TOKEN", "canary")
    monkeypatch.setenv("VAULT_NAMESPACE", "nowhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert opened(path="llm").get().token == "k-1"
    with pytest.raises(MissingCredentialError, match="VAULT_ADDR"):
        opened(path="llm", VAULT_ADDR=None).get()


@pytest.fixture
def approle(server) -> tuple[str, str]:
    """The role id and secret id of a role that may read two secrets."""
    server.root.sys.create_or_update_policy("llm", POLICY)
    server.root.auth.approle.create_or_update_approle(
        "team", token_policies=["llm"], token_ttl="60s", token_type="service"
    )
    role_id = server.root.auth.approle.read_role_id("team")["data"]["role_id"]
    return role_id, server.root.auth.approle.generate_secret_id("team")["data"]["secret_id"]


def test_a_program_signs_in_by_approle(server, opened, approle):
    """With no more rights than to read; no token is needed."""
    put(server, "k-1")
    role_id, secret_id = approle
    assert opened(path="llm", role_id=role_id, VAULT_TOKEN=None, VAULT_SECRET_ID=secret_id).get().token == "k-1"


def test_approle_needs_its_secret_id(opened, approle):
    """A missing one is named, a wrong one told."""
    role_id, _ = approle
    with pytest.raises(MissingCredentialError, match="TEAM_SECRET"):
        opened(path="llm", role_id=role_id, secret_id_env="TEAM_SECRET").get()
    error = refused(opened(path="llm", role_id=role_id, VAULT_SECRET_ID="canary"))
    assert "refuses the AppRole login" in str(error)


def test_a_lease_ends_with_the_token_that_took_it(opened, approle, clock, database):
    """AppRole's token lives a minute here, and Vault revokes with it what was leased to it."""
    role_id, secret_id = approle
    given = {"role_id": role_id, "VAULT_TOKEN": None, "VAULT_SECRET_ID": secret_id}
    credential = opened(path=database, mount="database", field="password", **given).get()
    assert credential.expires_at == pytest.approx(clock.now + 60)


# What goes wrong


def test_a_revoked_token_is_told(server, opened):
    """Vault answers 403; the key that was read before is no longer given out once it is old."""
    put(server, "k-1")
    token = server.root.auth.token.create(policies=["root"], ttl="1h")["auth"]["client_token"]
    source = opened(path="llm", VAULT_TOKEN=token)
    credential = source.get()
    server.root.auth.token.revoke(token)
    with pytest.raises(
        CredentialError, match=r"corp: Vault denies secret/llm: no policy grants it, or the token is no"
    ):
        source.get(rejected=credential)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"path": "gone"}, "corp: Vault has nothing at secret/gone"),
        ({"path": "data/llm"}, "without the `data/` of KV version 2"),
        ({"path": "llm", "field": "pasword"}, "Vault has no text in the field pasword of secret/llm"),
        ({"path": "llm", "mount": "elsewhere"}, "Vault denies elsewhere/llm"),
        ({"path": "llm", "VAULT_TOKEN": "canary-of-a-token"}, "Vault denies secret/llm"),
        ({"path": "llm", "VAULT_ADDR": "http://127.0.0.1:9"}, "Vault cannot be reached"),
        ({"path": "llm", "address": "http://vault.example.com"}, "Vault's address is not https"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_what_is_wrong_is_told_with_a_command(server, opened, given, says):
    """In a sentence that names the place."""
    put(server, "k-1")
    assert says in str(refused(opened(**given)))


def test_a_sealed_vault_is_told(server, opened):
    """Until somebody has unsealed it."""
    put(server, "k-1")
    server.root.sys.seal()
    try:
        assert str(refused(opened(path="llm"))) == "corp: Vault is sealed, or not ready"
    finally:
        server.root.sys.submit_unseal_key(server.unseal_key)
    assert opened(path="llm").get().token == "k-1"


def test_a_certificate_that_nobody_vouches_for_is_told(server, opened):
    """VAULT_CACERT names the authority; without it, the system's are asked."""
    error = refused(opened(path="llm", VAULT_CACERT=None))
    assert "has a certificate that is not trusted" in str(error)
    assert "VAULT_CACERT" in error.hint
