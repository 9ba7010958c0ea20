"""Every value of SqlInfo is what the servers do: the MoM, and a member for its own users."""

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import flight

from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_sql import Client, RemoteError
from flight_sql.messages import pack, sql_message, unpack
from tests.corpus.functions import functions_of_engine
from tests.e2e.federation import SAMPLES_AT, bearer, refused_sql
from tests.e2e.sqlclaims import CLAIMS, CONVERTED, KEYWORDS, RESERVED_BY_SQL_92

SERVERS = (MOM, HANGZHOU)
# What describes no behaviour that a test could ask for, by value.
PLAIN = {
    **dict.fromkeys((4, 506), True),  # SQL; what is listed may be read
    **dict.fromkeys((5, 11, 519, 527, 563, 565, 566, 573, 574, 575, 576), False),
    **dict.fromkeys((6, 7, 530), ""),  # no Substrait; no procedures, so no word for them
    **dict.fromkeys((8, 101, 535, 562, 568, 570, 571), 0),
    **dict.fromkeys((526,), 0),
    **dict.fromkeys((533, 534), 0b100),  # GRANT names schemas and catalogs
    **dict.fromkeys((564,), 0b1),  # the isolation level "none"
    **dict.fromkeys((567, 569), 0b10),  # results are read forward, and only read
    **dict.fromkeys((541, 542, 543, 544, 545, 546, 547, 548, 549, 550, 551, 553, 558, 560), 0),
    504: '"',
    514: "",
    529: "schema",
    531: "catalog",
    100: 24 * 3600 * 1000,
    556: True,
}
NAMES = (552, 554, 559, 561)
TESTED = {
    *(claim.info for claim in CLAIMS),
    *NAMES,
    *(
        0,
        1,
        2,
        3,
        9,
        503,
        505,
        507,
        508,
        509,
        510,
        511,
        512,
        513,
        517,
        524,
        525,
        528,
        532,
        555,
        557,
        10,
        500,
        501,
        502,
        572,
    ),
}
PROTOCOL_IDS = {*range(12), 100, 101, *range(500, 577)}


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def client(federation: DemoFederation, admin: Client, server: str) -> Iterator[Client]:
    """Who may read the samples there: a visitor at the MoM, an owner at the member."""
    admin.update(f"GRANT TABLE_READ ON {SAMPLES_AT} TO user1@{SHANGHAI}")
    user, cluster = ("user1", SHANGHAI) if server == MOM else ("user2", HANGZHOU)
    with federation.client(user, cluster, at=server) as client:
        yield client


@pytest.fixture
def told(client: Client) -> Mapping[int, Any]:
    """What the server says of itself, by id."""
    rows = _info(client)
    return dict(zip(rows["info_name"].to_pylist(), rows["value"].to_pylist(), strict=True))


def _info(client: Client, *ids: int) -> pa.Table:
    command = pack(sql_message("CommandGetSqlInfo", info=ids))
    with flight.FlightClient(client.uri) as raw:
        return raw.do_get(flight.Ticket(command), bearer(str(client.token))).read_all()


def _rows(client: Client, sql: str) -> list[tuple[Any, ...]] | None:
    """Return what a statement answers; None when it is refused."""
    try:
        table = client.query(sql.format(t=SAMPLES_AT)).read_all()
    except RemoteError:
        return None
    return [tuple(row.values()) for row in table.to_pylist()]


def test_every_id_is_told_and_every_value_tested(told: Mapping[int, Any]) -> None:
    assert set(told) == PROTOCOL_IDS
    assert TESTED | set(PLAIN) == PROTOCOL_IDS
    assert not TESTED & set(PLAIN)
    assert {info: told[info] for info in PLAIN} == PLAIN


def test_ids_are_answered_as_asked_for(client: Client, told: Mapping[int, Any]) -> None:
    for ids, known in (([0], [0]), ([99_999], []), ([517, 8, 99_999, 8], [8, 517])):
        answered = _info(client, *ids)
        assert answered["info_name"].to_pylist() == known
        assert answered["value"].to_pylist() == [told[info] for info in known]
        assert answered.schema.equals(_info(client).schema)


def test_server_tells_its_name_and_versions(told: Mapping[int, Any], server: str) -> None:
    name = "flight-mom" if server == MOM else "flight-member"
    assert (told[0], told[1], told[2]) == (name, version("flight-mom"), pa.__version__)


def test_a_claim_is_true_exactly_where_its_statement_answers(
    client: Client, told: Mapping[int, Any]
) -> None:
    for info, bit, sql, rows in CLAIMS:
        is_claimed = told[info] if bit is None else bool(told[info] >> bit & 1)
        assert isinstance(is_claimed, bool)
        assert is_claimed is (_rows(client, sql) == rows), (info, bit)


