"""The names that a front door knows: which there are for its caller, and what completes them.

Listings, metadata calls, `information_schema` and sessions ask the same question, what the caller
may read, and hide everything else in the same words.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

import pyarrow as pa

from auth import Identity
from flight_member.answers import answer
from flight_member.errors import RevokedTokenError
from flight_member.listing import (
    ListedPlace,
    ListedTable,
    not_found,
    show_catalogs,
    show_schemas,
    show_tables,
)
from flight_member.sessions import (
    OPTIONS,
    Sessions,
    header_names,
    names_of_options,
    names_of_use,
)
from flight_sql import Call, OptionError, OptionValue, TableEntry, TableFilter
from planner import Defaults, ShowCatalogs, ShowSchemas, ShowTables, Use
from storage.names import SYSTEM_CATALOG, InvalidNameError, Level, ObjectName, split_cluster


class NamesDoor(ABC):
    """The part of a front door that concerns names alone; a subclass says what may be read."""

    cluster: str

    def __init__(self, sessions: Sessions) -> None:
        """Keep what reads and writes the cookies of sessions."""
        self.sessions = sessions

    @abstractmethod
    def listed_tables(self, call: Call, parent: ObjectName | None = None) -> Iterable[ListedTable]:
        """Return what the caller may read, at or below a place or everywhere, in any order."""

    def listed_places(self, call: Call, parent: ObjectName | None = None) -> Iterable[ListedPlace]:
        """Return the catalogs and schemas here in which the caller may read, also empty ones."""
        del call, parent
        return ()

    @abstractmethod
    def knows_cluster(self, call: Call, cluster: str) -> bool:
        """Whether the caller knows of a cluster, even if they may read nothing of it."""

    @property
    @abstractmethod
    def mom(self) -> str | None:
        """The cluster that the catalog `system` belongs to; None outside a federation."""

    def caller(self, call: Call) -> Identity:
        """Return who is asking.

        Raises:
            RevokedTokenError: When the credential is no user's.
        """
        if call.credentials_error is not None:
            raise call.credentials_error
        if not isinstance(call.identity, Identity):
            raise RevokedTokenError("sign in as a user: this token is not a user's")
        return call.identity

    def defaults(self, call: Call) -> Defaults:
        """Return what fills in missing parts of names: headers, the session, the home cluster."""
        caller = self.caller(call)
        sent, kept = header_names(call), self.sessions.names(call, caller)
        return Defaults(
            sent.cluster or kept.cluster or caller.cluster,
            sent.catalog or kept.catalog,
            sent.schema or kept.schema,
            self.mom,
        )

    # Sessions.

    def use(self, call: Call, statement: Use) -> pa.Table:
        """Choose what completes names from now on, and answer what is in effect then.

        Raises:
            NotFoundError: When it chooses a place of which the caller may know nothing.
        """
        self.sessions.check(call)
        caller = self.caller(call)
        names = names_of_use(statement, self._knows(call))
        if isinstance(names, ObjectName):
            raise not_found(names, self.listed_tables(call))
        self.sessions.keep(call, caller, names)
        return answer(Use, [(names.cluster or caller.cluster, names.catalog, names.schema)])

    def session_options(self, call: Call) -> Mapping[str, str]:
        """Return what completes names now, wherever it was chosen.

        The catalog is called what the metadata calls it, so that clients find it there.
        """
        defaults = self.defaults(call)
        named = {part: getattr(defaults, part) for part in OPTIONS}
        is_bare = defaults.catalog in {None, SYSTEM_CATALOG} or (
            self.cluster == defaults.cluster != self.mom
        )
        if not is_bare:
            named["catalog"] = f"{defaults.catalog}@{defaults.cluster}"
        return {part: name for part, name in named.items() if name is not None}

    def set_session_options(
        self, call: Call, options: Mapping[str, OptionValue]
    ) -> Mapping[str, OptionError]:
        """Choose what completes names from now on, part by part."""
        caller = self.caller(call)
        self.sessions.check(call)
        names, errors = names_of_options(
            self.sessions.names(call, caller), caller.cluster, options, self._knows(call)
        )
        self.sessions.keep(call, caller, names)
        return errors

    def _knows(self, call: Call) -> Callable[[ObjectName], bool]:
        """Return what tells whether the caller may know of a cluster, catalog or schema.

        All that they may read is looked through, so that what is hidden takes the time of what is
        missing.
        """
        readable = [one.table.name for one in self.listed_tables(call)]
        readable += [one.name for one in self.listed_places(call)]
        home, mom = self.caller(call).cluster, self.mom

        def is_known(name: ObjectName) -> bool:
            if name.catalog == SYSTEM_CATALOG and name.cluster == home and mom is not None:
                # Chosen as an option of the session, where no cluster is written.
                name = replace(name, cluster=mom)
            covers = [table for table in readable if name.covers(table)]
            is_cluster = name.level is Level.CLUSTER
            return bool(covers) or (is_cluster and self.knows_cluster(call, name.cluster))

        return is_known

    # Metadata.

    def list_tables(
        self, call: Call, wanted: TableFilter, *, include_schema: bool
    ) -> Iterator[TableEntry]:
        """Yield what the caller may read of what is wanted."""
        del include_schema  # the schemas are at hand
        for one in self._listed_in(call, wanted):
            if wanted.takes(one.catalog, one.schema, one.name, one.table_type):
                yield TableEntry(
                    one.catalog,
                    one.schema,
                    one.name,
                    one.table_type,
                    one.table.arrow_schema,
                    -1 if one.counts[0] is None else one.counts[0],
                )

    def catalogs(self, call: Call) -> set[str]:
        """Return the catalogs that hold something the caller may read."""
        places = {one.catalog for one in self.listed_places(call)}
        return places | {one.catalog for one in self.listed_tables(call)}

    def schemas(self, call: Call, wanted: TableFilter) -> set[tuple[str, str]]:
        """Return the wanted (catalog, schema) pairs that hold something the caller may read."""
        found = {(one.catalog, one.schema) for one in self._listed_in(call, wanted)}
        found |= {
            (one.catalog, one.name.schema)
            for one in self.listed_places(call)
            if one.name.schema is not None
            and wanted.catalog in {None, one.catalog, f"{one.name.catalog}@{one.name.cluster}"}
        }
        return {pair for pair in found if wanted.takes_schema(*pair)}

    def _listed_in(self, call: Call, wanted: TableFilter) -> Iterable[ListedTable]:
        """Return what the caller may read in the place that a filter names, or everywhere."""
        if wanted.catalog is None:
            return self.listed_tables(call)
        name, cluster = split_cluster(wanted.catalog)
        bare = self.mom if name == SYSTEM_CATALOG else None
        table = wanted.table if wanted.schema is not None else None
        try:
            place = ObjectName(cluster or bare or self.cluster, name, wanted.schema, table)
        except InvalidNameError:
            return ()
        return self.listed_tables(call, place)

    def answer_listing(
        self, call: Call, statement: ShowCatalogs | ShowSchemas | ShowTables
    ) -> pa.Table:
        """Answer the three statements that list what there is."""
        places = list(self.listed_places(call, statement.parent))
        # A place without tables is one that is known of all the same.
        listed = (
            list(self.listed_tables(call, statement.parent))
            if places
            else self.known_tables(call, statement.parent)
        )
        match statement:
            case ShowCatalogs():
                return show_catalogs([*listed, *places], statement.like)
            case ShowSchemas():
                return show_schemas([*listed, *places], statement.like)
            case ShowTables():
                return show_tables(listed, statement.like)

    def known_tables(self, call: Call, parent: ObjectName | None) -> list[ListedTable]:
        """Return what the caller may read at or below a place that they know of.

        Raises:
            NotFoundError: When the place is not there, or holds nothing that they may read; their
                own cluster is one that they know of in any case.
        """
        listed = list(self.listed_tables(call, parent))
        if parent is None or listed:
            return listed
        if parent.level is Level.CLUSTER and self.knows_cluster(call, parent.cluster):
            return []
        raise not_found(parent, self.listed_tables(call))
