import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import Engine

from auth import (
    AlreadyExistsError,
    AuditRecord,
    AuditUnavailableError,
    Effect,
    Grant,
    NotFoundError,
    Principal,
    Privilege,
    Revocation,
    UnsupportedGrantError,
    auditstore,
    grantstore,
    groupstore,
    revocationstore,
    userstore,
)
from auth.auditstore import AuditStore
from auth.grantstore import GrantStore
from auth.groupstore import GroupStore
from auth.revocationstore import RevocationStore
from auth.userstore import UserStore
from storage.names import ObjectName
from tests.auth.factories import NOW, QUOTE, later, make_grant
from tests.databases import state_url

USER = Principal.parse("user1@shanghai")
STORES = (auditstore, grantstore, groupstore, revocationstore, userstore)


def set_pragmas(connection: Any, _entry: object) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "busy_timeout=10000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@pytest.fixture(name="engine")
def make_engine(tmp_path: Path) -> Iterator[Engine]:
    engine = create_engine(state_url(tmp_path))
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", set_pragmas)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    for store in STORES:
        store.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture(name="connection")
def begin(engine: Engine) -> Iterator[Connection]:
    with engine.begin() as connection:
        yield connection


def add(store: GrantStore, grant: Grant) -> Grant:
    return store.add(
        principal=grant.principal,
        effect=grant.effect,
        privilege=grant.privilege,
        securable=grant.securable,
        granted_by=grant.granted_by,
        granted_at=grant.granted_at,
        until=grant.until,
    )


def make_record(**changes: Any) -> AuditRecord:
    values = {"at": NOW, "actor": "admin@mom", "source": "10.0.0.1", "action": "grant"}
    return AuditRecord(**{**values, "allowed": True, **changes})


def test_grants_come_back_as_they_were_given(connection: Connection) -> None:
    store = GrantStore(connection)
    given = [
        make_grant(to, on, effect, until)
        for to in ("user1@shanghai", "GROUP analysts@shanghai", "GROUP traders")
        for on in ("*@hangzhou", "a@hangzhou", "a.b@hangzhou", "a.b.c@hangzhou")
        for effect in Effect
        for until in (None, later(0.000001))[:: 1 if effect is Effect.ALLOW else -1][:1]
    ]
    kept = [add(store, grant) for grant in given]
    assert store.all() == kept
    assert [grant.key for grant in kept] == [grant.key for grant in given]
    assert [grant.until for grant in kept] == [grant.until for grant in given]
    assert len({grant.id for grant in kept}) == len(given)


def test_the_same_grant_again_replaces_its_until_and_keeps_its_id(connection: Connection) -> None:
    store = GrantStore(connection)
    first = add(store, make_grant(until=later(60)))
    second = add(store, make_grant())
    assert second.id == first.id
    assert store.all() == [second]
    assert second.until is None


def test_an_allow_and_a_deny_stand_side_by_side(connection: Connection) -> None:
    store = GrantStore(connection)
    allow, deny = (add(store, make_grant(effect=effect)) for effect in Effect)
    assert store.all() == [allow, deny]
    assert store.remove(USER, Privilege.TABLE_READ, QUOTE, Effect.DENY) == 1
    assert store.all() == [allow]
    add(store, make_grant(effect=Effect.DENY))
    assert store.remove(USER, Privilege.TABLE_READ, QUOTE) == 2
    assert store.all() == []


def test_every_change_of_grants_bumps_the_epoch_and_nothing_else_does(
    connection: Connection,
) -> None:
    store = GrantStore(connection)
    assert store.epoch() == 0
    add(store, make_grant())
    assert store.epoch() == 1
    add(store, make_grant())
    assert store.epoch() == 2
    assert store.remove(USER, Privilege.SCHEMA_READ, QUOTE) == 0
    assert store.epoch() == 2
    assert store.remove(USER, Privilege.TABLE_READ, QUOTE) == 1
    assert store.epoch() == 3
    assert store.bump() == 4
    store.all()
    assert store.epoch() == 4


