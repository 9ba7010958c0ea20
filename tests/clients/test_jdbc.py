"""The Flight SQL JDBC driver, through plain Java: what DBeaver and its like do with a server."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from flight_member.settings import AuthSection, WireSection
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import FlightSqlServer
from tests.clients.programs import compile_java, read_facts, run_java
from tests.e2e.commands import run_mom, served
from tests.e2e.federation import ADMIN, CHIEF, require_clean
from tests.flight_sql.memory_backend import MemoryAuthenticator, MemoryBackend

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

# The second row of the table of all types: what getObject returns, as text, and of which class.
VALUES = {
    "id": ("1", "Long"),
    "tiny": ("-2", "Byte"),
    "short": ("-189", "Short"),
    "whole": ("-299", "Integer"),
    "u_tiny": ("1", "Short"),
    "u_short": ("3", "Integer"),
    "u_whole": ("1000", "Long"),
    "u_long": ("1000000000000000", "BigDecimal"),
    "ratio": ("0.125", "Float"),
    "amount": ("-18.75", "Double"),
    "price": ("1.239", "BigDecimal"),
    "vast": ("1000000000000000000000000000000.00000", "BigDecimal"),
    "flag": ("false", "Boolean"),
    "word": ("Beta", "String"),
    "blob": ("01fe", "byte[]"),
    "code": ("00000001", "byte[]"),
    "day": ("2024-02-28", "Date"),
    "clock": ("01:01:01", "ArrowFlightJdbcTime"),
    "seconds": ("2024-03-10 19:30:15.0", "Timestamp"),
    "moment": ("2024-03-10 19:30:15.123457", "Timestamp"),
    "instant": ("2024-03-10 19:30:15.123457", "Timestamp"),
    "tick": ("2023-11-15 22:13:19.123456796", "Timestamp"),
    "local_tick": ("2024-03-09 18:00:00.000000001", "Timestamp"),
    "numbers": ("[1]", "JsonStringArrayList"),
    "words": ('["Beta","gamma delta"]', "JsonStringArrayList"),
    "vector": ("[0.5,1.0,2.5]", "JsonStringArrayList"),
    "matrix": ("[[1,1],[2,1]]", "JsonStringArrayList"),
    "point": ('{"x":0.25,"y":1,"Label":"p1"}', "JsonStringHashMap"),
    "points": ('[{"x":0.25,"y":1,"Label":"p1"}]', "JsonStringArrayList"),
    "props": ('{"a":1,"b":null}', "JsonStringHashMap"),
    "nothing": ("null", "null"),
    "MixedCase": ("1", "Long"),
    "with space": ("s1", "String"),
    "größe": ("0.1", "Double"),
    "region": ("north", "String"),
    "year": ("2023", "Long"),
}
NULLS = {"short", "u_whole", "amount", "price", "nothing"}
GETTERS = {
    "getInt tiny": "-2",
    "getLong id": "1",
    "getDouble amount": "-18.75",
    "getBigDecimal price": "1.239",
    "getBoolean flag": "false",
    "getBytes blob": "01fe",
    "getDate day": "2024-02-28",
    "getTime clock": "01:01:01",
    "getTimestamp moment": "2024-03-10 19:30:15.123457",
    "getTimestamp instant": "2024-03-10T19:30:15.123457Z",
    "getTimestamp tick": "2023-11-15 22:13:19.123456796",
    "getArray numbers": "[1]",
    "wasNull short": "-189 false",
}
# The greatest number of each unsigned type, and the type in which the driver reads it.
UNSIGNED = {
    "u8": ("255", "SMALLINT"),
    "u16": ("65535", "INTEGER"),
    "u32": ("4294967295", "BIGINT"),
    "u64": ("18446744073709551615", "DECIMAL"),
}
# Whatever a column's type is, the driver cuts a number to what its getter returns.
CUT = {("u32", "getInt"), ("u64", "getInt"), ("u64", "getLong")}
TABLES = [
    "aviation@hangzhou|lab|samples|TABLE",
    "aviation@hangzhou|nyc|flights|TABLE",
    "trading@shanghai|stock|quote|TABLE",
]
# Of each of these the driver itself says "todo", before it asks anybody.
UNWRITTEN = {
    *("deletesAreDetected", "insertsAreDetected", "updatesAreDetected"),
    *("othersDeletesAreVisible", "othersInsertsAreVisible", "othersUpdatesAreVisible"),
    *("ownDeletesAreVisible", "ownInsertsAreVisible", "ownUpdatesAreVisible"),
    "supportsResultSetHoldability",
}

Facts = Mapping[str, Mapping[str, str]]


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("classes")
    compile_java(directory)
    return directory


def _probe(federation: DemoFederation, at: str, classes: Path, more: Mapping[str, str]) -> Facts:
    profile = json.loads(federation.profile_file("user1").read_text("utf-8"))
    environment = {
        "PROBE_URL": _url(federation.uri(at)),
        "PROBE_PASSWORD": federation.password("user1"),
        "PROBE_TOKEN": profile["token"],
        **more,
    }
    return read_facts(run_java("Probe", classes, environment))


def _owned(rows: list[str]) -> list[str]:
    """Return what members own: the federation's own tables are everybody's."""
    return [row for row in rows if "system" not in row.split("|")]


def _url(uri: str) -> str:
    return f"jdbc:arrow-flight-sql://{uri.partition('://')[2]}"


@pytest.fixture(scope="module")
def at_mom(shared: DemoFederation, classes: Path) -> Facts:
    secret = {"PROBE_ADMIN_PASSWORD": shared.password(ADMIN)}
    return _probe(shared, MOM, classes, secret)


@pytest.fixture(scope="module")
def at_home(shared: DemoFederation, classes: Path) -> Facts:
    return _probe(shared, SHANGHAI, classes, {})


@pytest.fixture(params=["at_mom", "at_home"])
def found(request: pytest.FixtureRequest) -> Facts:
    facts: Facts = request.getfixturevalue(request.param)
    return facts


def test_values_of_every_type_are_read(found: Facts) -> None:
    values, classes = found["object 1"], found["class 1"]
    assert {name: (values[name], classes[name]) for name in values} == VALUES
    binary = {"blob", "code"}
    texts = {name: text for name, (text, _) in VALUES.items() if name not in binary}
    assert {name: found["string 1"][name] for name in texts} == texts
    assert found["getter 1"] == GETTERS


def test_nulls_are_null_by_every_getter(found: Facts) -> None:
    assert {name for name, value in found["object 0"].items() if value == "null"} == NULLS
    assert {name for name, value in found["string 0"].items() if value == "null"} == NULLS
    assert found["getter 0"]["wasNull short"] == "0 true"


@pytest.mark.parametrize("name", UNSIGNED)
def test_unsigned_numbers_are_read_whole(found: Facts, name: str) -> None:
    greatest, kind = UNSIGNED[name]
    told = dict(found[f"unsigned {name}"])
    assert told.pop("type") == kind
    assert float(told.pop("getDouble")) == float(greatest)
    assert set(told) == {"getObject", "getString", "getInt", "getLong", "getBigDecimal"}
    for getter, value in told.items():
        assert value == ("-1" if (name, getter) in CUT else greatest), getter


def test_unsigned_numbers_in_arrays_are_read_whole(found: Facts) -> None:
    assert found["unsigned array"] == {"getObject": "[4294967295]", "getString": "[4294967295]"}


def test_unsigned_numbers_are_bound_whole(found: Facts) -> None:
    bound = dict(found["unsigned parameter"])
    assert ": type-mismatch: " in bound.pop("negative")
    assert bound == dict.fromkeys(("setInt", "setLong", "setObject", "setBigDecimal"), "true")


def test_columns_of_a_result_have_the_types_of_jdbc(found: Facts) -> None:
    types = {name: told.split()[0] for name, told in found["column"].items()}
    assert types["id"] == "BIGINT"
    assert types["price"] == "DECIMAL"
    assert types["word"] == "VARCHAR"
    assert types["blob"] == "VARBINARY"
    assert types["moment"] == "TIMESTAMP"
    assert types["instant"] == "TIMESTAMP_WITH_TIMEZONE"
    assert types["numbers"] == "ARRAY"
    assert types["flag"] == "BOOLEAN"


def test_the_tree_shows_what_the_user_may_read(at_mom: Facts) -> None:
    tree = {name: _owned(value.splitlines()) for name, value in at_mom["tree"].items()}
    assert tree["catalogs"] == ["aviation@hangzhou", "trading@shanghai"]
    assert tree["schemas"] == [
        "lab|aviation@hangzhou",
        "nyc|aviation@hangzhou",
        "stock|trading@shanghai",
    ]
    assert tree["schemas of a catalog"] == tree["schemas"][:2]
    assert tree["table types"] == ["TABLE", "VIEW"]
    assert tree["tables"] == TABLES
    assert tree["tables of a catalog"] == TABLES[:2]
    assert tree["tables by pattern"] == TABLES[1:2]
    assert tree["tables of no type"] == []


def test_columns_of_a_table_are_described(at_mom: Facts) -> None:
    tree = {name: _owned(value.splitlines()) for name, value in at_mom["tree"].items()}
    assert tree["columns"] == [
        "aviation@hangzhou|carrier|12|VARCHAR|1|YES",
        "aviation@hangzhou|flight|-5|BIGINT|2|YES",
        "aviation@hangzhou|Tail|12|VARCHAR|3|YES",
        "aviation@hangzhou|arr_delay|8|DOUBLE|4|YES",
        "aviation@hangzhou|origin|12|VARCHAR|5|NO",
        "aviation@hangzhou|month|-5|BIGINT|6|NO",
    ]
    assert tree["columns by pattern"] == ["arr_delay"]
    assert [row.split("|")[0] for row in tree["columns of all types"]] == list(VALUES)
    assert "price|3|DECIMAL|12|3" in tree["columns of all types"]
    assert "u_tiny|5|SMALLINT|5|0" in tree["columns of all types"]
    assert "u_long|3|DECIMAL|20|0" in tree["columns of all types"]


def test_there_are_no_keys_and_asking_for_them_is_no_fault(found: Facts) -> None:
    assert set(found["key"].values()) == {""}


def test_every_getter_of_the_metadata_answers(found: Facts) -> None:
    getters = found["get"]
    silent = {name for name, value in getters.items() if "Exception" in value}
    assert silent == UNWRITTEN
    assert getters["getIdentifierQuoteString"] == '"'
    assert getters["getCatalogTerm"] == "catalog"
    assert getters["supportsTransactions"] == "false"
    assert getters["getDefaultTransactionIsolation"] == "0"
    assert getters["supportsCatalogsInDataManipulation"] == "true"


def test_statements_are_executed(found: Facts) -> None:
    executed = found["execute"]
    for name in ("a query", "again", "its rows", "with a semicolon", "as tools quote"):
        assert executed[name] == "4000", name
    assert executed["execute of a query"] == "true"
    assert executed["no rows"] == ""
    assert executed["a probe"] == "1"
    assert executed["valid"] == "true"
    assert executed["the first of many"].splitlines() == ["0", "1", "2"]
    assert executed["every row"] == str(sum(range(4_000)))
    assert "table|aviation.nyc.flights@hangzhou" in executed["explain"].splitlines()


def test_values_are_bound_to_parameters_of_every_type(found: Facts) -> None:
    prepared = dict(found["prepare"])
    assert prepared.pop("parameters") == "2 Utf8 Int(64, true)"
    assert prepared.pop("columns") == "1"
    assert prepared.pop("bound") == "48"
    assert prepared.pop("bound anew") == "6"
    assert prepared.pop("null") == "0"
    assert prepared.pop("moment as text") == "1"
    assert prepared == dict.fromkeys(
        ("whole", "amount", "price", "word", "blob", "day", "seconds", "flag"), "1"
    )


def test_a_refusal_is_told_with_its_code_and_nothing_of_the_inside(found: Facts) -> None:
    refusals = dict(found["refuse"])
    assert ": type-mismatch: a division by zero" in refusals.pop("while running")
    for code, text in refusals.items():
        assert text.startswith('SQLException: Error while executing SQL "'), text
        assert f'": {code}: ' in text
        require_clean(text)


def test_a_statement_is_cancelled_or_times_out_and_the_connection_goes_on(found: Facts) -> None:
    assert "Cancelling this FlightStream" in found["cancel"]["cancelled"]
    assert "timed out" in found["cancel"]["timed out"]
    assert found["cancel"]["afterwards"] == "1"


def test_administrators_grant_and_revoke_each_once(at_mom: Facts) -> None:
    told = at_mom["administer"]
    assert told["read then"] == "50"
    assert ": not-found: " in told["read after"]
    assert told["executeQuery"].startswith("revoked 1|")
    assert "TABLE_READ|payroll.hr.salaries@hangzhou" not in told["executeQuery of SHOW"]
    assert told["read at last"] == "50"
    assert told["revoked"].startswith("revoked 1|")
    assert not [
        name for name, value in told.items() if "Exception" in value and name != "read after"
    ]


def test_tables_are_made_and_written_at_home(shared: DemoFederation, classes: Path) -> None:
    environment = {
        "PROBE_URL": _url(shared.uri(HANGZHOU)),
        "PROBE_USER": f"{CHIEF}@{HANGZHOU}",
        "PROBE_PASSWORD": shared.password(CHIEF),
    }
    told = read_facts(run_java("Writing", classes, environment))
    assert told["define"]["table"] == "created|null|null"
    assert told["write"]["insert"] == "2"
    assert told["write"]["update"] == "1"
    assert told["write"]["update count"] == "1"
    assert told["write"]["create as"] == "1"
    assert told["write"]["rows"] == "2|b|3.00|null"
    assert ": type-mismatch: " in told["write"]["refused"]
    require_clean(told["write"]["refused"])
    assert told["bind"]["one row"] == "1"
    assert told["bind"]["rows"].splitlines() == [
        f"{number}|w{number}|2026-01-02" for number in (10, 20, 21, 22)
    ]
    assert told["drop"]["answer"].startswith("dropped, with 2 tables|")


def test_it_connects_by_password_token_catalog_and_headers(found: Facts) -> None:
    connected = found["connect"]
    for name in ("token", "catalog", "headers", "use"):
        assert connected[name] == "4000", name
    assert connected["catalog of the connection"].startswith("aviation@hangzhou")
    assert connected["autocommit"] == "true 0"


def test_who_is_not_known_is_refused_at_connect(found: Facts) -> None:
    for name in ("wrong password", "unknown user", "forged token", "no proof"):
        text = found["connect"][name]
        assert text.startswith("SQLException: "), name
        assert "UNAUTHENTICATED: invalid-token: " in text
        require_clean(text.partition("UNAUTHENTICATED: ")[2])


def test_what_the_driver_cannot_do_is_as_documented(found: Facts) -> None:
    driver = found["driver"]
    assert driver["moment"] == ""
    assert "Binding value of type LONG is not yet supported" in driver["long as decimal"]
    assert driver["unbound"].startswith("SQLException: ")
    assert "arrow-compression" in driver["compressed"]
    assert driver["unsigned as they are"] == "-1"
    assert driver["close after catalog"] == "SQLException: Channel shutdown invoked"


@pytest.fixture
def recording() -> Iterator[tuple[str, MemoryAuthenticator]]:
    """A server that remembers the user agent of whoever signs in."""
    authenticator = MemoryAuthenticator()
    server = FlightSqlServer(MemoryBackend({}), authenticator)
    server.start()
    yield server.uri, authenticator
    assert server.drain_and_stop(2)


def test_the_driver_is_one_that_gets_a_long_session_signed_types_and_is_relayed(
    recording: tuple[str, MemoryAuthenticator], classes: Path
) -> None:
    uri, authenticator = recording
    environment = {
        "PROBE_URL": f"{_url(uri)}?useEncryption=false",
        "PROBE_USER": "alice",
        "PROBE_PASSWORD": "wonder:land",
    }
    run_java("Secure", classes, environment)
    settings = AuthSection()
    signed_agents = WireSection().signed_agents
    for words in (settings.long_session_agents, settings.relayed_agents, signed_agents):
        assert any(word in authenticator.agent for word in words)


def test_tls_is_trusted_by_the_federations_ca_alone(tmp_path: Path, classes: Path) -> None:
    tls = {"FLIGHT_MOM_SERVER__TLS": "true"}
    directory = tmp_path / "headquarters"
    assert run_mom("init", "--dir", str(directory), env=tls).returncode == 0
    with served("flight_mom", directory, tls) as uri:
        environment = {
            "PROBE_URL": _url(uri),
            "PROBE_USER": "admin",
            "PROBE_PASSWORD": (directory / "admin.password").read_text("utf-8").strip(),
            "PROBE_CA": str(directory / "ca.pem"),
        }
        told = read_facts(run_java("Secure", classes, environment))["tls"]
    assert told["with the CA"] == told["unchecked"]
    assert told["with the CA"] in {"", "headquarters"}
    for name in ("without it", "in plaintext"):
        assert told[name].startswith("SQLException: ")
