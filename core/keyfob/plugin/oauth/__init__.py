"""The OAuth flows, for plugins: authorization code with PKCE, device code, client credentials, refresh, revocation.

    request = AuthorizationRequest(server.authorization_endpoint, client.client_id, issuer=server.issuer)
    with authorize(request, context.interaction) as code:
        yield login_of(request_tokens(client.code(server.token_endpoint, code), context.send))

Nothing is stored here, and nothing sent but what is asked for: core keeps and renews what a flow brings.
"""

from keyfob.plugin.addresses import fault_of
from keyfob.plugin.oauth.answers import error_code, expiry, plain, reason, refused, request_tokens, tokens
from keyfob.plugin.oauth.authorization import AuthorizationCode, AuthorizationRequest
from keyfob.plugin.oauth.browser import authorize
from keyfob.plugin.oauth.client import BASIC, NONE, POST, Client
from keyfob.plugin.oauth.device import Prompt, SlowDown, check_pending, device_tokens, disabled, invite, poll, prompt_of
from keyfob.plugin.oauth.server import Server, discover

__all__ = [
    "BASIC",
    "NONE",
    "POST",
    "Client",
    "AuthorizationCode",
    "Prompt",
    "Server",
    "SlowDown",
    "AuthorizationRequest",
    "request_tokens",
    "device_tokens",
    "disabled",
    "discover",
    "error_code",
    "expiry",
    "fault_of",
    "authorize",
    "check_pending",
    "invite",
    "plain",
    "poll",
    "prompt_of",
    "reason",
    "refused",
    "tokens",
]
