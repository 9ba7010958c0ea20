"""Values that the tests of this package start from."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from auth import (
    Effect,
    Grant,
    Identity,
    KeyRing,
    Principal,
    Privilege,
    SigningKey,
    Ticket,
    TicketTable,
)
from storage.names import ObjectName

NOW = datetime(2026, 8, 1, 12, 0, 0, 123456, tzinfo=UTC)
MOM, SHANGHAI, HANGZHOU = "mom", "shanghai", "hangzhou"
MOM_KEY, SHANGHAI_KEY, HANGZHOU_KEY = (SigningKey.generate() for _ in range(3))
RING = KeyRing(
    {
        MOM: [MOM_KEY.public_key],
        SHANGHAI: [SHANGHAI_KEY.public_key],
        HANGZHOU: [HANGZHOU_KEY.public_key],
    }
)
QUOTE = ObjectName.parse("trading.stock.quote@hangzhou")


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def make_identity(
    name: str = "user1@shanghai", groups: Iterable[str] = (), **changes: Any
) -> Identity:
    user, _, cluster = name.partition("@")
    identity = Identity(
        user=user,
        cluster=cluster,
        groups=frozenset(groups),
        is_admin=False,
        token_id="t1",
        expires_at=later(3600),
        issued_at=NOW,
    )
    return replace(identity, **changes) if changes else identity


def make_grant(
    to: str = "user1@shanghai",
    on: str = "trading.stock.quote@hangzhou",
    effect: Effect = Effect.ALLOW,
    until: datetime | None = None,
    grant_id: int = 1,
) -> Grant:
    securable = ObjectName.parse(on)
    return Grant(
        id=grant_id,
        principal=Principal.parse(to),
        effect=effect,
        privilege=Privilege.for_level(securable.level),
        securable=securable,
        granted_by="admin@mom",
        granted_at=NOW,
        until=until,
    )


def make_ticket(**changes: Any) -> Ticket:
    ticket = Ticket(
        id="q-1",
        member=HANGZHOU,
        user="user1",
        cluster=SHANGHAI,
        groups=frozenset({"analysts"}),
        sql="select max(bid) from trading.stock.quote",
        catalog="trading",
        schema="stock",
        tables=(TicketTable(QUOTE, "f" * 32, 3, "a" * 64),),
        epoch=17,
        issued_at=NOW,
        expires_at=later(300),
        query_id="c" * 32,
    )
    return replace(ticket, **changes)