def test_tables_are_written_at_home_alone(
    client: Client, told: Mapping[int, Any], server: str
) -> None:
    is_home = server != MOM
    assert told[3] is not is_home
    assert [told[info] for info in (10, 500, 501, 502, 572)] == [is_home] * 5
    # The member refuses for what this user may not do, the MoM what is not done there.
    code = "permission-denied" if is_home else "cross-cluster-read-only"
    for sql in (
        "insert into {t} values (1)",
        "update {t} set id = 1",
        "delete from {t}",
        "optimize {t}",
        "create catalog c",
        "drop table {t}",
    ):
        assert refused_sql(client, sql.format(t=SAMPLES_AT)).code == code


def test_outer_joins_and_grammar_are_told_for_each_server(
    client: Client, told: Mapping[int, Any], server: str
) -> None:
    joined = "select count(*) from {t} a %s join {t} b on a.id = b.id"
    answered = [_rows(client, joined % kind) == [(48,)] for kind in ("left", "right", "full")]
    assert answered == [server != MOM] * 3
    assert told[528] == (0 if server == MOM else 2)
    # The core grammar is the minimum and subqueries of all kinds.
    assert told[525] == (0b11 if server != MOM else 0b1)


def test_names_are_lower_case_and_quoted_ones_match_whatever_their_case(
    client: Client, told: Mapping[int, Any]
) -> None:
    assert (told[503], told[505], told[532]) == (3, 1, True)
    for name in (
        "AVIATION.Lab.SAMPLES@Hangzhou",
        '"AVIATION@Hangzhou"."LAB"."Samples"',
        '"aviation@hangzhou"."lab"."samples"',
    ):
        assert _rows(client, f"select count(*) from {name}") == [(48,)]
    assert _rows(client, "select count(*) from samples.lab.aviation@hangzhou") is None


def test_nulls_are_high(client: Client, told: Mapping[int, Any]) -> None:
    assert told[507] == 0
    up = _rows(client, "select amount from {t} order by amount")
    down = _rows(client, "select amount from {t} order by amount desc")
    assert up is not None
    assert down is not None
    assert (up[0][0], up[-1][0]) == (-18.75, None)
    assert (down[0][0], down[-1][0]) == (None, -18.75)


def test_columns_can_be_never_null(client: Client, told: Mapping[int, Any]) -> None:
    assert told[524] is True
    described = client.query(f"DESCRIBE {SAMPLES_AT}").read_all().to_pylist()
    nullable = {row["column_name"]: row["is_nullable"] for row in described}
    assert (nullable["id"], nullable["year"]) == (True, False)


def test_keywords_are_read_and_none_of_sql_92(
    federation: DemoFederation, admin: Client, told: Mapping[int, Any]
) -> None:
    assert told[508] == sorted(KEYWORDS)
    assert not {word.lower() for word in told[508]} & RESERVED_BY_SQL_92
    # Some of them join, which is for owners at home.
    with federation.client("user2", HANGZHOU, at=HANGZHOU) as owner:
        for word, sql in KEYWORDS.items():
            assert re.search(rf"\b{word}\b", sql, re.IGNORECASE), word
            client = admin if word == "DENY" else owner
            assert _rows(client, sql) is not None, word


def test_functions_are_those_of_the_engine(client: Client, told: Mapping[int, Any]) -> None:
    lists = [told[info] for info in (509, 510, 511, 512)]
    for names in lists:
        assert names == sorted(set(names))
    listed = {name.lower() for names in lists for name in names}
    assert len(listed) == sum(map(len, lists))
    assert listed <= functions_of_engine() | {"extract"}
    for name in listed - {"extract"}:
        sql = f"select {name.upper()}(1, 2, 3, 4, 5, 6, 7, 8)"
        assert "there is no function" not in _refusal(client, sql), name
    assert "there is no function" in _refusal(client, "select SIGN(1, 2)")
    assert _rows(client, "select EXTRACT(year from date '2024-02-03')") == [(2024,)]


def test_functions_of_plain_values_are_all_listed(told: Mapping[int, Any]) -> None:
    listed = {name.lower() for info in (509, 510, 511, 512) for name in told[info]}
    left_out = functions_of_engine("SCALAR") - listed
    nested = (
        "array_",
        "arrays_",
        "list_",
        "map",
        "make_",
        "struct",
        "named_",
        "union_",
        "string_to_",
    )
    odd = {
        *("cardinality", "cosine_distance", "dot_product", "element_at", "empty", "flatten"),
        *("generate_series", "get_field", "inner_product", "range", "row"),  # of nested values
        *("input_file_name", "file_row_index"),  # refused; of files only
    }
    assert {name for name in left_out if not name.startswith(nested)} == odd


