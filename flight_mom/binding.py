"""Sessions that count from one address alone: the first from which they were used.

A Handshake does not tell the client's address, so that a session is bound by the first call that
reaches a handler. That is always the client's own call at the MoM: nobody is sent to a member
before it. Where it is bound is kept in the database, so that every replica knows it and a
restart forgets nothing; a renewed session carries its address itself.
"""

from collections.abc import Sequence

from auth import InvalidTokenError, SessionToken
from auth.bindingstore import BindingStore
from flight_member.clock import Moment
from flight_member.sources import Sources
from flight_member.statestore import Database
from flight_sql import Call

_MOST = 10_000


class AddressBinding:
    """Binds sessions, and refuses them from elsewhere. Safe to use from many threads."""

    def __init__(self, database: Database, trusted_proxies: Sequence[str], now: Moment) -> None:
        self._database = database
        self._sources = Sources(trusted_proxies)
        self._now = now
        # An address never changes once it is known, so that nothing here is ever out of date.
        self._known: dict[str, str] = {}

    def check(self, session: SessionToken, call: Call) -> None:
        """Bind a session to the address of a call, or refuse the call.

        Raises:
            InvalidTokenError: When the session is bound to another address.
        """
        source = self._sources.of(call)
        if (self.address_of(session) or self._bind(session, source)) != source:
            raise InvalidTokenError("this session counts at another address; sign in again here")

    def address_of(self, session: SessionToken) -> str | None:
        """Return the address that a session is bound to; None before its first use."""
        if session.address is not None:
            return session.address
        token_id = session.identity.token_id
        known = self._known.get(token_id)
        if known is None:
            with self._database.read() as connection:
                known = BindingStore(connection).find(token_id)
            if known is not None:
                self._remember(token_id, known)
        return known

    def _bind(self, session: SessionToken, source: str) -> str:
        identity = session.identity
        with self._database.change() as connection:
            store = BindingStore(connection)
            store.forget_before(self._now())
            address = store.bind(identity.token_id, source, identity.expires_at)
        self._remember(identity.token_id, address)
        return address

    def _remember(self, token_id: str, address: str) -> None:
        if len(self._known) >= _MOST:
            self._known = {}
        self._known[token_id] = address
