"""What a data node holds: enough to decide as its controller does, nothing before it was told."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from auth import (
    Effect,
    Grant,
    GrantSet,
    HomeRules,
    KeyRing,
    Principal,
    Privilege,
    RevokedTicketError,
    SigningKey,
)
from auth.userstore import User
from flight_member.errors import BadRequestError, ClusterUnavailableError
from flight_member.memberstate import MemberSnapshot
from flight_member.nodeprotocol import NodeHeartbeatReply, NodeLimits, NodeReplica
from flight_member.nodereplica import node_replica, read_node_replica
from flight_member.nodestate import NodeState
from flight_member.settings import LimitsSection
from storage.metastore import Metastore, Place, TableKind
from storage.names import ObjectName
from tests.auth.factories import make_ticket
from tests.flight_member.factories import HANGZHOU, NOW, Clock
from tests.flight_mom.factories import make_table

KEY, MOM_KEY = SigningKey.generate(), SigningKey.generate()
MOM = "headquarters"


def make_grant(to: str, on: str, privilege: Privilege, effect: Effect = Effect.ALLOW) -> Grant:
    return Grant(1, Principal.parse(to), effect, privilege, ObjectName.parse(on), "home", NOW)


def make_snapshot() -> MemberSnapshot:
    table = replace(make_table(), location="/tables/one", owner=f"user1@{HANGZHOU}")
    view = replace(
        make_table(f"aviation.nyc.late@{HANGZHOU}"), kind=TableKind.VIEW, definition="select"
    )
    place = Place(ObjectName(HANGZHOU, "aviation"), f"user1@{HANGZHOU}")
    user = User("id1", "user1", "hash", False, False, frozenset({"analysts"}), NOW)
    return MemberSnapshot(
        Metastore(HANGZHOU, 7, [table, view], [place]),
        {"user1": user},
        HomeRules(
            GrantSet(
                [
                    make_grant(f"user1@{HANGZHOU}", str(view.name), Privilege.TABLE_READ),
                    make_grant(f"user1@{HANGZHOU}", str(view.name), Privilege.TABLE_WRITE),
                ],
                5,
            )
        ),
        GrantSet([make_grant("VISITORS", str(table.name), Privilege.TABLE_READ, Effect.DENY)], 5),
    )


def make_reply(
    keys: Mapping[str, tuple[str, ...]] | None = None, **changes: object
) -> NodeHeartbeatReply:
    own = {HANGZHOU: (KEY.public_key.to_text(),), MOM: (MOM_KEY.public_key.to_text(),)}
    reply = NodeHeartbeatReply(
        interval_s=1,
        silence_s=15,
        keys=dict(keys or own),
        mom=MOM,
        tables_directory="/tables",
        limits=NodeLimits.model_validate(LimitsSection().model_dump()),
        replica_version="",
        mom_heard_s=0.0,
    )
    return reply.model_copy(update=changes)


def make_state(clock: Clock) -> NodeState:
    return NodeState(HANGZHOU, KeyRing({HANGZHOU: [KEY.public_key]}), clock)


def test_replica_holds_places_and_definitions_and_no_password_and_no_right_to_write() -> None:
    written = node_replica(make_snapshot()).write()
    assert b"hash" not in written
    assert b"WRITE" not in written
    read = read_node_replica(HANGZHOU, NodeReplica.read(written))
    kept = make_snapshot()
    assert [(t.location, t.definition) for t in read.metastore.all_tables()] == [
        (t.location, t.definition) for t in kept.metastore.all_tables()
    ]
    user = read.users["user1"]
    assert (user.id, user.groups, user.changed_at) == ("id1", frozenset({"analysts"}), NOW)
    assert [str(one.principal) for one in read.vetoes] == ["VISITORS"]
    assert read.epoch == 5


def test_replica_of_another_cluster_is_refused() -> None:
    with pytest.raises(BadRequestError):
        read_node_replica("shanghai", node_replica(make_snapshot()))


def test_version_changes_with_every_place() -> None:
    first = make_snapshot()
    assert node_replica(first).version == node_replica(first).version
    assert node_replica(first).version != node_replica(make_snapshot()).version


def test_nothing_is_known_before_a_controller_tells() -> None:
    state = make_state(Clock())
    assert not state.is_ready
    with pytest.raises(ClusterUnavailableError):
        _ = state.snapshot
    state.learn(make_reply())
    assert not state.is_ready
    state.take(node_replica(make_snapshot()))
    assert state.is_ready
    assert state.keys().issuers == {HANGZHOU, MOM}


def test_keys_of_somebody_else_are_refused() -> None:
    state = make_state(Clock())
    with pytest.raises(BadRequestError, match="keys"):
        state.learn(make_reply({"shanghai": (KEY.public_key.to_text(),)}))
    with pytest.raises(BadRequestError, match="keys"):
        state.learn(make_reply({HANGZHOU: ("nonsense",)}))
    assert state.keys().issuers == {HANGZHOU}


def test_visitors_tickets_wait_for_the_first_word_of_the_mom() -> None:
    state, ticket = make_state(Clock()), make_ticket()
    state.learn(make_reply(mom_heard_s=None))
    with pytest.raises(ClusterUnavailableError):
        state.revoked.check(ticket)
    state.learn(make_reply())
    state.revoked.check(ticket)


def test_node_that_hears_nothing_ends_what_has_expired_and_serves_the_rest() -> None:
    clock = Clock()
    state = make_state(clock)
    state.learn(make_reply())
    ticket = make_ticket(issued_at=NOW, expires_at=NOW + timedelta(seconds=300))
    clock.move(200)
    state.require_heard(ticket)
    clock.move(200)
    with pytest.raises(RevokedTicketError):
        state.require_heard(ticket)
    state.learn(make_reply())
    state.require_heard(ticket)


def test_removed_node_serves_nothing_until_it_is_known_again() -> None:
    state = make_state(Clock())
    state.learn(make_reply())
    state.take(node_replica(make_snapshot()))
    state.disown()
    assert not state.is_ready
    with pytest.raises(RevokedTicketError):
        state.require_heard(make_ticket())
    state.learn(make_reply())
    assert state.is_ready