def _refusal(client: Client, sql: str) -> str:
    try:
        client.prepare(sql)
    except RemoteError as error:
        return str(error)
    return ""


def test_search_strings_are_escaped_as_told(client: Client, told: Mapping[int, Any]) -> None:
    for pattern, count in (
        ("sampl_s", 1),
        (f"sampl{told[513]}_s", 0),
        (f"sample{told[513]}s", 1),
        ("SAMPLES", 0),
    ):
        command = sql_message("CommandGetTables", table_name_filter_pattern=pattern)
        with flight.FlightClient(client.uri) as raw:
            reader = raw.do_get(flight.Ticket(pack(command)), bearer(str(client.token)))
            assert reader.read_all().num_rows == count, pattern


def test_casts_go_between_exactly_the_types_that_are_told(
    client: Client, told: Mapping[int, Any]
) -> None:
    claimed = dict(told[517])
    assert set(claimed) == set(range(len(CONVERTED)))
    for source, (_, value, _) in enumerate(CONVERTED):
        casts = {
            target: f"cast({value.format(text=text)} as {kind}) as c{target}"
            for target, (kind, _, text) in enumerate(CONVERTED)
        }
        assert len(set(claimed[source])) == len(claimed[source])
        together = ", ".join(casts.pop(target) for target in claimed[source])
        assert _rows(client, f"select {together}") is not None, source
        for target, cast in casts.items():
            assert _rows(client, f"select {cast}") is None, (source, target)


def test_names_may_be_as_long_as_told(client: Client, told: Mapping[int, Any]) -> None:
    assert [told[info] for info in NAMES] == [63, 127, 63, 127]
    for length, code in ((63, "not-found"), (64, "sql-syntax")):
        for name in ("{n}.lab.samples", "aviation.{n}.samples", "aviation.lab.{n}"):
            sql = f"select * from {name.format(n='n' * length)}@hangzhou"
            assert refused_sql(client, sql).code == code


def test_statements_may_be_as_long_as_told(client: Client, told: Mapping[int, Any]) -> None:
    longest = "select '{}' as x".format("x" * (told[557] - len("select '' as x")))
    assert len(longest) == told[557]
    rows = _rows(client, longest)
    assert rows is not None
    assert len(rows[0][0]) == len(longest) - len("select '' as x")
    assert refused_sql(client, longest + " ").code == "statement-too-large"


def test_rows_may_be_as_large_as_told(client: Client, told: Mapping[int, Any]) -> None:
    assert told[555] == 15 * 1024 * 1024
    wide = "select repeat(substr(region, 1, 1), {size}) as x from {{t}} where id = 1"
    rows = _rows(client, wide.format(size=told[555] - 10_000))
    assert rows is not None
    assert len(rows[0][0]) == told[555] - 10_000
    sql = wide.format(size=told[555]).format(t=SAMPLES_AT)
    assert refused_sql(client, sql).code == "row-too-large"


def test_queries_are_cancelled_exactly_where_it_is_told(
    client: Client, told: Mapping[int, Any]
) -> None:
    sql = f"select count(*) from {SAMPLES_AT}"
    command = pack(sql_message("CommandStatementQuery", query=sql))
    options = bearer(str(client.token))
    with flight.FlightClient(client.uri) as raw:
        info = raw.get_flight_info(flight.FlightDescriptor.for_command(command), options)
    body = pack(sql_message("ActionCancelQueryRequest", info=info.serialize()))
    result = unpack(client.action("CancelQuery", body)).result
    assert told[9] is (result in {1, 2})


def test_what_is_told_not_to_be_there_is_refused(client: Client) -> None:
    for kind, name in (
        ("BeginTransaction", "ActionBeginTransactionRequest"),
        ("BeginSavepoint", "ActionBeginSavepointRequest"),
        ("CreatePreparedSubstraitPlan", "ActionCreatePreparedSubstraitPlanRequest"),
    ):
        with pytest.raises(RemoteError) as refused:
            client.action(kind, pack(sql_message(name)))
        assert refused.value.code == "request-not-supported"


def test_grants_name_schemas_and_catalogs(admin: Client) -> None:
    for privilege, place in (("SCHEMA_READ", "aviation.lab"), ("CATALOG_READ", "aviation")):
        assert admin.update(f"GRANT {privilege} ON {place}@hangzhou TO user1@shanghai") == 1
