"""The audit of who proved themselves, and who failed to, at a member and at the MoM alike.

Every sign-in and every refused credential is written down, never the credential itself. A stranger
who fails costs the server an entry in a list: records go through the batching writer, and only so
many a minute of each source (`auth.FailureCap`); the others are told as one number per source.
Sign-ins that succeed are capped likewise, by user and address: a client that signs in with every
query does not fill the audit, and everybody's first one is there.
"""

import sys
from typing import Any

from auth import (
    AuditRecord,
    AuditUnavailableError,
    ExpiredTokenError,
    FailureCap,
    Identity,
    RevokedTokenError,
    claimed_name,
    is_pending,
)
from flight_member.audit import AuditTrail
from flight_member.authority import ServiceCaller
from flight_member.clock import Moment
from flight_member.logs import get_logger
from flight_member.signin import HANDSHAKE
from flight_member.sources import UNKNOWN, host_of
from flight_sql import Call, Judge

_log = get_logger(__name__)
_UNKNOWN_ACTOR = "unknown"
_SIGN_IN, _AUTHENTICATE, _REDEEM = "sign_in", "authenticate", "redeem ticket"
# Their signature was looked at first, so that they name whom they say they name.
_GENUINE = (ExpiredTokenError.code, RevokedTokenError.code)
_MAX_DETAIL = 300


class AuthTrail:
    """Where sign-ins and failures are written; beside everything else that is audited."""

    def __init__(
        self,
        audit: AuditTrail,
        now: Moment,
        cap: FailureCap | None = None,
        sign_in_cap: FailureCap | None = None,
    ) -> None:
        """Keep the trail that is written to, the clock, and the caps of failures and sign-ins."""
        self._audit = audit
        self._now = now
        self._cap = cap or FailureCap()
        # Who signs in is a user: of them all together there are no more than users.
        self._sign_ins = sign_in_cap or FailureCap(most=sys.maxsize)

    def allow(self, record: AuditRecord) -> None:
        """Record who proved themselves, within a second, or count it.

        Raises:
            AuditUnavailableError: When the audit is required and cannot be written.
        """
        if self._sign_ins.admit(f"{record.actor} {host_of(record.source)}", record.at):
            self._audit.allow(record)

    def refuse(self, record: AuditRecord) -> None:
        """Record a failure, or count it; the refusal stands whether or not it can be written."""
        source = UNKNOWN if record.source == HANDSHAKE else host_of(record.source)
        if self._cap.admit(source, record.at):
            self._append(record)

    def tell_left_out(self) -> None:
        """Write down how many of the minutes that are over were only counted."""
        self._tell(self._cap.take_left_out(self._now()))
        self._tell_sign_ins(self._sign_ins.take_left_out(self._now()))

    def close(self) -> None:
        """Write down what was counted up to now."""
        self._tell(self._cap.take_left_out())
        self._tell_sign_ins(self._sign_ins.take_left_out())

    def _tell_sign_ins(self, left_out: dict[str, int]) -> None:
        for who, count in left_out.items():
            actor, _, source = who.partition(" ")
            self._append(
                AuditRecord(
                    at=self._now(),
                    actor=actor,
                    source=source,
                    action=_SIGN_IN,
                    allowed=True,
                    rule="left out",
                    detail=f"{count} more sign-ins within a minute",
                )
            )

    def _tell(self, left_out: dict[str, int]) -> None:
        for source, count in left_out.items():
            self._append(
                AuditRecord(
                    at=self._now(),
                    actor=_UNKNOWN_ACTOR,
                    source=source or HANDSHAKE,
                    action=_AUTHENTICATE,
                    allowed=False,
                    rule="left out",
                    detail=f"{count} more failures within a minute",
                )
            )

    def _append(self, record: AuditRecord) -> None:
        try:
            self._audit.allow(record)
        except AuditUnavailableError:
            _log.warning("failure_not_audited", source=record.source, rule=record.rule)


class AuditedAuthenticator:
    """A judge whose every refusal is written down, and every exchange of a token."""

    def __init__(self, inner: Judge, trail: AuthTrail, now: Moment) -> None:
        self._inner = inner
        self._trail = trail
        self._now = now

    def sign_in(self, user: str, password: str, call: Call) -> str:
        """Pass on: whoever judges a password writes down how it went."""
        return self._inner.sign_in(user, password, call)

    def authenticate(self, token: str, peer: str) -> Any:
        """Pass on: which of several tokens counts, and whether one is needed, is known later."""
        return self._inner.authenticate(token, peer)

    def renew(self, token: str, identity: Any) -> str | None:
        """Pass on."""
        return self._inner.renew(token, identity)

    def exchange(self, token: str, call: Call) -> str:
        """Pass on, and write down that a token was exchanged for a session."""
        session = self._inner.exchange(token, call)
        self._trail.allow(self._record(call, _SIGN_IN, is_allowed=True, rule="token"))
        return session

    def confirm(self, call: Call) -> None:
        """Pass on; write down when a token does not count from where it comes."""
        try:
            self._inner.confirm(call)
        except Exception as error:
            # How a password was judged is written down by who judged it.
            if not is_pending(call.bearer or "") and _is_refusal(error):
                self.refused(call, error)
            raise

    def refused(self, call: Call, error: Exception) -> None:
        """Write down that a call was refused for what it presented, or for presenting nothing."""
        code = str(getattr(error, "code", ""))
        action = _REDEEM if code.endswith("-ticket") else _AUTHENTICATE
        if isinstance(call.identity, ServiceCaller) and action == _AUTHENTICATE:
            # A server that passed a wrong password on: that has been written down.
            return
        claimed = claimed_name(call.bearer) if call.bearer else ""
        reason = getattr(error, "text", "")
        if claimed and call.identity is None and code not in _GENUINE:
            reason = f"claims to be {claimed}: {reason}"
        record = self._record(call, action, is_allowed=False, rule=code, detail=reason)
        self._trail.refuse(record)

    def _record(
        self, call: Call, action: str, *, is_allowed: bool, rule: str, detail: str = ""
    ) -> AuditRecord:
        return AuditRecord(
            at=self._now(),
            actor=_actor(call, rule),
            source=call.peer or HANDSHAKE,
            action=action,
            allowed=is_allowed,
            rule=rule,
            detail=detail[:_MAX_DETAIL],
        )


def _is_refusal(error: Exception) -> bool:
    return getattr(error, "status", "") == "UNAUTHENTICATED"


def _actor(call: Call, code: str) -> str:
    """Return who a call is of, as far as anything genuine tells."""
    match call.identity:
        case Identity():
            return call.identity.name
        case ServiceCaller():
            return call.identity.cluster
    if code in _GENUINE and call.bearer is not None:
        return claimed_name(call.bearer) or _UNKNOWN_ACTOR
    return _UNKNOWN_ACTOR