def test_many_grants_are_changed_or_taken_away_in_one_step(connection: Connection) -> None:
    store = GrantStore(connection)
    tables = [f"a.b.t{number}@hangzhou" for number in range(1_200)]
    store.add_all(make_grant(on=table) for table in tables)
    kept, epoch = store.all(), store.epoch()
    changed = [replace(grant, until=later(60), granted_by="other") for grant in kept[::2]]
    store.change_all(changed)
    assert store.epoch() == epoch + 1
    assert store.all() == sorted([*changed, *kept[1::2]], key=lambda grant: grant.id)
    store.remove_all(changed)
    assert store.epoch() == epoch + 2
    assert store.all() == kept[1::2]
    found = store.changed_since(epoch)
    assert found is not None
    assert [one.key for one in found.removed] == [one.key for one in changed]
    store.remove_all([])
    assert store.epoch() == epoch + 2


def test_a_new_grant_never_gets_the_id_of_a_removed_one(connection: Connection) -> None:
    store = GrantStore(connection)
    first = add(store, make_grant())
    store.remove(USER, Privilege.TABLE_READ, QUOTE)
    assert add(store, make_grant()).id > first.id


def test_a_privilege_that_does_not_fit_is_refused_and_changes_nothing(
    connection: Connection,
) -> None:
    store = GrantStore(connection)
    with pytest.raises(UnsupportedGrantError):
        store.add(USER, Effect.ALLOW, Privilege.SCHEMA_READ, QUOTE, granted_by="x", granted_at=NOW)
    assert (store.all(), store.epoch()) == ([], 0)


def test_dropping_a_schema_takes_its_allows_along_and_leaves_its_denies(
    connection: Connection,
) -> None:
    store = GrantStore(connection)
    on = ("a.b.c@hangzhou", "a.b@hangzhou", "a@hangzhou", "a.x.c@hangzhou", "a.b.c@beijing")
    for name in on:
        for effect in Effect:
            add(store, make_grant(on=name, effect=effect))
    epoch = store.epoch()
    removed = store.remove_allows_on(ObjectName.parse("a.b@hangzhou"))
    assert [str(grant.securable) for grant in removed] == list(on[:2])
    assert {grant.effect for grant in removed} == {Effect.ALLOW}
    assert store.epoch() == epoch + 1
    left = [(grant.effect, str(grant.securable)) for grant in store.all()]
    assert sorted(left) == sorted(
        [(Effect.DENY, name) for name in on] + [(Effect.ALLOW, name) for name in on[2:]]
    )
    assert store.remove_allows_on(ObjectName.parse("a.b@hangzhou")) == []
    assert store.epoch() == epoch + 1


def test_removing_a_user_takes_their_allows_along_and_leaves_their_denies(
    connection: Connection,
) -> None:
    store = GrantStore(connection)
    for to in ("user1@shanghai", "user1@beijing", "GROUP user1@shanghai"):
        for effect in Effect:
            add(store, make_grant(to, effect=effect))
    assert [grant.principal for grant in store.remove_allows_to(USER)] == [USER]
    assert len(store.all()) == 5
    assert [g.effect for g in store.all() if g.principal == USER] == [Effect.DENY]


@pytest.mark.parametrize("stage", ["after the change", "after the audit row"])
def test_a_change_and_its_audit_row_are_undone_together(engine: Engine, stage: str) -> None:
    with engine.begin() as connection:
        add(GrantStore(connection), make_grant())
        UserStore(connection).add("user1", "hash")
        AuditStore(connection).append(make_record())

    class PowerCutError(Exception):
        pass

    def change() -> None:
        with engine.begin() as connection:
            GrantStore(connection).remove(USER, Privilege.TABLE_READ, QUOTE)
            add(GrantStore(connection), make_grant("user2@shanghai"))
            UserStore(connection).set_groups("user1", ["traders"])
            GroupStore(connection).create("traders")
            RevocationStore(connection).append(Revocation(2, NOW, USER))
            if stage == "after the audit row":
                AuditStore(connection).append(make_record(action="revoke"))
            raise PowerCutError

    with pytest.raises(PowerCutError):
        change()
    with engine.connect() as connection:
        assert [grant.principal for grant in GrantStore(connection).all()] == [USER]
        assert GrantStore(connection).epoch() == 1
        assert [user.groups for user in UserStore(connection).all()] == [frozenset()]
        assert GroupStore(connection).all() == {}
        assert len(RevocationStore(connection).all()) == 0
        assert [record.action for record in AuditStore(connection).tail()] == ["grant"]


