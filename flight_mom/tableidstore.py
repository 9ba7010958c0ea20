"""Which table each name of a member meant last, also while the member does not show it.

Grants are kept by name; this is how the MoM notices that a name means another table now. Every
function uses the caller's connection and commits nothing.
"""

from collections.abc import Iterable, Mapping

from sqlalchemy import Column, Connection, MetaData, String, Table, delete, insert, select

metadata = MetaData()

_ids = Table(
    "table_ids",
    metadata,
    Column("cluster", String(63), primary_key=True),
    Column("name", String(200), primary_key=True),
    Column("table_id", String(64), nullable=False),
)


class TableIdStore:
    """The ids of members' tables by their local names, in the caller's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, cluster: str) -> dict[str, str]:
        """Return `{local name: id}` of a member."""
        rows = self._connection.execute(select(_ids).where(_ids.c.cluster == cluster))
        return {row.name: row.table_id for row in rows}

    def keep(self, cluster: str, ids: Mapping[str, str]) -> None:
        """Keep ids under names that have none."""
        rows = [
            {"cluster": cluster, "name": name, "table_id": table_id}
            for name, table_id in ids.items()
        ]
        if rows:
            self._connection.execute(insert(_ids), rows)

    def forget(self, cluster: str, names: Iterable[str]) -> None:
        """Forget names of a member."""
        for name in names:
            self._connection.execute(
                delete(_ids).where(_ids.c.cluster == cluster, _ids.c.name == name)
            )

    def forget_all(self, cluster: str) -> None:
        """Forget every name of a member."""
        self._connection.execute(delete(_ids).where(_ids.c.cluster == cluster))
