"""The OAuth flows, for plugins: authorization code with PKCE, device code, client credentials, refresh, revocation.

    wanted = Wanted(server.authorization_endpoint, client.client_id, issuer=server.issuer)
    with granted(wanted, context.interaction) as grant:
        yield login_of(asked(client.code(server.token_endpoint, grant), context.send))

Nothing is stored here, and nothing sent but what is asked for: core keeps and renews what a flow brings.
"""

from keyfob.plugin.addresses import fault_of
from keyfob.plugin.oauth.answers import asked, error_code, expiry, plain, reason, refused, tokens
from keyfob.plugin.oauth.browser import granted
from keyfob.plugin.oauth.client import BASIC, NONE, POST, Client
from keyfob.plugin.oauth.device import Prompt, SlowDown, device_tokens, disabled, heed, invite, polled, prompt_of
from keyfob.plugin.oauth.server import Server, discovered
from keyfob.plugin.oauth.wanted import Granted, Wanted

__all__ = [
    "BASIC",
    "NONE",
    "POST",
    "Client",
    "Granted",
    "Prompt",
    "Server",
    "SlowDown",
    "Wanted",
    "asked",
    "device_tokens",
    "disabled",
    "discovered",
    "error_code",
    "expiry",
    "fault_of",
    "granted",
    "heed",
    "invite",
    "plain",
    "polled",
    "prompt_of",
    "reason",
    "refused",
    "tokens",
]
