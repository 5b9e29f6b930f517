"""A plugin of somebody else's whose logins are stored: core keeps, renews, shows and removes them as its own."""

from __future__ import annotations

import json

import pytest

from keyfob.cli.run import run
from keyfob.credentials.ending import sign_out
from keyfob.credentials.saving import save
from keyfob.errors import MissingCredentialError, PluginError
from keyfob.testing.model_server import ModelServer

VAULT = """
import json
from keyfob.plugin import About, Credential, DamagedLoginError, Exchange, Record, StoredAuth, hookimpl, masked
from pydantic import BaseModel

class Options(BaseModel):
    issuer: str
    breaks: str = ""

def broken(*_):
    raise LookupError("canary")

class Logins:
    methods = ("api-key",)
    variable = "VAULT_TOKEN"
    missing = "there is no VAULT_TOKEN"

    def __init__(self, options, context):
        self.options, self.context = options, context

    def __getattribute__(self, name):
        breaks = name == object.__getattribute__(self, "options").breaks
        return broken if breaks else object.__getattribute__(self, name)

    def environment_secret(self):
        return self.context.environ.get("VAULT_TOKEN")

    def of_environment(self, secret):
        return Record({}, secret)

    def read(self, data):
        if "access" not in data:
            raise DamagedLoginError("no access")
        return Record(data, data["access"], secret=data["refresh"], expires_at=data.get("expires_at"))

    def complete(self, record):
        return record

    def credential(self, record):
        return Credential({"X-Vault-Token": record.token}, expires_at=record.expires_at)

    def data_for(self, method, secret):
        return {"access": "canary-old", "refresh": secret, "expires_at": self.context.clock() - 1}

    def about(self, record):
        return About("vault token", masked(record.token))

    def exchange(self, record, reason):
        return Exchange(self.options.issuer + "/renew", json.dumps({"refresh": record.secret}).encode())

    def absorb(self, record, answer):
        if "access" not in answer:
            raise ValueError("no access")
        return {**record.data, **answer, "expires_at": self.context.clock() + 3600}

    def refusal(self, answer):
        return None

    def revocation(self, data):
        return Exchange(self.options.issuer + "/revoke", json.dumps({"refresh": data["refresh"]}).encode())

class Plugin(StoredAuth[Options]):
    key = "%KEY%"

    def records(self, provider, options, context):
        return Logins(options, context)

@hookimpl
def keyfob_auth_plugins():
    return [Plugin()]
"""


@pytest.fixture
def issuer():
    """An issuer that renews once."""
    with ModelServer(
        answers={"/renew": [(200, {"access": "canary-new", "refresh": "R2"})], "/revoke": [200]}
    ) as server:
        yield server


@pytest.fixture
def provider(home, site, issuer):
    """Makes the provider `x` of this plugin; breaks: what of its records raises."""
    site.install("vault", VAULT, key="vault")

    def provider(breaks=""):
        text = '[model_providers.x]\nbase_url = "https://x.example/v1"\n[model_providers.x.vault]\n'
        return home.provider(f'{text}issuer = "{issuer.origin}"\nbreaks = "{breaks}"\n')

    return provider


def test_its_login_is_stored_renewed_and_removed(home, provider, issuer):
    """In a folder of its own, bound to the origin; the issuer is told when it ends."""
    x = provider()
    with pytest.raises(MissingCredentialError, match="there is no VAULT_TOKEN"):
        x.credential()
    save(x.login, x.login.records.data_for("api-key", "R1"))
    assert x.headers()["X-Vault-Token"] == "canary-new"
    kept = home.folder / "keyfob" / "vault" / "x.json"
    stored = json.loads(kept.read_text())
    assert (stored["origin"], stored["refresh"]) == ("https://x.example", "R2")
    sign_out(x.login, [x.login.store])
    assert not kept.exists()
    assert [json.loads(request.body) for request in issuer.received] == [{"refresh": "R1"}, {"refresh": "R2"}]


@pytest.mark.parametrize("breaks", ["environment_secret", "read", "credential", "exchange"])
def test_what_it_breaks_is_its_own_fault(home, provider, breaks):
    """Named with its distribution, and without its text; `explain` says so too."""
    sound = provider()
    save(sound.login, sound.login.records.data_for("api-key", "R1"))
    x = provider(breaks)
    with pytest.raises(PluginError, match="vault") as caught:
        x.credential()
    assert "canary" not in str(caught.value)
    assert "canary" not in " ".join(x.explain().faults)


def test_status_goes_on_without_a_plugin_that_breaks(home, provider, capsys):
    """And says that it does; asked about it, that is an error."""
    provider("environment_secret")
    assert run(["status"], home.environ, places=home.places) == 1
    said = capsys.readouterr()
    assert "state\tnot signed in" in said.out
    assert "warning: vault 1.0" in said.err
    assert run(["status", "x"], home.environ, places=home.places) == 2
    assert "canary" not in capsys.readouterr().err


@pytest.mark.parametrize("derives", ["", "(Rotation)"])
def test_one_that_lacks_a_part_of_the_contract_is_told_so(home, site, issuer, derives):
    """With `exchange` and without `absorb` it would pass for a login that cannot be renewed, or break later."""
    broken = VAULT.replace("def absorb(", "def absorbed(").replace("class Logins:", f"class Logins{derives}:")
    site.install("vault", broken.replace("hookimpl, masked", "Rotation, hookimpl, masked"), key="vault")
    text = '[model_providers.x]\nbase_url = "https://x.example/v1"\n[model_providers.x.vault]\nissuer = ""\n'
    with pytest.raises(PluginError, match=r"vault 1\.0: Logins lacks absorb, so it is no Rotation"):
        home.provider(text).login  # noqa: B018  # reading it is what raises


def test_a_plugin_that_asks_for_the_login_too_early_is_told_of_none(home, site, issuer):
    """In `records`, which says how one is read, and in `base_url`, whose origin it is read for; stored or not."""
    text = VAULT.replace("return Logins(options, context)", "return context.login() or Logins(options, context)")
    address = """
    def base_url(self, provider, options, context):
        return "https://none.example/v1" if context.login() is None else "https://some.example/v1"

@hookimpl
"""
    site.install("vault", text.replace("\n@hookimpl\n", address), key="vault")
    x = home.provider(f'[model_providers.x.vault]\nissuer = "{issuer.origin}"\n')
    assert str(x.base_url) == "https://none.example/v1"
    save(x.login, x.login.records.data_for("api-key", "R1"))
    assert x.headers("https://none.example/v1/models")["X-Vault-Token"] == "canary-new"
