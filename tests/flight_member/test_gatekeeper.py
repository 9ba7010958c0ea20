"""What is hidden and what is missing take the same steps: look-ups, decisions, audit records."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from auth import AuditRecord, Effect, Grant, GrantSet, Identity, Principal, Privilege
from flight_member.errors import NotFoundError
from flight_member.gatekeeper import Gatekeeper
from flight_sql import Call
from storage.metastore import Metastore, Table
from storage.names import ObjectName
from tests.flight_member.factories import NOW, make_identity
from tests.flight_mom.factories import make_table

READABLE = ObjectName.parse("trading.stock.quote@hangzhou")
HIDDEN = ObjectName.parse("trading.stock.trade@hangzhou")
MISSING = ObjectName.parse("trading.stock.trads@hangzhou")
NOWHERE = ObjectName.parse("trading.stock.quotf@nowhere")
CLUSTERS = ("hangzhou", "shenzhen")


class Watched:
    """A policy that notes every question; one table is granted, another is not."""

    epoch = 1

    def __init__(self) -> None:
        self.asked: list[str] = []
        tables = [replace(make_table(str(name)), name=name) for name in (READABLE, HIDDEN)]
        self._metastore = Metastore("hangzhou", 1, tables)
        self._rules = GrantSet(
            [
                Grant(
                    id=1,
                    principal=Principal.parse("user1@shanghai"),
                    effect=Effect.ALLOW,
                    privilege=Privilege.TABLE_READ,
                    securable=READABLE,
                    granted_by="admin",
                    granted_at=NOW,
                )
            ]
        )

    def table(self, name: ObjectName) -> Table | None:
        self.asked.append("table")
        return self._metastore.table(name) if name.cluster == "hangzhou" else None

    def rules_for(self, caller_cluster: str, name: ObjectName) -> GrantSet:
        self.asked.append(f"rules for {caller_cluster}")
        del name
        return self._rules

    def mom_groups_of(self, _caller: str) -> frozenset[str]:
        self.asked.append("groups")
        return frozenset()

    def namesakes(self, name: ObjectName) -> Iterator[ObjectName]:
        self.asked.append("namesakes")
        yield from (ObjectName(one, name.catalog, name.schema, name.table) for one in CLUSTERS)


class Records:
    """An audit trail that keeps what it is given."""

    def __init__(self, asked: list[str]) -> None:
        self.asked = asked
        self.refused: list[AuditRecord] = []

    def allow(self, _record: AuditRecord) -> None:
        self.asked.append("audit allowed")

    def refuse(self, record: AuditRecord) -> None:
        self.asked.append("audit refused")
        self.refused.append(record)


def steps_to(name: ObjectName) -> tuple[list[str], str, AuditRecord]:
    """Return what is done on the way to a refusal, its words, and what is written down."""
    policy = Watched()
    records = Records(policy.asked)
    gatekeeper = Gatekeeper(lambda: policy, records, lambda: NOW)  # type: ignore[arg-type]  # keeps records in memory
    caller: Identity = make_identity("user1@shanghai")
    with pytest.raises(NotFoundError) as refusal:
        gatekeeper.authorise(Call(identity=caller, peer="p"), caller, [READABLE, name], "digest")
    (record,) = records.refused
    text = str(refusal.value).replace(str(name), "NAME")
    return policy.asked, text, replace(record, object="NAME")


@pytest.mark.parametrize("missing", [MISSING, NOWHERE], ids=str)
def test_hidden_and_missing_take_the_same_steps(missing: ObjectName) -> None:
    steps, text, record = steps_to(HIDDEN)
    assert "audit refused" in steps
    assert steps_to(missing) == (steps, text, record)


def test_advice_looks_every_table_up_and_writes_nothing_down() -> None:
    steps = []
    for name in (HIDDEN, MISSING, NOWHERE):
        policy = Watched()
        gatekeeper = Gatekeeper(lambda p=policy: p, Records(policy.asked), lambda: NOW)  # type: ignore[arg-type, misc]  # keeps records in memory
        caller: Identity = make_identity("user1@shanghai")
        assert gatekeeper.readable_schemas(caller, [name, READABLE]) is None
        steps.append(policy.asked)
    assert steps[0] == steps[1] == steps[2]
    assert steps[0].count("table") == 2
    assert not [step for step in steps[0] if "audit" in step]


def test_advice_is_given_on_tables_that_may_all_be_read() -> None:
    policy = Watched()
    gatekeeper = Gatekeeper(lambda: policy, Records([]), lambda: NOW)  # type: ignore[arg-type]  # keeps records in memory
    schemas = gatekeeper.readable_schemas(make_identity("user1@shanghai"), [READABLE, READABLE])
    assert schemas is not None
    assert list(schemas) == [READABLE]
    assert gatekeeper.readable_schemas(make_identity("user2@shanghai"), [READABLE]) is None
    assert gatekeeper.readable_schemas(make_identity("user1@shanghai"), []) is None
