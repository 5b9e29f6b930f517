"""The contract of keyfob's plugins, against this one."""

from keyfob.testing.contract import Contract


class TestHmac(Contract):
    key = "hmac"
    options = {"key_id": "team", "secret_env": "TEAM_SECRET"}
    environ = {"TEAM_SECRET": "canary-of-the-team"}
