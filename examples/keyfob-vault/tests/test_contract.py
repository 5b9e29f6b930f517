"""The contract kit, with an issuer that speaks as Vault does."""

from keyfob.testing.contract import Answer, Contract


class TestVault(Contract):
    key = "vault"

    def entry(self, issuer):
        return {"vault": {"address": issuer.url, "path": "llm", "role_id": "the-role"}}

    environ = {"VAULT_SECRET_ID": "canary-of-approle"}

    def speak(self, issuer, asked):
        """A mount of KV version 1, a login that never ends, and a key with a lease."""
        if asked.path.startswith("/v1/sys/internal/ui/mounts/"):
            return Answer(body={"data": {"path": "secret/", "type": "kv", "options": {"version": "1"}}})
        if asked.path.startswith("/v1/auth/"):
            return Answer(body={"auth": {"client_token": "canary-of-the-login", "lease_duration": 0}})
        given = issuer.grant()
        return Answer(body={"data": {"key": given.token}, "lease_id": "llm/1", "lease_duration": given.expires_in})
