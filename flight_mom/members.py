"""The members of a federation as the MoM knows them, read again by what changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from auth import GrantSet, HomeRules, PublicKey
from flight_member.errors import BadRequestError
from flight_member.logs import get_logger
from flight_member.protocol import Report, ReportedUser
from flight_mom.memberstore import MemberStore, StoredMember
from flight_mom.reports import Departure, ReadReport, nothing_reported, read_report
from storage.metastore import Metastore

_log = get_logger(__name__)


class Route(StrEnum):
    """How a member's results reach visitors: widest trust last."""

    RELAY = "relay"
    DIRECT = "direct"


@dataclass(frozen=True, slots=True)
class Member:
    """One member, with what it last reported."""

    name: str
    hosts: tuple[str, ...]
    route: Route
    is_suspended: bool
    uri: str
    joined_at: datetime | None
    leader_number: int
    """Of the last leader that spoke for it; 0 of a member that has one controller."""
    keys: tuple[PublicKey, ...]
    report_version: str
    metastore: Metastore
    users: Mapping[str, ReportedUser]
    rules: HomeRules
    """For the member's own users."""
    vetoes: GrantSet
    """For visitors: what the owner denies them."""
    departed: Mapping[str, Departure]
    """Schemas and catalogs that it has told to be dropped or renamed, by the id of the event."""
    reported_at: float
    """When it was as it reported last, by its own clock."""


class MemberReader:
    """Reads the members of which something changed since the last time; one thread at a time."""

    def __init__(self) -> None:
        self.known: Mapping[str, Member] = MappingProxyType({})
        self._version = -1
        # The digest of each member's last report, and what it was read as.
        self._reports: dict[str, tuple[str, ReadReport]] = {}
        self._expected: dict[str, tuple[str, ReadReport]] = {}

    def expect(self, name: str, digest: str, read: ReadReport) -> None:
        """Take over how a report reads that is being kept, from any thread: it is not read twice.

        Args:
            name: Whose it is.
            digest: The digest of what is kept.
            read: What it was read as.
        """
        self._expected[name] = (digest, read)

    def renew(self, store: MemberStore) -> Mapping[str, Member]:
        """Return all members by name; the same mapping as before when nothing has changed."""
        version = store.version()
        if version == self._version:
            return self.known
        # A version from before is another database: a copy that was put back.
        is_older = version < self._version
        changed = store.all() if is_older else store.changed_since(self._version)
        names = store.names()
        members = {} if is_older else dict(self.known)
        members |= {one.name: self._member(store, one) for one in changed}
        self.known = MappingProxyType({name: members[name] for name in sorted(names)})
        self._reports = {name: self._reports[name] for name in names & self._reports.keys()}
        self._version = version
        return self.known

    def _member(self, store: MemberStore, stored: StoredMember) -> Member:
        read = self._read_report(store, stored)
        return Member(
            name=stored.name,
            hosts=stored.hosts,
            route=Route(stored.route),
            is_suspended=stored.is_suspended,
            uri=stored.uri,
            joined_at=stored.joined_at,
            leader_number=stored.leader_number,
            keys=tuple(PublicKey.from_text(text) for text in stored.public_keys),
            report_version=read.version,
            metastore=read.metastore,
            users=read.users,
            rules=read.rules,
            vetoes=read.vetoes,
            departed=read.departed,
            reported_at=read.read_at,
        )

    def _read_report(self, store: MemberStore, stored: StoredMember) -> ReadReport:
        name, digest = stored.name, stored.report_digest
        if digest is None:
            return nothing_reported(name)
        for kept, read in filter(None, (self._reports.get(name), self._expected.pop(name, None))):
            if kept == digest:
                self._reports[name] = (digest, read)
                return read
        try:
            read = read_report(name, Report.read(store.report(name) or b""))
        except BadRequestError as error:
            # One member's report must not take the federation down; it is asked for another.
            _log.warning("report_unusable", member=name, fault=error.text)
            read = nothing_reported(name)
        self._reports[name] = (digest, read)
        return read