def test_an_audit_row_that_cannot_be_written_undoes_the_change(engine: Engine) -> None:
    def change() -> None:
        with engine.begin() as connection:
            add(GrantStore(connection), make_grant())
            AuditStore(connection).append(make_record(actor=None))

    with pytest.raises(AuditUnavailableError):
        change()
    with engine.connect() as connection:
        assert (GrantStore(connection).all(), GrantStore(connection).epoch()) == ([], 0)


def test_others_see_a_change_when_it_is_committed_and_no_earlier(engine: Engine) -> None:
    with engine.connect() as reader:
        with engine.begin() as writer:
            add(GrantStore(writer), make_grant())
            assert GrantStore(reader).epoch() == 0
            assert GrantStore(reader).all() == []
            reader.rollback()
        assert GrantStore(reader).epoch() == 1
        assert len(GrantStore(reader).all()) == 1


def test_changes_from_many_threads_each_bump_the_epoch(engine: Engine) -> None:
    with engine.begin() as connection:
        GrantStore(connection).bump()

    def change(number: int) -> None:
        for index in range(5):
            with engine.begin() as connection:
                add(GrantStore(connection), make_grant(f"user{number}x{index}@shanghai"))

    threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with engine.connect() as connection:
        assert GrantStore(connection).epoch() == 21
        assert len(GrantStore(connection).all()) == 20


def test_users_come_back_as_they_were_given(connection: Connection) -> None:
    store = UserStore(connection)
    root = store.add("Root", "hash-1", is_admin=True, groups=["Ops", "analysts"], now=NOW)
    user = store.add("user1", "hash-2", now=NOW)
    assert store.all() == [root, user]
    assert store.find("ROOT") == root
    assert root.groups == {"ops", "analysts"}
    assert (root.is_admin, user.is_admin, user.is_locked) == (True, False, False)
    assert store.find("nobody") is None
    assert "hash" not in repr(root)


def test_every_change_of_a_user_notes_its_time(connection: Connection) -> None:
    store = UserStore(connection)
    store.add("user1", "hash", now=NOW)
    store.set_password("user1", "other", now=later(1))
    found = store.find("user1")
    assert found is not None
    assert (found.password_hash, found.changed_at) == ("other", later(1))
    store.set_locked("USER1", True, now=later(2))
    found = store.find("user1")
    assert found is not None
    assert (found.is_locked, found.changed_at) == (True, later(2))
    store.set_groups("user1", ["a", "b"], now=later(3))
    store.set_groups("user1", ["b", "c"], now=later(4))
    found = store.find("user1")
    assert found is not None
    assert (found.groups, found.changed_at) == (frozenset({"b", "c"}), later(4))
    store.set_locked("user1", False)
    found = store.find("user1")
    assert found is not None
    assert found.changed_at > later(4)


def test_a_user_who_comes_back_has_no_groups_of_before(connection: Connection) -> None:
    store = UserStore(connection)
    store.add("user1", "hash", groups=["ops"])
    store.remove("user1")
    assert store.all() == []
    assert store.add("user1", "hash").groups == frozenset()
    assert store.all()[0].groups == frozenset()


def test_a_user_is_added_once_and_only_known_users_are_changed(connection: Connection) -> None:
    store = UserStore(connection)
    store.add("user1", "hash")
    with pytest.raises(AlreadyExistsError):
        store.add("USER1", "hash")
    changes: list[Callable[[], object]] = [
        lambda: store.remove("user2"),
        lambda: store.set_password("user2", "hash"),
        lambda: store.set_locked("user2", True),
        lambda: store.set_groups("user2", ["a"]),
        lambda: store.add("not a name", "hash"),
        lambda: store.add("user3", "hash", groups=["not a name"]),
    ]
    for change in changes:
        with pytest.raises(NotFoundError):
            change()
    assert [user.name for user in store.all()] == ["user1"]


def test_groups_of_the_federation_hold_users_of_any_cluster(connection: Connection) -> None:
    store = GroupStore(connection)
    store.create("Traders")
    store.create("empty")
    store.add_member("traders", USER)
    store.add_member("TRADERS", Principal.parse("user9@beijing"))
    members = frozenset({"user1@shanghai", "user9@beijing"})
    assert store.all() == {"empty": frozenset(), "traders": members}
    store.remove_member("traders", USER)
    assert store.all()["traders"] == {"user9@beijing"}


