"""What keyfob expects of every provider that is shipped."""

from keyfob.testing.contract import ShippedContract


class TestLiteLLM(ShippedContract):
    provider = "litellm"
    environ = {"LITELLM_API_KEY": "canary-of-the-proxy"}
