"""Who is calling: credentials of each RPC, read in gRPC's middleware before the handler runs.

pyarrow's Handshake needs a handler that does nothing; the credentials of every RPC, Handshake
included, are headers and are judged here, because a GetSchema handler cannot refuse with a status.
What is found travels on the middleware object (context variables do not reach the handler).

Anonymous calls go on where something else may be the credential: DoGet (the ticket) and DoAction
(its handler refuses all but the open actions). Everything else is refused as soon as its handler
knows the caller's address.
"""

import base64
import binascii
import re
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pyarrow import flight

from flight_sql.agents import has_agent
from flight_sql.backend import Authenticator, Call
from flight_sql.draining import RunningCalls
from flight_sql.errors import CodedError, InvalidTokenError, TooManyCallsError, translated
from flight_sql.profile import read_profile
from flight_sql.sessions import EMPTY_SESSION, read_session, session_cookie
from flight_sql.wiretypes import WireTypes

MIDDLEWARE = "call"
_QUERY_ID = re.compile(r"[A-Za-z0-9._:-]{8,64}", re.ASCII)
_ANONYMOUS = (flight.FlightMethod.DO_GET, flight.FlightMethod.DO_ACTION)
# Without a handler, or with one that cannot refuse with a status.
_JUDGED_EARLY = (flight.FlightMethod.HANDSHAKE, flight.FlightMethod.GET_SCHEMA)
_NO_CREDENTIALS = (
    "this call carries no token; sign in (Handshake with user@cluster and password), or send "
    "the header `authorization: Bearer <token>`"
)


class SilentAuthHandler(flight.ServerAuthHandler):  # type: ignore[misc]  # pyarrow ships no types
    """Lets Handshake pass: the middleware has judged it already."""

    def authenticate(self, outgoing: Any, incoming: Any) -> None:
        """Do nothing."""

    def is_valid(self, token: bytes) -> bytes:  # noqa: ARG002  # pyarrow's signature
        """Accept every call; its credentials are headers."""
        return b""


class CallMiddleware(flight.ServerMiddleware):  # type: ignore[misc]  # pyarrow ships no types
    """Carries one RPC's `Call` to its handler, and a token back in the response's headers."""

    def __init__(
        self, call: Call, answer: str | None, method: Any, ended: Callable[[], None]
    ) -> None:
        self.call = call
        self._answer = answer
        self._is_handshake = method == flight.FlightMethod.HANDSHAKE
        self._is_anonymous = method in _ANONYMOUS
        self._ended = ended
        self._context: Any = None
        self._lock = threading.Lock()

    def bind(self, context: Any, is_out_of_time: Callable[[], bool]) -> Call:
        """Return the call with what only the handler's context knows."""
        self._context = context
        self.call.peer = context.peer()

        def is_cancelled() -> bool:
            # The context dies with the RPC: never touch it afterwards.
            with self._lock:
                return (
                    self._context is None or is_out_of_time() or bool(self._context.is_cancelled())
                )

        self.call.is_cancelled = is_cancelled
        self.call.add_header = context.add_header
        if self.call.session is None and self.call.identity is not None:
            self.call.keep_session(EMPTY_SESSION)
        return self.call

    def require_identity(self) -> None:
        """Refuse a call that needs an identity and has none.

        Raises:
            CodedError: Saying what was wrong with its credentials.
        """
        if self.call.credentials_error is not None and not self._is_anonymous:
            raise self.call.credentials_error

    def sending_headers(self) -> dict[str, str] | None:
        """Return the token to hand out; pyarrow may ask twice.

        The cookies of all calls but Handshake, which has no handler, are set by their handlers.
        """
        headers = {"authorization": f"Bearer {self._answer}"} if self._answer else {}
        if self._is_handshake and self.call.session is None:
            headers["set-cookie"] = session_cookie(EMPTY_SESSION)
        return headers or None

    def call_completed(self, exception: Any) -> None:  # noqa: ARG002  # pyarrow's signature
        """Let go of the context."""
        with self._lock:
            self._context = None
        self._ended()


