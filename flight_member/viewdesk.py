"""Carries out CREATE VIEW: who makes a view owns it, and has to be able to read what it names."""

from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pyarrow as pa

from auth import Identity
from flight_member.answers import answer
from flight_member.asked import Asked
from flight_member.errors import BadRequestError
from flight_member.gatekeeper import Gatekeeper
from flight_member.homegate import Act, HomeGate
from flight_member.jobs import Job
from flight_member.placechanges import changing_objects
from flight_member.places import require_own_place
from flight_member.statestore import Database
from flight_member.views import MAX_DEPTH, Definition, Views, same_columns
from flight_sql import Call
from planner import CreateView, plan_query
from storage.errors import TableExistsError
from storage.metastore import Table, TableKind
from storage.names import ObjectName


class ViewDesk:
    """Makes views, and gives them other definitions."""

    def __init__(
        self,
        database: Database,
        gate: HomeGate,
        gatekeeper: Gatekeeper,
        views: Views,
        changed: Callable[[], object],
    ) -> None:
        """Keep what it takes; `changed` is called after each change, when it is durable."""
        self._database = database
        self._gate = gate
        self._gatekeeper = gatekeeper
        self._views = views
        self._changed = changed

    def create(self, asked: Asked, create: CreateView, job: Job) -> pa.Table:
        """Make a view; durable when this returns.

        Returns:
            One row: {status: utf8, row_count: int64, warning: utf8}.

        Raises:
            NotFoundError: When the schema, or something that the query names, is not there or the
                caller may not know of it.
            PermissionDeniedError: When they may not make anything in the schema.
            TableExistsError: When there is something of that name.
            BadRequestError: When the query cannot be a view's.
            PlannerError: When it cannot be planned.
        """
        job.run()
        call, caller, digest = asked.call, asked.caller, asked.digest
        name, query = create.table, create.query
        require_own_place(name)
        allowed = self._gate.require(call, caller, Act.CREATE, name, digest)
        if query.parameters:
            raise BadRequestError("a view has no parameters; write their values into its query")
        authorised = self._gatekeeper.authorise(call, caller, query.tables, digest)
        plan = plan_query(query, authorised.schemas)
        _require_columns(name, plan.arrow_schema)
        if any(name == table.name for table in authorised.tables):
            raise BadRequestError(f"the view {name} cannot be made of itself")
        if self._views.depth(authorised.tables) >= MAX_DEPTH:
            raise BadRequestError(
                f"{name} would be the {MAX_DEPTH + 1}th view that stands on another; make it of "
                "tables, or of views that are nearer to them"
            )
        definition = Definition.of(query, authorised.tables)
        view = Table(
            id=uuid4().hex,
            name=name,
            arrow_schema=plan.arrow_schema,
            partition_columns=(),
            schema_version=1,
            snapshot=definition.snapshot,
            row_count=0,
            byte_count=0,
            file_count=0,
            kind=TableKind.VIEW,
            owner=caller.name,
            definition=definition.write(),
        )
        known = allowed.table
        if known is not None and create.if_not_exists:
            return answer(CreateView, [("exists already", None, None)])
        if known is not None:
            self._require_replaceable(call, caller, create, known)
        with changing_objects(self._database) as stores:
            found = next(iter(stores.below(name)), None)
            if found is None:
                stores.tables.add(view)
            elif known is not None and found.id == known.id:
                stores.tables.replace(_replacing(found, view))
            else:
                raise TableExistsError(f"{name} exists already; choose another name")
            stores.audit.append(allowed.record)
        self._changed()
        return answer(CreateView, [("created" if known is None else "replaced", None, None)])

    def _require_replaceable(
        self, call: Call, caller: Identity, create: CreateView, known: Table
    ) -> None:
        if not create.or_replace:
            raise TableExistsError(f"{known.name} exists already; choose another name")
        if known.kind is not TableKind.VIEW:
            raise BadRequestError(
                f"{known.name} is a table, which no view replaces; drop it first, or choose "
                "another name"
            )
        self._gate.require(call, caller, Act.DROP, known.name)


def _replacing(known: Table, view: Table) -> Table:
    """Return a view in the place of another: with its id, and so with what was granted on it.

    It runs with the rights of whoever made it so, and not with those of the owner before.
    """
    is_same = same_columns(known.arrow_schema, view.arrow_schema)
    return replace(view, id=known.id, schema_version=known.schema_version + (0 if is_same else 1))


def _require_columns(name: ObjectName, arrow_schema: pa.Schema) -> None:
    """Refuse columns that could not be named when the view is read."""
    seen: set[str] = set()
    for column in arrow_schema.names:
        if not column or column.lower() in seen:
            raise BadRequestError(
                f"two columns of {name} would be called {column!r}; give each a name of its own "
                "with AS"
            )
        seen.add(column.lower())
    if any(pa.types.is_null(field.type) for field in arrow_schema):
        raise BadRequestError(f"a column of {name} has no type; cast it, as in NULL::BIGINT")
