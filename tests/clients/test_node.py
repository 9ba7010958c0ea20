"""The clients of npm, through Node: queries, metadata, refusals, TLS."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from flight_mom.demo.federation import MOM, SHANGHAI, DemoFederation
from tests.clients.programs import run_node
from tests.e2e.commands import run_mom, served
from tests.e2e.federation import ADMIN, READER, require_clean

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

# The second row of the table of all types, as JavaScript shows it: 64 bits as text, dates as
# milliseconds. Decimals are left out: the library of Arrow shows their digits without the point.
VALUES = {
    "id": "1",
    "tiny": -2,
    "short": -189,
    "whole": -299,
    "u_tiny": 1,
    "u_short": 3,
    "u_whole": 1000,
    "u_long": str(10**15),
    "ratio": 0.125,
    "amount": -18.75,
    "flag": False,
    "word": "Beta",
    "blob": "01fe",
    "code": "00000001",
    "nothing": None,
    "MixedCase": "1",
    "numbers": ["1"],
    "words": ["Beta", "gamma delta"],
    "vector": [0.5, 1, 2.5],
    "matrix": [["1", "1"], ["2", "1"]],
    "point": {"x": 0.25, "y": 1, "Label": "p1"},
    "points": [{"x": 0.25, "y": 1, "Label": "p1"}],
    "props": {"a": "1", "b": None},
    "with space": "s1",
    "größe": 0.1,
    "region": "north",
    "year": "2023",
    "day": 1709078400000,
    "seconds": 1710099015000,
    "moment": 1710099015123.457,
    "instant": 1710099015123.457,
    "clock": "3661000007",
}
CODES = ("unknown-column", "not-found", "join-not-supported", "permission-denied")


def _probe(federation: DemoFederation, at: str) -> dict[str, Any]:
    profile = json.loads(federation.profile_file("user1").read_text("utf-8"))
    return _told(
        "probe.mjs",
        federation.uri(at),
        {
            "PROBE_USER": READER,
            "PROBE_PASSWORD": federation.password("user1"),
            "PROBE_ADMIN_PASSWORD": federation.password(ADMIN),
            "PROBE_TOKEN": profile["token"],
            "PROBE_OWN": "select count(*) as n from trading.stock.quote",
        },
    )


def _told(program: str, uri: str, environment: Mapping[str, str]) -> dict[str, Any]:
    where = urlsplit(uri)
    address = {"PROBE_HOST": str(where.hostname), "PROBE_PORT": str(where.port)}
    printed = run_node(program, {**address, **environment})
    return dict(json.loads(line) for line in printed.splitlines() if line.startswith("["))


@pytest.fixture(scope="module")
def at_mom(shared: DemoFederation) -> dict[str, Any]:
    return _probe(shared, MOM)


@pytest.fixture(scope="module")
def at_home(shared: DemoFederation) -> dict[str, Any]:
    return _probe(shared, SHANGHAI)


def test_queries_are_answered_at_the_mom(at_mom: dict[str, Any]) -> None:
    assert at_mom["query"] == [{"n": "4000"}]
    assert at_mom["every row"] == 4_000
    assert at_mom["no rows"] == 0
    assert at_mom["token"] == [{"n": "4000"}]


def test_values_of_every_type_are_read(at_mom: dict[str, Any]) -> None:
    (row,) = at_mom["types"]
    assert {name: row[name] for name in VALUES} == VALUES
    assert at_mom["nulls"] == [{"short": None, "nothing": None}]


def test_metadata_shows_what_the_user_may_read(at_mom: dict[str, Any]) -> None:
    assert at_mom["catalogs"] == ["aviation@hangzhou", "system", "trading@shanghai"]
    assert [one["schema"] for one in at_mom["schemas"]] == ["lab", "nyc"]
    owned = [one["tableName"] for one in at_mom["tables"] if one["catalog"] != "system"]
    assert owned == ["samples", "flights", "quote"]
    assert [one["tableName"] for one in at_mom["tables of a catalog"]] == ["flights"]
    assert at_mom["table types"] == ["TABLE", "VIEW"]
    assert at_mom["info"] == {"0": "flight-mom", "8": 0}
    assert at_mom["all info"] > 80


def test_a_refusal_is_told_with_its_code(at_mom: dict[str, Any]) -> None:
    for code in CODES:
        text = at_mom[code]["refused"]
        assert text.startswith(f"Failed to execute query: {code}: ")
        require_clean(text)
    assert ": invalid-token: " in at_mom["wrong password"]["refused"]


def test_administrators_grant_and_revoke(at_mom: dict[str, Any]) -> None:
    assert at_mom["grant"][0]["status"] == "granted"
    assert at_mom["revoke"][0]["status"] == "revoked 1"


def test_what_the_client_does_not_send_rightly_is_refused(at_mom: dict[str, Any]) -> None:
    # Documented: these three commands go out without their envelope, or not at all.
    for name in ("primary keys", "schema"):
        assert ": request-not-supported: " in at_mom[name]["refused"]
    assert "serialization failure" in at_mom["prepare"]["refused"]


def test_another_clusters_table_is_not_read_at_home(at_home: dict[str, Any]) -> None:
    # Documented: the client reads from the connection alone, and at home that is not the MoM's.
    assert "refused" in at_home["query"]


def test_the_other_client_reads_what_needs_no_other_address(
    at_mom: dict[str, Any], at_home: dict[str, Any]
) -> None:
    assert at_home["lancedb"] == [{"n": "3000"}]
    told = at_mom["lancedb, told an address"]["refused"]
    assert told.startswith("Cannot handle remote location")


def test_tls_is_checked_against_the_federations_ca(tmp_path: Path) -> None:
    tls = {"FLIGHT_MOM_SERVER__TLS": "true"}
    directory = tmp_path / "headquarters"
    assert run_mom("init", "--dir", str(directory), env=tls).returncode == 0
    with served("flight_mom", directory, tls) as uri:
        who = {
            "PROBE_USER": "admin",
            "PROBE_PASSWORD": (directory / "admin.password").read_text("utf-8").strip(),
        }
        ca = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(directory / "ca.pem")}
        with_ca, without = (_told("secure.mjs", uri, {**who, **more}) for more in (ca, {}))
    # The MoM alone is listed: it has no members.
    assert with_ca["checked"] == with_ca["tlsSkipVerify"] == without["tlsSkipVerify"] == 1
    assert "unable to verify" in without["checked"] or "self-signed" in without["checked"]
    assert isinstance(with_ca["plaintext"], str)
