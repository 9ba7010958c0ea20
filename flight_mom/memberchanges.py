"""What administrators change of the membership, each change one transaction with its audit rows."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from auth import AuditRecord, JoinToken
from flight_member import protocol
from flight_member.administrators import signed_in
from flight_member.errors import BadRequestError, NotFoundError
from flight_member.locations import read_hosts, read_location
from flight_mom.departing import end_tickets
from flight_mom.members import Route
from flight_mom.memberstore import MemberStore, StoredMember
from flight_mom.office import Office
from flight_sql import Call
from storage.names import InvalidNameError, fold_name

_JOIN_TOKEN_LIFE = timedelta(hours=24)
_MAX_SHOWN, _MAX_RULE = 48, 200


class MemberChanges:
    """Adds, sets, suspends, resumes and removes members."""

    def __init__(self, office: Office, make_token: Callable[[str], JoinToken]) -> None:
        """Keep what it takes; `make_token` returns a new join token for a member."""
        self._office = office
        self._make_token = make_token

    def carry_out(self, call: Call, body: bytes) -> bytes:
        """Answer the action of an administrator; refusals are audited as well.

        Raises:
            PermissionDeniedError: When the caller is no administrator.
            BadRequestError: When it asks for what there is not.
            NotFoundError: When there is no such member.
        """
        request = protocol.MembersRequest.read(body)
        caller, name = signed_in(call), _read_name(request.cluster)
        action = f"member {request.action}"[:_MAX_SHOWN]
        record = self._office.admit(caller, call.peer, action, name)
        rule = (request.route or " ".join(request.hosts))[:_MAX_RULE]
        return self._change_members(request, name, replace(record, rule=rule)).write()

    def _change_members(
        self, request: protocol.MembersRequest, name: str, record: AuditRecord
    ) -> protocol.MembersReply:
        reply = protocol.MembersReply(cluster=name, state="done")
        with self._office.change() as stores:
            members, audit = stores.members, stores.audit
            stored = members.find(name)
            if request.action == protocol.MembersRequest.ADD:
                reply = self._add(members, stored, name, request, record.at)
            elif stored is None:
                raise NotFoundError(f"{name} is no member; flight-mom clusters lists them")
            elif request.action == protocol.MembersRequest.REMOVE:
                members.remove(name)
                stores.states.forget(name)
                stores.table_ids.forget_all(name)
                # Whoever joins under that name later is somebody else, and inherits nothing.
                audit.append_all(
                    replace(record, action="revoke", rule=f"{grant}: removed")
                    for grant in stores.grants.remove_allows_of(name)
                )
                known = self._office.federation.members.get(name)
                users = known.users if known is not None else ()
                end_tickets(stores.grants, stores.revocations, name, record.at, users)
            else:
                _change(members, stored, request)
                if request.action == protocol.MembersRequest.SUSPEND:
                    end_tickets(stores.grants, stores.revocations, name, record.at)
            audit.append(record)
        self._office.topology.refresh()
        self._office.topology.states.note()
        member = self._office.federation.members.get(name)
        state = "removed" if member is None else str(self._office.topology.status(member))
        return reply.model_copy(update={"state": state})

    def _add(
        self,
        members: MemberStore,
        stored: StoredMember | None,
        name: str,
        request: protocol.MembersRequest,
        now: datetime,
    ) -> protocol.MembersReply:
        """Name a member, or give one a new join token; one that has joined may join again."""
        if name == self._office.cluster:
            raise BadRequestError(f"{name} is the MoM itself; choose another name")
        hosts = read_hosts(request.hosts) or (stored.hosts if stored else ("127.0.0.1",))
        if stored is None:
            members.add(name, hosts, str(_read_route(request.route)), now)
        else:
            _change(members, stored, request.model_copy(update={"action": request.SET}))
        token = self._make_token(name)
        expires_at = now + _JOIN_TOKEN_LIFE
        members.add_join_token(token.digest, name, expires_at)
        return protocol.MembersReply(
            cluster=name,
            state="joining",
            join_token=token.text,
            expires_at=expires_at.astimezone(UTC).isoformat(timespec="seconds"),
        )


def _change(members: MemberStore, stored: StoredMember, request: protocol.MembersRequest) -> None:
    kinds, name = protocol.MembersRequest, stored.name
    match request.action:
        case kinds.SET:
            if request.route is not None:
                members.set_route(name, str(_read_route(request.route)))
            if request.hosts:
                hosts = read_hosts(request.hosts)
                members.set_hosts(name, hosts)
                if stored.uri and read_location(stored.uri)[1] not in hosts:
                    # Nobody is sent there any more; the member is back once it answers elsewhere.
                    members.set_uri(name, "")
        case kinds.SUSPEND | kinds.RESUME:
            members.set_suspended(name, suspended=request.action == kinds.SUSPEND)
        case _:
            raise BadRequestError("action must be add, set, suspend, resume or remove")


def _read_name(text: str) -> str:
    try:
        return fold_name(text)
    except InvalidNameError as error:
        fault = str(error)
    raise BadRequestError(fault)


def _read_route(text: str | None) -> Route:
    if text is None:
        return Route.RELAY
    if text not in set(Route):
        raise BadRequestError(f"route must be {' or '.join(Route)}")
    return Route(text)