class CallMiddlewareFactory(flight.ServerMiddlewareFactory):  # type: ignore[misc]  # untyped
    """Authenticates every RPC."""

    def __init__(
        self,
        authenticator: Authenticator,
        check_open: Callable[[], None],
        running: RunningCalls,
        signed_agents: Sequence[str],
        max_calls: int,
    ) -> None:
        self._authenticator = authenticator
        self._check_open = check_open
        self._running = running
        self._signed_agents = signed_agents
        self._max_calls = max_calls

    def start_call(self, info: Any, headers: Mapping[str, Sequence[Any]]) -> CallMiddleware:
        """Return the call's middleware, or refuse the call."""
        texts = {
            name: values[0]
            for name, values in headers.items()
            if name != "authorization" and values and isinstance(values[0], str)
        }
        query_id = _query_id(texts)
        with translated(query_id):
            self._check_open()
            # Each call has a thread: one too many is refused before anything is done for it.
            credentials = [
                value for value in headers.get("authorization", ()) if isinstance(value, str)
            ]
            # By what they present: whose it is takes longer to tell. A hash, for it is a secret.
            caller = hash(tuple(credentials))
            if not self._running.enter(caller, self._max_calls):
                raise TooManyCallsError(
                    f"{self._running.count} calls are being answered; try again in a moment"
                )
            ended = partial(self._running.leave, caller)
            try:
                session = read_session(headers.get("cookie", ()))
                is_signed = has_agent(texts, self._signed_agents)
                profile = read_profile(headers, WireTypes.SIGNED if is_signed else WireTypes.SAFE)
                call = Call(query_id=query_id, headers=texts, profile=profile, session=session)
                return CallMiddleware(
                    call, self._judge(call, credentials, info.method), info.method, ended
                )
            except BaseException:
                ended()
                raise

    def _judge(self, call: Call, credentials: Sequence[str], method: Any) -> str | None:
        """Return the token that the answer hands out, if any."""
        if method == flight.FlightMethod.HANDSHAKE:
            return self._shake_hands(call, credentials)
        return self._identify(call, credentials, method)

    def _shake_hands(self, call: Call, credentials: Sequence[str]) -> str:
        """Return the token for a Handshake with Basic or Bearer credentials."""
        basic = _last(credentials, "basic")
        if basic is not None:
            typed = _read_basic(basic)
            if typed is None:
                fault = InvalidTokenError("the Basic credentials are not base64 of user:password")
                self._authenticator.refused(call, fault)
                raise fault
            return self._authenticator.sign_in(*typed, call)
        answer = self._identify(call, credentials, flight.FlightMethod.HANDSHAKE)
        if call.identity is None or call.bearer is None:
            return ""
        return answer or self._authenticator.exchange(call.bearer, call)

    def _identify(self, call: Call, credentials: Sequence[str], method: Any) -> str | None:
        """Set the call's identity and return a renewed token, if it is time for one.

        A call that needs an identity and has none is refused by its handler, which knows where it
        comes from.

        Raises:
            CodedError: The same, where no handler can.
        """
        failure: Exception | None = None
        # A client that was handed a fresh token may send the old one beside it.
        for token in reversed(_tokens(credentials, "bearer")):
            try:
                call.identity = self._authenticator.authenticate(token, call.peer)
            except Exception as exception:
                if not isinstance(exception, CodedError):
                    raise
                failure = failure or exception
                call.bearer = call.bearer or token
                continue
            call.bearer = token
            return self._authenticator.renew(token, call.identity)
        call.credentials_error = failure or InvalidTokenError(_NO_CREDENTIALS)
        if method in _JUDGED_EARLY:
            self._authenticator.refused(call, call.credentials_error)
            raise call.credentials_error
        return None


def _query_id(headers: Mapping[str, str]) -> str:
    """Return the caller's id for this call when it is a sane one, else a new one."""
    for name in ("x-query-id", "x-request-id"):
        if _QUERY_ID.fullmatch(headers.get(name, "")):
            return headers[name]
    return uuid.uuid4().hex


def _tokens(credentials: Sequence[str], scheme: str) -> list[str]:
    """Return the credentials of one scheme, in their order."""
    pairs = (value.strip().partition(" ") for value in credentials)
    return [rest.strip() for name, _, rest in pairs if name.lower() == scheme and rest.strip()]


def _last(credentials: Sequence[str], scheme: str) -> str | None:
    found = _tokens(credentials, scheme)
    return found[-1] if found else None


def _read_basic(encoded: str) -> tuple[str, str] | None:
    """Return user and password of Basic credentials; padding may be missing.

    None when they are not base64 of UTF-8 `user:password`.
    """
    text = ""
    try:
        padded = encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4)
        text = base64.b64decode(padded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        pass
    user, colon, password = text.partition(":")
    return (user, password) if colon and user else None
