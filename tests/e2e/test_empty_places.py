"""Schemas without tables are listed to those who may read there, and to nobody else."""

from contextlib import closing
from uuid import uuid4

from flight_member.places import PlaceDesk
from flight_mom.demo.federation import HANGZHOU, DemoFederation
from flight_sql import Client, RemoteError
from storage.metastore import Place
from storage.names import Level, ObjectName
from storage.placestore import PlaceStore
from tests.e2e.federation import READER
from tests.waiting import wait_until

_NOTICED_S = 20.0


def schemas(client: Client, catalog: str) -> set[str]:
    rows = client.query("SHOW SCHEMAS LIKE 'empty%'").read_all().to_pylist()
    return {".".join(row.values()) for row in rows if catalog in row.values()}


def is_granted(admin: Client, schema: ObjectName) -> bool:
    """Whether the MoM knows the schema already, so that it can be granted."""
    try:
        admin.update(f"GRANT SCHEMA_READ ON {schema} TO {READER}")
    except RemoteError as error:
        if error.code != "not-found":
            raise
        return False
    return True


def test_empty_schema_is_listed_to_who_may_read_there(
    federation: DemoFederation, admin: Client, at_mom: Client
) -> None:
    home = federation.member_home(HANGZHOU)
    schema = ObjectName(HANGZHOU, "aviation", f"empty_{uuid4().hex[:8]}")
    with closing(home.open_database()) as database, database.change() as connection:
        PlaceStore(connection).add(Place(schema))
    listed = f"aviation@{HANGZHOU}.{schema.schema}"
    with federation.client("user2", HANGZHOU, at=HANGZHOU) as owner:
        wait_until(lambda: f"aviation.{schema.schema}" in schemas(owner, "aviation"), _NOTICED_S)
    assert listed not in schemas(at_mom, f"aviation@{HANGZHOU}")
    wait_until(lambda: is_granted(admin, schema), _NOTICED_S)
    wait_until(lambda: listed in schemas(at_mom, f"aviation@{HANGZHOU}"), _NOTICED_S)
    PlaceDesk.open(home, Level.SCHEMA).drop(schema.local)
    wait_until(lambda: listed not in schemas(at_mom, f"aviation@{HANGZHOU}"), _NOTICED_S)