def test_every_change_of_a_group_bumps_the_epoch(connection: Connection) -> None:
    store, grants = GroupStore(connection), GrantStore(connection)
    seen = [grants.epoch()]
    changes: list[Callable[[], object]] = [
        lambda: store.create("traders"),
        lambda: store.add_member("traders", USER),
        lambda: store.remove_member("traders", USER),
        lambda: store.drop("traders"),
    ]
    for change in changes:
        change()
        seen.append(grants.epoch())
    assert seen == sorted(set(seen))


def test_putting_somebody_where_they_are_changes_nothing(connection: Connection) -> None:
    store, grants = GroupStore(connection), GrantStore(connection)
    store.create("traders")
    store.add_member("traders", USER)
    epoch = grants.epoch()
    store.add_member("traders", USER)
    store.remove_member("traders", Principal.parse("user9@beijing"))
    assert grants.epoch() == epoch


def test_dropping_a_group_takes_its_allows_along_and_leaves_its_denies(
    connection: Connection,
) -> None:
    store, grants = GroupStore(connection), GrantStore(connection)
    store.create("traders")
    store.add_member("traders", USER)
    for effect in Effect:
        add(grants, make_grant("GROUP traders", effect=effect))
        add(grants, make_grant("GROUP traders@shanghai", effect=effect))
    store.drop("traders")
    assert store.all() == {}
    assert [(str(g.principal), g.effect) for g in grants.all()] == [
        ("GROUP traders@shanghai", Effect.ALLOW),
        ("GROUP traders", Effect.DENY),
        ("GROUP traders@shanghai", Effect.DENY),
    ]


def test_only_known_groups_are_changed_and_only_users_are_in_them(connection: Connection) -> None:
    store = GroupStore(connection)
    store.create("traders")
    with pytest.raises(AlreadyExistsError):
        store.create("TRADERS")
    changes: list[Callable[[], object]] = [
        lambda: store.drop("others"),
        lambda: store.add_member("others", USER),
        lambda: store.remove_member("others", USER),
        lambda: store.create("not a name"),
        lambda: store.add_member("traders", Principal.parse("GROUP g@shanghai")),
    ]
    for change in changes:
        with pytest.raises(NotFoundError):
            change()


def test_audit_records_come_back_as_they_were_written(connection: Connection) -> None:
    store = AuditStore(connection)
    records = [
        make_record(at=later(number), detail=f"größe {number}", epoch=number, ticket_id="t")
        for number in range(5)
    ]
    for record in records[:2]:
        store.append(record)
    store.append_all(records[2:])
    store.append_all([])
    assert store.tail() == records
    assert store.tail(2) == records[3:]
    assert store.tail(since=later(3)) == records[3:]


def test_the_audit_log_is_asked_by_actor_and_outcome(connection: Connection) -> None:
    store = AuditStore(connection)
    refused = make_record(actor="user1@shanghai", allowed=False)
    store.append_all([make_record(), refused, make_record()])
    assert store.tail(allowed=False) == [refused]
    assert store.tail(actor="user1@shanghai") == [refused]
    assert len(store.tail(allowed=True)) == 2


def test_whatever_a_stranger_types_can_be_written_down(connection: Connection) -> None:
    store = AuditStore(connection)
    store.append(make_record(actor="a\0b\ud800" + "x" * 5000, detail="' OR 1=1; --"))
    [record] = store.tail()
    assert record.actor.startswith("a\N{REPLACEMENT CHARACTER}b")
    assert len(record.actor) == 320
    assert record.detail == "' OR 1=1; --"


def test_revocations_survive_a_restart_and_are_forgotten_by_time(engine: Engine) -> None:
    first = Revocation(3, later(-100), USER)
    second = Revocation(4, NOW, Principal.parse("GROUP traders"), QUOTE)
    third = Revocation(5, NOW, None, ObjectName.parse("*@hangzhou"))
    with engine.begin() as connection:
        for revocation in (third, first, second):
            RevocationStore(connection).append(revocation)
    engine.dispose()
    with engine.begin() as connection:
        store = RevocationStore(connection)
        assert list(store.all()) == [first, second, third]
        assert store.forget_before(NOW) == 1
        assert list(store.all()) == [second, third]
