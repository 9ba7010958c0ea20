"""The audit log as it is kept: only ever appended to, and trimmed from its old end.

Every function uses the caller's connection and commits nothing: an administrative act and its
record share one transaction. Rows are numbered without gaps and chained (`auth.auditchain`).
"""

import logging
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    case,
    delete,
    func,
    insert,
    not_,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from auth.audit import AuditRecord
from auth.auditchain import Anchor, ChainedRow, ChainHead, Verification, link, verify_chain
from auth.errors import AuditUnavailableError
from auth.times import from_micros, to_micros

__all__ = ["AuditRecord", "AuditStore", "Viewer", "is_selectable", "metadata"]

_log = logging.getLogger(__name__)
metadata = MetaData()

_audit = Table(
    "audit",
    metadata,
    # Not a plain primary key: SQLite counts only INTEGER ones by itself.
    Column(
        "id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False
    ),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(320), nullable=False),
    Column("source", String(200), nullable=False),
    Column("action", String(64), nullable=False),
    Column("object", Text, nullable=False),
    Column("allowed", Boolean, nullable=False),
    Column("rule", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("ticket_id", String(256), nullable=False),
    Column("statement_digest", String(128), nullable=False),
    Column("detail", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Index("audit_at", "at"),
    # What statements over the audit filter by, newest first.
    Index("audit_actor", "actor", "at"),
    Index("audit_object", "object", "at"),
    Index("audit_action", "action", "at"),
)
_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("first_id", BigInteger, nullable=False),
    Column("base_digest", String(64), nullable=False),
    Column("last_id", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
)
_THE_HEAD = 1
_AT_ONCE = 10_000
# Not `rule`: it is not shown to everybody, and selecting by it would tell of it.
_SELECTED_BY = frozenset({"actor", "action", "object", "allowed", "statement_digest"})
_COMPARISONS: dict[str, Callable[[Any, Any], ColumnElement[bool]]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_VALUES = tuple(column for column in _audit.c if column.name not in {"id", "digest"})


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who reads the audit: everybody sees their own part of it.

    Attributes:
        name: As `user1@shanghai`: their own records.
        administers: The cluster whose administrator they are: records of its users, and of what
            anybody did with its objects.
        sees_all: Whether they administer the federation.
    """

    name: str
    administers: str | None = None
    sees_all: bool = False


class AuditStore:
    """The audit log, in the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, record: AuditRecord) -> None:
        """Write a record down."""
        self.append_all([record])

    def append_all(self, records: Iterable[AuditRecord]) -> None:
        """Write records down, in their order, at the end of the chain.

        Raises:
            AuditUnavailableError: When they cannot be written: what they are about must not happen.
        """
        rows = [_row(record) for record in records]
        try:
            if rows:
                self._append(rows)
        except SQLAlchemyError:
            _log.exception("audit_write_failed")
        else:
            return
        raise AuditUnavailableError(
            "the audit log cannot be written, and nothing is done without it; try again later"
        )

    def _append(self, rows: list[dict[str, Any]]) -> None:
        head = self._locked_head()
        last_id, digest = head.last_id, head.digest
        for row in rows:
            last_id += 1
            digest = link(digest, last_id, [row[column.name] for column in _VALUES])
            row |= {"id": last_id, "digest": digest}
        self._connection.execute(insert(_audit), rows)
        self._connection.execute(update(_head).values(last_id=last_id, digest=digest))

    def head(self) -> ChainHead:
        """Return where the chain begins and ends."""
        row = self._connection.execute(select(_head)).mappings().one_or_none()
        return ChainHead() if row is None else _read_head(dict(row))

    def verify(self, anchor: Anchor | None = None) -> Verification:
        """Walk along the whole chain; see `auth.auditchain`."""
        return verify_chain(self._chained(), self.head(), anchor)

    def trim(self, before: datetime) -> int:
        """Forget the oldest records, up to the first that is not older; returns how many.

        The newest record always stays.
        """
        head = self._locked_head()
        first_kept = self._connection.execute(
            select(func.min(_audit.c.id)).where(_audit.c.at >= to_micros(before))
        ).scalar()
        first_kept = head.last_id if first_kept is None else first_kept
        base = self._connection.execute(
            select(_audit.c.digest).where(_audit.c.id == first_kept - 1)
        ).scalar()
        if base is None:
            return 0
        self._connection.execute(update(_head).values(first_id=first_kept, base_digest=base))
        return self._connection.execute(delete(_audit).where(_audit.c.id < first_kept)).rowcount

    def all(self, *, since: datetime | None = None) -> Iterator[AuditRecord]:
        """Yield every record, oldest first, without holding all of them."""
        query = select(*_VALUES).order_by(_audit.c.id)
        if since is not None:
            query = query.where(_audit.c.at >= to_micros(since))
        for row in self._connection.execute(query).mappings().yield_per(_AT_ONCE):
            yield _record(dict(row))

    def tail(
        self,
        limit: int = 100,
        *,
        since: datetime | None = None,
        actor: str | None = None,
        allowed: bool | None = None,
    ) -> list[AuditRecord]:
        """Return the newest records that fit, oldest of them first; possibly none.

        Args:
            limit: At most how many.
            since: Only those from this time on.
            actor: Only those of this actor.
            allowed: Only what was allowed, or only what was refused.
        """
        query = select(*_VALUES).order_by(_audit.c.id.desc()).limit(limit)
        if since is not None:
            query = query.where(_audit.c.at >= to_micros(since))
        if actor is not None:
            query = query.where(_audit.c.actor == actor)
        if allowed is not None:
            query = query.where(_audit.c.allowed == allowed)
        rows = self._connection.execute(query).mappings().all()
        return [_record(dict(row)) for row in reversed(rows)]

    def select(
        self,
        viewer: Viewer,
        conditions: Iterable[tuple[str, str, object]] = (),
        *,
        limit: int,
        is_newest: bool = False,
    ) -> list[tuple[object, ...]]:
        """Return what one reader may see of the records, as rows in the order of the columns.

        Args:
            viewer: Who reads.
            conditions: Columns, operators and values that all hold; see `is_selectable`.
            limit: At most how many.
            is_newest: Whether the newest are wanted; else any, in any order.

        """
        wanted = [_condition(*condition) for condition in conditions]
        query = select(*_seen_columns(viewer)).where(_seen(viewer), *wanted).limit(limit)
        if is_newest:
            query = query.order_by(_audit.c.at.desc())
        rows = self._connection.execute(query)
        return [(from_micros(row[0]), *row[1:]) for row in rows]

    def _locked_head(self) -> ChainHead:
        """Return the head, which nobody else moves until the transaction ends."""
        row = self._connection.execute(select(_head).with_for_update()).mappings().one_or_none()
        if row is not None:
            return _read_head(dict(row))
        fresh = ChainHead()
        self._connection.execute(insert(_head).values(id=_THE_HEAD, **asdict(fresh)))
        return fresh

    def _chained(self) -> Iterator[ChainedRow]:
        query = select(_audit.c.id, *_VALUES, _audit.c.digest).order_by(_audit.c.id)
        for row in self._connection.execute(query).yield_per(_AT_ONCE):
            yield ChainedRow(row[0], row[1:-1], row[-1])


def is_selectable(column: str, comparison: str, value: object) -> bool:
    """Whether records can be selected by a condition, which then tells of nothing but what is seen.

    Texts are compared for equality alone: databases order them differently.
    """
    if column == "at":
        return comparison in _COMPARISONS and isinstance(value, datetime)
    return column in _SELECTED_BY and comparison == "="


def _condition(column: str, comparison: str, value: object) -> ColumnElement[bool]:
    kept = to_micros(value) if isinstance(value, datetime) else value
    return _COMPARISONS[comparison](_audit.c[column], kept)


def _seen(viewer: Viewer) -> ColumnElement[bool]:
    """Return what holds for the records that somebody may see."""
    if viewer.sees_all:
        return true()
    own = _audit.c.actor == viewer.name
    if viewer.administers is None:
        return own
    return or_(own, _is_of(_audit.c.actor, viewer.administers), _is_owned(viewer.administers))


def _seen_columns(viewer: Viewer) -> list[ColumnElement[Any]]:
    """Return the columns; why a read was refused is for those whose rules refused it.

    To the reader a table that is not there and one that they may not know of are the same.
    """
    columns: list[ColumnElement[Any]] = list(_VALUES)
    if viewer.sees_all:
        return columns
    is_foreign = and_(_audit.c.action == "read", _audit.c.allowed.is_(False))
    if viewer.administers is not None:
        is_foreign = and_(is_foreign, not_(_is_owned(viewer.administers)))
    told = case((is_foreign, ""), else_=_audit.c.rule).label("rule")
    return [told if column.name == "rule" else column for column in columns]


def _is_owned(cluster: str) -> ColumnElement[bool]:
    return _is_of(_audit.c.object, cluster)


def _is_of(column: Column[Any], cluster: str) -> ColumnElement[bool]:
    """Return what holds for the name of a cluster and for names of one thing or user of it."""
    is_one = and_(
        column.endswith(f"@{cluster}", autoescape=True), not_(column.contains(",", autoescape=True))
    )
    return or_(column == cluster, is_one)


def _row(record: AuditRecord) -> dict[str, Any]:
    # What strangers typed as a name is stored too: PostgreSQL holds no NUL, nor endless columns.
    row = {
        name: _storable(value, _audit.c[name]) if isinstance(value, str) else value
        for name, value in asdict(record).items()
    }
    return row | {"at": to_micros(record.at)}


def _storable(text: str, column: Column[Any]) -> str:
    cleaned = text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    length = getattr(column.type, "length", None)
    return cleaned[:length]


def _read_head(row: dict[str, Any]) -> ChainHead:
    del row["id"]
    return ChainHead(**row)


def _record(row: dict[str, Any]) -> AuditRecord:
    return AuditRecord(**{**row, "at": from_micros(row["at"])})
