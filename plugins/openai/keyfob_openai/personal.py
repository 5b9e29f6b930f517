"""Personal access tokens (`at-…`): whose one is, its issuer is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keyfob.plugin import Answer, CredentialError, Exchange, NotSignedInError, UnansweredError, UnreachableError

PREFIX = "at-"
BASE_URL = "CODEX_AUTHAPI_BASE_URL"
_PATH = "/v1/user-auth-credential/whoami"
_DEFAULT = "https://auth.openai.com/api/accounts"
_TIMEOUT = 30.0


def whoami(
    token: str, environ: Mapping[str, str], send: Callable[[Exchange], Answer], *, hint: str
) -> Mapping[str, Any]:
    """What OpenAI says of the token: `chatgpt_account_id` and so on. hint: what to do if it does not accept it.

    Raises CredentialError, NotSignedInError.
    """
    base = environ.get(BASE_URL, "").strip().rstrip("/") or _DEFAULT
    headers = {"Authorization": f"Bearer {token}"}
    request = Exchange(base + _PATH, headers=headers, method="GET", timeout=_TIMEOUT, named=BASE_URL)
    try:
        answer = send(request)
    except (UnreachableError, UnansweredError) as error:
        raise CredentialError(f"OpenAI could not be asked whose access token this is: {error}") from error
    found = answer.document() if answer.ok else {}
    if answer.status in (401, 403):
        raise NotSignedInError("OpenAI does not accept this access token", hint=hint)
    if not isinstance(found.get("chatgpt_account_id"), str):
        later = "try again in a moment" if answer.status == 429 or answer.status >= 500 else None
        raise CredentialError(f"OpenAI did not say whose access token this is: it answered {answer.status}", hint=later)
    return found
