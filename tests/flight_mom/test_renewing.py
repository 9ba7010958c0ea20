"""The MoM's snapshot follows what changed; it is always what reading everything anew would give."""

import random
from collections.abc import Callable
from contextlib import closing

import pytest

from auth import Effect, GrantSet, Principal, Privilege, SigningKey, grantstore
from auth.grantstore import GrantStore
from auth.groupstore import GroupStore
from auth.policystore import PolicyStore
from auth.revocationstore import RevocationStore
from flight_member import protocol
from flight_member.authority import ServiceCaller
from flight_mom.memberstore import MemberStore
from flight_mom.topology import Topology
from storage.names import ObjectName
from tests.flight_member.factories import HANGZHOU, NOW, SHANGHAI
from tests.flight_mom.factories import FLIGHTS, MOM, Mom, make_report, make_table, make_user

USERS = [Principal.parse(text) for text in ("user1@shanghai", "user3@shanghai", "GROUP traders")]
OBJECTS = [ObjectName.parse(text) for text in (FLIGHTS, "aviation.nyc@hangzhou", "*@hangzhou")]


def require_followed(mom: Mom) -> None:
    """Fail unless the snapshot says what a MoM that starts now would know."""
    fresh = Topology(MOM, mom.database, mom.settings.heartbeat, mom.clock, mom.clock.ticks)
    fresh.trust(mom.key.public_key)
    followed, anew = mom.topology.federation, fresh.federation
    assert followed.epoch == anew.epoch
    assert sorted(map(repr, followed.grants)) == sorted(map(repr, anew.grants))
    assert followed.grants.mom_groups == anew.grants.mom_groups
    assert set(followed.revocations) == set(anew.revocations)
    assert sorted(followed.keys, key=repr) == sorted(anew.keys, key=repr)
    assert list(followed.members) == list(anew.members)
    for name, member in anew.members.items():
        mine = followed.members[name]
        assert mine.report_version == member.report_version
        assert (mine.uri, mine.route, mine.is_suspended) == (
            member.uri,
            member.route,
            member.is_suspended,
        )


def change_at_random(chance: random.Random, connection: object) -> None:
    grants, groups = GrantStore(connection), GroupStore(connection)  # type: ignore[arg-type]
    principal, securable = chance.choice(USERS), chance.choice(OBJECTS)
    privilege = Privilege.for_level(securable.level)
    match chance.randrange(8):
        case 0 | 1 | 2 | 3:
            effect = chance.choice(list(Effect))
            now = chance.choice([NOW, NOW.replace(year=2027)])
            grants.add(principal, effect, privilege, securable, granted_by="x", granted_at=now)
        case 4:
            grants.remove(principal, privilege, securable)
        case 5:
            grants.remove_allows_to(principal)
        case 6:
            grants.remove_allows_on(securable)
        case _:
            change = chance.choice([groups.add_member, groups.remove_member])
            change("traders", chance.choice(USERS[:2]))


@pytest.mark.parametrize("seed", range(5))
def test_snapshot_follows_whatever_changes(federation: Mom, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  the same every time, not secret
    federation.ask("CREATE GROUP traders")
    for _ in range(25):
        with federation.database.change() as connection:
            for _ in range(chance.randrange(1, 4)):
                change_at_random(chance, connection)
        federation.topology.refresh()
        require_followed(federation)


def test_change_by_another_process_is_noticed(federation: Mom) -> None:
    assert not federation.topology.notice()
    before = federation.topology.federation
    with closing(federation.home.open_database()) as database, database.change() as connection:
        GrantStore(connection).add(
            USERS[0],
            Effect.ALLOW,
            Privilege.TABLE_READ,
            OBJECTS[0],
            granted_by="x",
            granted_at=federation.clock(),
        )
    assert federation.topology.federation is before
    assert federation.topology.notice()
    require_followed(federation)
    assert not federation.topology.notice()


def replace_keys(mom: Mom) -> None:
    with mom.database.change() as connection:
        keys = [SigningKey.generate().public_key]
        MemberStore(connection).set_keys(SHANGHAI, keys, mom.clock())
    mom.topology.refresh()


@pytest.mark.parametrize(
    "change",
    [
        lambda mom: mom.change_members("set", HANGZHOU, route="direct"),
        lambda mom: mom.change_members("suspend", HANGZHOU),
        lambda mom: mom.change_members("remove", SHANGHAI),
        lambda mom: mom.change_members("add", "beijing"),
        lambda mom: mom.join("beijing", make_report("beijing")),
        lambda mom: mom.join(SHANGHAI),
        replace_keys,
        lambda mom: mom.act(
            protocol.REPORT,
            make_report(HANGZHOU, [make_table("a.b.c@hangzhou")], [make_user("user9")]),
            ServiceCaller(HANGZHOU),
        ),
    ],
)
def test_snapshot_follows_the_membership(federation: Mom, change: Callable[[Mom], object]) -> None:
    federation.ask(f"GRANT TABLE_READ ON {FLIGHTS} TO user1@shanghai")
    before = federation.topology.federation
    change(federation)
    require_followed(federation)
    assert federation.topology.federation is not before


def test_only_the_members_that_changed_are_read(federation: Mom) -> None:
    kept = federation.member(HANGZHOU)
    federation.change_members("suspend", SHANGHAI)
    assert federation.member(HANGZHOU) is kept


def test_nothing_is_replaced_when_nothing_changed(federation: Mom) -> None:
    before = federation.topology.federation
    federation.topology.refresh()
    assert federation.topology.federation is before


def test_snapshot_too_old_to_follow_is_read_anew(
    federation: Mom, monkeypatch: pytest.MonkeyPatch
) -> None:
    federation.ask(f"GRANT TABLE_READ ON {FLIGHTS} TO user1@shanghai")
    monkeypatch.setattr(grantstore, "_KEPT_EPOCHS", 2)
    with federation.database.change() as connection:
        grants = GrantStore(connection)
        grants.remove(USERS[0], Privilege.TABLE_READ, OBJECTS[0])
        for _ in range(3):
            grants.bump()
        assert grants.changed_since(federation.topology.federation.epoch) is None
    federation.topology.refresh()
    require_followed(federation)
    assert len(federation.topology.federation.grants) == 0


def test_older_database_that_was_put_back_is_read_anew(federation: Mom) -> None:
    federation.ask(f"GRANT TABLE_READ ON {FLIGHTS} TO user1@shanghai")
    newer = GrantSet(federation.topology.federation.grants, epoch=1000)
    with federation.database.read() as connection:
        renewed = PolicyStore(connection).renew(newer)
        assert renewed.epoch == GrantStore(connection).epoch()
    assert len(renewed) == 1


def test_numbers_of_forgotten_revocations_are_not_used_again(federation: Mom) -> None:
    federation.ask(f"DENY TABLE_READ ON {FLIGHTS} TO user1@shanghai")
    with federation.database.change() as connection:
        store = RevocationStore(connection)
        (first,) = store.after(0)
        store.forget_before(federation.clock().replace(year=2030))
    federation.ask(f"DENY TABLE_READ ON {FLIGHTS} TO user3@shanghai")
    principals = {str(one.principal) for one in federation.topology.federation.revocations}
    assert "user3@shanghai" in principals
    with federation.database.read() as connection:
        assert min(RevocationStore(connection).after(0)) > first
