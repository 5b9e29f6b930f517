"""What came of a renewal, or of a sign-in without anybody: kept for all who would try the same, who adopt it."""

from __future__ import annotations

from dataclasses import dataclass

from keyfob.errors import ConfigError, KeyfobError, LostRenewalError, RefusedError, RenewalError

# Codes that mean more than a failure: its answer is gone; it was expired when it came; RFC 6749, section 5.2.
LOST = "renewal-interrupted"
EXPIRED_ON_ARRIVAL = "expired-on-arrival"
WRONG_CLIENT = "invalid_client"
# A time to wait that lies further ahead is not believed: a clock was wrong when it was written. Seconds.
LONGEST_WAIT = 600.0
# After a failure that may pass, this long to the next try, doubled with each. Seconds.
_FIRST_WAIT, _LAST_WAIT = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a renewal, or of a sign-in without anybody, for all who would try the same.

    fingerprint: of the state of the record, or of the attempt. permanent: it holds for exactly this state. code: the
    issuer's error code, or a word of ours. message: of a renewal it names no provider, for several may share the
    record. at: when. not_before: nobody tries again before that; both in seconds since the epoch. failures: how many
    there were in a row. hint: what to do, where that does not follow from the code.
    """

    fingerprint: str
    code: str
    message: str
    at: float
    permanent: bool = False
    not_before: float = 0.0
    failures: int = 1
    hint: str | None = None

    @classmethod
    def of_failure(
        cls, before: Outcome | None, fingerprint: str, code: str, message: str, now: float, retry_after: float | None
    ) -> Outcome:
        """One that may pass. before: the last outcome; each of the same in a row doubles the wait.

        retry_after: what the issuer wants, in seconds.
        """
        failures = before.failures + 1 if before and before.fingerprint == fingerprint else 1
        wait = max(retry_after or 0.0, min(_FIRST_WAIT * 2 ** min(failures - 1, 10), _LAST_WAIT))
        not_before = now + min(wait, LONGEST_WAIT)
        return cls(fingerprint, code, message, now, not_before=not_before, failures=failures)

    def waits(self, now: float) -> bool:
        """Whether nobody should try now; a time beyond all reason does not count."""
        return now < self.not_before <= now + LONGEST_WAIT

    @property
    def lost(self) -> bool:
        """Whether a renewal broke off and its answer is gone, rather than that it was refused."""
        return self.code == LOST

    def error(self, provider: str, command: str) -> KeyfobError:
        """What there is to say of a renewal that came to this. command: what signs in to that provider."""
        message = f"{provider}: {self.message}"
        if self.code == WRONG_CLIENT:
            return ConfigError(message, hint=self.hint or f"keyfob explain {provider}")
        if not self.permanent:
            return RenewalError(message, hint="try again in a moment")
        kind = LostRenewalError if self.lost else RefusedError
        return kind(message, hint=command)
