"""A member's line to the MoM: asking it in a user's name, and reporting to it."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar

import pyarrow as pa

from auth import ExpiredTokenError, InvalidTokenError, KeyRing, PublicKey, SigningKey
from flight_member import protocol
from flight_member.authority import service_token
from flight_member.clock import Moment
from flight_member.errors import (
    BadRequestError,
    ClusterUnavailableError,
    ForwardedError,
    NotSupportedError,
)
from flight_member.joblisting import read_jobs
from flight_member.jobrequests import jobs_request
from flight_member.jobrows import JobRow
from flight_member.jobstore import JobsWanted
from flight_member.listing import ListedTable, name_filter, read_listing
from flight_member.logs import get_logger
from flight_member.membership import Membership
from flight_member.momclock import MomClock
from flight_sql import (
    REUSE_CONNECTION,
    Call,
    CancelStatus,
    Client,
    Endpoint,
    Prepared,
    RemoteError,
    StatementInfo,
    has_agent,
)
from planner import Defaults, ShowGrants
from storage.names import ObjectName

_log = get_logger(__name__)
_ACTION_TIMEOUT_S = 10.0
# Less than half of its life: it must count when it arrives.
_TOKEN_USED = timedelta(seconds=25)
# Nothing that is asked of the MoM but rows takes long; a MoM that hangs must not hang members.
_CALL_TIMEOUT_S = 30.0
_OUT_OF_TIME = {ExpiredTokenError.code, InvalidTokenError.code}

T = TypeVar("T")


class MomLink:
    """Calls the MoM; without a membership every call says that there is none."""

    def __init__(
        self,
        cluster: str,
        key: SigningKey,
        membership: Callable[[], Membership | None],
        now: Moment,
        relayed_agents: Sequence[str] = (),
        *,
        uses_tls: bool,
    ) -> None:
        """Keep what it takes.

        Args:
            cluster: This member.
            key: What it signs with.
            membership: Returns what joining left behind, or None.
            now: The clock.
            relayed_agents: Whose password must not travel further than to the MoM.
            uses_tls: Whether this member's clients come encrypted.
        """
        self._uses_tls = uses_tls
        self._cluster = cluster
        self._key = key
        self._membership = membership
        self._mom_clock = MomClock(now)
        self._relayed_agents = relayed_agents
        self._connection: Client | None = None
        self._connected_to: tuple[tuple[str, ...], bytes | None] | None = None
        # What the ring was made of, and it: one object until one of them changes.
        self._ring: tuple[KeyRing | None, Membership | None, KeyRing] = (None, None, KeyRing())
        # The last token: of which key, for whom, from when.
        self._sealed: tuple[str, str, datetime | None, str] = ("", "", None, "")
        self._opening = threading.Lock()

    def keys(self) -> KeyRing:
        """Return whose signatures count here: this member's own and the MoM's.

        The same ring until a key changes.
        """
        own, membership = self._key.ring(self._cluster), self._membership()
        if membership is None:
            return own
        known_own, known_membership, ring = self._ring
        if known_own is not own or known_membership is not membership:
            mom_keys = map(PublicKey.from_text, membership.mom_keys)
            ring = own.with_issuer(membership.mom, *mom_keys)
            self._ring = (own, membership, ring)
        return ring

    @property
    def mom(self) -> str | None:
        """The MoM's cluster; None before this member has joined."""
        membership = self._membership()
        return None if membership is None else membership.mom

    # In a user's name.

    def prepare(self, call: Call, sql: str, defaults: Defaults) -> Prepared:
        """Have the MoM promise the schemas of a statement; its handle is of no use here."""
        headers = self._headers(call, defaults)
        return self._ask(
            self._nameable(), lambda client: client.prepare(sql, token=call.bearer, headers=headers)
        )

    def execute(
        self, call: Call, sql: str, defaults: Defaults, values: pa.RecordBatch | None = None
    ) -> StatementInfo:
        """Have the MoM execute a statement; its endpoints are returned for the user's client.

        The user's own token goes along. "The same connection" means the MoM's, so it is replaced
        by the MoM's address.

        Raises:
            NotSupportedError: When that address is none to be named to clients that come encrypted.
        """
        membership = self._nameable()
        info = self._ask(
            membership,
            lambda client: client.get_info(
                sql,
                parameters=values,
                token=call.bearer,
                headers=self._headers(call, defaults),
            ),
        )
        mom_uris = self._mom_uris(membership)
        endpoints = [_away_from_home(endpoint, mom_uris) for endpoint in info.endpoints]
        return StatementInfo(info.arrow_schema, endpoints, info.total_records)

    def cancel(self, call: Call, handle: bytes) -> CancelStatus:
        """Have the MoM cancel what runs on a ticket of its making."""
        return self._ask(
            self._joined(),
            lambda client: client.cancel(
                [Endpoint(handle)], token=call.bearer, headers=self._headers(call, None)
            ),
        )

    def renew(self, call: Call, handle: bytes) -> Endpoint:
        """Have the MoM renew a ticket of its making; see `execute` for its locations."""
        membership = self._nameable()
        endpoint = self._ask(
            membership,
            lambda client: client.renew(
                Endpoint(handle), token=call.bearer, headers=self._headers(call, None)
            ),
        )
        return _away_from_home(endpoint, self._mom_uris(membership))

    def listed_tables(self, call: Call, parent: ObjectName | None) -> Iterator[ListedTable]:
        """Yield what the caller may read on other clusters, at or below a place of theirs.

        Without a place, nothing when the MoM is away: what is at home is listed as ever.

        Raises:
            ClusterUnavailableError: When a place is named and the MoM does not answer.
            ForwardedError: When a place is named and the MoM refuses.
        """
        if parent is None and (self._membership() is None or call.bearer is None):
            return
        request = protocol.ListingRequest(
            parent=None if parent is None else str(parent), without=self._cluster
        )
        membership = self._joined()
        try:
            listing = self._ask(
                membership,
                lambda client: client.action(
                    protocol.LISTING,
                    request.write(),
                    token=call.bearer,
                    headers=self._headers(call, None),
                ),
            )
        except (ClusterUnavailableError, ForwardedError) as error:
            if parent is not None:
                raise
            _log.warning("mom_listing_failed", code=error.code, query_id=call.query_id)
            return
        yield from read_listing(listing)

    def jobs(self, call: Call, wanted: JobsWanted) -> list[JobRow]:
        """Return the caller's jobs on other clusters; none where there is no MoM, or it is away."""
        if self._membership() is None or call.bearer is None:
            return []
        request = jobs_request(wanted, without=self._cluster)
        try:
            told = self._ask(
                self._joined(),
                lambda client: client.action(
                    protocol.JOBS,
                    request.write(),
                    token=call.bearer,
                    headers=(("x-query-id", call.query_id),),
                ),
            )
        except (ClusterUnavailableError, ForwardedError) as error:
            _log.warning("mom_jobs_failed", code=error.code, query_id=call.query_id)
            return []
        return read_jobs(
            told, is_shown=lambda row: row.cluster != self._cluster and wanted.takes(row)
        )

    def granted(self, call: Call, statement: ShowGrants) -> pa.Table | None:
        """Return the MoM's answer to SHOW GRANTS; None where there is no MoM, or it is away."""
        sql = "SHOW GRANTS"
        if statement.principal is not None:
            sql += f" FOR {statement.principal}"
        if statement.securable is not None:
            sql += f" ON {statement.securable}"
        found = self.told(call, sql)
        if found is None:
            return None
        fits = name_filter(statement.like)
        return found.filter(pa.array(map(fits, found["securable"].to_pylist()), pa.bool_()))

    def told(self, call: Call, sql: str) -> pa.Table | None:
        """Return the MoM's answer to a listing; None where there is no MoM, or it gives none."""
        if self._membership() is None:
            return None
        # How the caller's own client wants its rows is none of the MoM's business here.
        headers = (("x-query-id", call.query_id),)
        try:
            return self._ask(
                self._joined(),
                lambda client: client.query(sql, token=call.bearer, headers=headers).read_all(),
            )
        except (ClusterUnavailableError, ForwardedError) as error:
            _log.warning("mom_not_told", code=error.code, query_id=call.query_id)
            return None

    # In this member's name.

    def action(self, kind: str, body: bytes) -> bytes:
        """Send one of the federation's own messages, signed by this member.

        When the MoM finds the signature out of its time, it is asked what time it is.

        Raises:
            RemoteError: When the MoM refuses, or does not answer.
        """
        membership = self._joined()
        try:
            return self._signed_action(membership, kind, body)
        except RemoteError as error:
            if error.code not in _OUT_OF_TIME or not self._learn_clock(membership):
                raise
        return self._signed_action(membership, kind, body)

    def _signed_action(self, membership: Membership, kind: str, body: bytes) -> bytes:
        token = self._service_token(membership.mom)

        def act() -> bytes:
            client = self._client(membership)
            return client.action(kind, body, token=token, timeout_s=_ACTION_TIMEOUT_S)

        try:
            return act()
        except RemoteError as error:
            # What a member says in its own name can be said twice, and to any replica.
            if error.is_answer or len(membership.uris) == 1:
                raise
        return act()

    def _service_token(self, mom: str) -> str:
        """Return a token of this member's present key; the MoM checks one it knows in no time."""
        now, kid = self._mom_clock(), self._key.kid
        known_kid, known_mom, sealed_at, token = self._sealed
        is_fresh = sealed_at is not None and timedelta() <= now - sealed_at < _TOKEN_USED
        if not is_fresh or (known_kid, known_mom) != (kid, mom):
            token = service_token(self._key, issuer=self._cluster, audience=mom, now=now)
            self._sealed = (kid, mom, now, token)
        return token

    def _learn_clock(self, membership: Membership) -> bool:
        try:
            body = self._client(membership).action(protocol.CLOCK, timeout_s=_ACTION_TIMEOUT_S)
            return self._mom_clock.learn(protocol.ClockReply.read(body).now)
        except (RemoteError, BadRequestError):
            return False  # of a version that does not tell

    def close(self) -> None:
        """Close the connection, if there is one."""
        with self._opening:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _ask(self, membership: Membership, ask: Callable[[Client], T]) -> T:
        try:
            return ask(self._client(membership))
        except RemoteError as error:
            refusal = error
        if not refusal.is_answer:
            # The connection's failure, not an answer; the address is nobody's business.
            raise ClusterUnavailableError("the MoM does not answer; home tables are served as ever")
        raise ForwardedError(
            refusal.code, refusal.status, refusal.text, retryable=refusal.retryable
        )

    def _client(self, membership: Membership) -> Client:
        place = (membership.uris, membership.tls_root_certs)
        with self._opening:
            if self._connection is None or self._connected_to != place:
                self._connected_to = place
                self._connection = Client(
                    membership.uris,
                    tls_root_certs=membership.tls_root_certs,
                    call_timeout_s=_CALL_TIMEOUT_S,
                    keeps_session=False,
                )
            return self._connection

    def _mom_uris(self, membership: Membership) -> tuple[str, ...]:
        """Return where clients reach the MoM: the address that has just answered, then others."""
        return tuple(dict.fromkeys((self._client(membership).uri, *membership.uris)))

    def _headers(self, call: Call, defaults: Defaults | None) -> tuple[tuple[str, str], ...]:
        """Return the headers that make the MoM read a statement as it was meant at home."""
        is_relayed = has_agent(call.headers, self._relayed_agents)
        named = {
            "x-query-id": call.query_id,
            "x-route": "relay" if is_relayed else call.headers.get("x-route"),
            **call.profile.headers(),
        }
        if defaults is not None:
            named |= {
                "x-cluster": defaults.cluster,
                "x-catalog": defaults.catalog,
                "x-schema": defaults.schema,
            }
        return tuple((name, value) for name, value in named.items() if value)

    def _joined(self) -> Membership:
        membership = self._membership()
        if membership is None:
            raise ClusterUnavailableError(
                f"{self._cluster} has not joined a federation; run flight-member join"
            )
        return membership

    def _nameable(self) -> Membership:
        """Return the membership if answers may name the MoM's address.

        Before it is asked: a change must not be carried out and then be refused.
        """
        membership = self._joined()
        if self._uses_tls and membership.tls_root_certs is None:
            raise NotSupportedError(
                f"{self._cluster} reaches the MoM without encryption, and clients that come "
                "encrypted are not sent there; an administrator gives the MoM TLS, or "
                f"{self._cluster} its encrypted address in mom.address"
            )
        return membership


def _away_from_home(endpoint: Endpoint, mom_uris: tuple[str, ...]) -> Endpoint:
    """Return an endpoint of the MoM's as it is read from here: "the same connection" is named."""
    named = tuple(uri for uri in endpoint.locations if uri != REUSE_CONNECTION)
    return replace(endpoint, locations=(*named, *mom_uris))
