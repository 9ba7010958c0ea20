"""Administrative statements, in statement and in function form."""

from datetime import UTC, datetime

import pytest

from planner import (
    CancelJob,
    Defaults,
    Describe,
    ExplainAccess,
    GrantStatement,
    GroupStatement,
    NamePattern,
    NotFoundError,
    Password,
    PlannerError,
    ShowCatalogs,
    ShowClusters,
    ShowGrants,
    ShowGroups,
    ShowJobs,
    ShowReadable,
    ShowReaders,
    ShowSchemas,
    ShowTables,
    ShowUsers,
    SqlSyntaxError,
    Statement,
    StatementNotSupportedError,
    UserStatement,
    parse_statement,
)
from storage.names import ObjectName
from tests.planner.federation import DEFAULTS, read

AUDIT = ObjectName("headquarters", "system", "federation", "audit")
QUOTE = ObjectName("hangzhou", "trading", "stock", "quote")
STOCK = ObjectName("hangzhou", "trading", "stock")
TRADING = ObjectName("hangzhou", "trading")
EVERYTHING = ObjectName("hangzhou")
USER = "user1@shanghai"
YEAR = datetime(2027, 1, 1, tzinfo=UTC)

READ: dict[str, Statement] = {
    "GRANT TABLE_READ ON trading.stock.quote@hangzhou TO user1@shanghai": GrantStatement(
        "ALLOW", "TABLE_READ", (QUOTE,), (USER,)
    ),
    "grant table_read on \"trading@hangzhou\".stock.quote to 'user1@shanghai' "
    "until '2027-01-01T01:00:00+01:00';": GrantStatement(
        "ALLOW", "TABLE_READ", (QUOTE,), (USER,), YEAR
    ),
    "DENY SCHEMA_READ ON trading.stock@hangzhou TO GROUP analysts@shanghai, GROUP traders": (
        GrantStatement(
            "DENY", "SCHEMA_READ", (STOCK,), ("GROUP analysts@shanghai", "GROUP traders")
        )
    ),
    "REVOKE CATALOG_READ ON trading@hangzhou, *@hangzhou FROM j.doe-2@Shanghai": GrantStatement(
        "REVOKE", "CATALOG_READ", (TRADING, EVERYTHING), ("j.doe-2@shanghai",)
    ),
    'grant("user1@shanghai", TABLE_READ, "trading.stock.quote@hangzhou")': GrantStatement(
        "ALLOW", "TABLE_READ", (QUOTE,), (USER,)
    ),
    "deny('GROUP traders', 'CATALOG_READ', '*@hangzhou', '2027-01-01T00:00:00Z')": GrantStatement(
        "DENY", "CATALOG_READ", (EVERYTHING,), ("GROUP traders",), YEAR
    ),
    'revoke("user1@shanghai", SCHEMA_READ, "trading.stock@hangzhou")': GrantStatement(
        "REVOKE", "SCHEMA_READ", (STOCK,), (USER,)
    ),
    "GRANT CATALOG_READ ON trading TO user1": GrantStatement(
        "ALLOW", "CATALOG_READ", (ObjectName("shanghai", "trading"),), (USER,)
    ),
    "SHOW GRANTS": ShowGrants(),
    "SHOW GRANTS FOR user1@shanghai": ShowGrants(principal=USER),
    "SHOW GRANTS FOR GROUP traders": ShowGrants(principal="GROUP traders"),
    "SHOW GRANTS ON trading.stock@hangzhou": ShowGrants(securable=STOCK),
    "SHOW CLUSTERS": ShowClusters(),
    "SHOW JOBS": ShowJobs(),
    "show jobs for user1@shanghai like 'nightly-%';": ShowJobs(USER, NamePattern("nightly-%")),
    "SHOW JOBS FOR user1": ShowJobs(USER),
    "CANCEL JOB 'nightly-17.2:a'": CancelJob("nightly-17.2:a"),
    'cancel job "0123456789abcdef"': CancelJob("0123456789abcdef"),
    "DENY TABLE_READ ON trading.stock.quote@hangzhou TO Visitors": GrantStatement(
        "DENY", "TABLE_READ", (QUOTE,), ("VISITORS",)
    ),
    "revoke(visitors, SCHEMA_READ, trading.stock@hangzhou)": GrantStatement(
        "REVOKE", "SCHEMA_READ", (STOCK,), ("VISITORS",)
    ),
    "SHOW GRANTS FOR VISITORS": ShowGrants(principal="VISITORS"),
    "CREATE GROUP Traders": GroupStatement("CREATE", "traders"),
    'drop group "traders";': GroupStatement("DROP", "traders"),
    "ALTER GROUP traders ADD user1@shanghai, 'u.2@Hangzhou', user3": GroupStatement(
        "ADD", "traders", (USER, "u.2@hangzhou", "user3@shanghai")
    ),
    "ALTER GROUP traders REMOVE user1@shanghai": GroupStatement("REMOVE", "traders", (USER,)),
    "SHOW GROUPS": ShowGroups(),
    "SHOW USERS": ShowUsers(),
    "GRANT TABLE_WRITE ON trading.stock.quote@hangzhou TO u2@hangzhou": GrantStatement(
        "ALLOW", "TABLE_WRITE", (QUOTE,), ("u2@hangzhou",)
    ),
    "DENY schema_write ON trading.stock@hangzhou TO u2@hangzhou": GrantStatement(
        "DENY", "SCHEMA_WRITE", (STOCK,), ("u2@hangzhou",)
    ),
    "CREATE GROUP analysts@shanghai": GroupStatement("CREATE", "analysts", cluster="shanghai"),
    "ALTER GROUP Analysts@Shanghai ADD user1": GroupStatement(
        "ADD", "analysts", (USER,), "shanghai"
    ),
    "CREATE USER user1": UserStatement("CREATE", USER),
    "create user user1@shanghai in group analysts, Traders@shanghai admin;": UserStatement(
        "CREATE", USER, groups=("analysts", "traders"), is_admin=True
    ),
    "ALTER USER user1 LOCK": UserStatement("LOCK", USER),
    "ALTER USER user1 UNLOCK": UserStatement("UNLOCK", USER),
    "ALTER USER user1 ADMIN": UserStatement("ADMIN", USER, is_admin=True),
    "ALTER USER user1 NO ADMIN": UserStatement("ADMIN", USER),
    "ALTER USER user1 ADD GROUP analysts": UserStatement("ADD", USER, groups=("analysts",)),
    "ALTER USER user1 REMOVE GROUP analysts": UserStatement("REMOVE", USER, groups=("analysts",)),
    "DROP USER user1@shanghai": UserStatement("DROP", USER),
    "CREATE USER user1 PASSWORD 'it''s' ADMIN": UserStatement(
        "CREATE", USER, Password("text", "it's", 27, 34), is_admin=True
    ),
    "ALTER USER user1 PASSWORD ?": UserStatement(
        "PASSWORD", USER, Password("parameter", "", 26, 27)
    ),
    "ALTER USER user1 PASSWORD $1": UserStatement(
        "PASSWORD", USER, Password("parameter", "", 26, 28)
    ),
    "ALTER USER user1 PASSWORD HASH '$argon2id$x'": UserStatement(
        "PASSWORD", USER, Password("hash", "$argon2id$x", 26, 44)
    ),
    "SHOW READERS OF trading.stock.quote@hangzhou": ShowReaders(QUOTE),
    "SHOW TABLES FOR user1@shanghai": ShowReadable(USER),
    "SHOW CATALOGS": ShowCatalogs(),
    "SHOW CATALOGS FROM hangzhou": ShowCatalogs(EVERYTHING),
    "SHOW CATALOGS IN *@hangzhou": ShowCatalogs(EVERYTHING),
    "SHOW SCHEMAS": ShowSchemas(),
    'SHOW SCHEMAS FROM "trading@hangzhou"': ShowSchemas(TRADING),
    "show tables": ShowTables(),
    "SHOW TABLES FROM trading.stock@hangzhou": ShowTables(STOCK),
    "SHOW TABLES IN trading@hangzhou": ShowTables(TRADING),
    "SHOW TABLES FROM *@hangzhou": ShowTables(EVERYTHING),
    'SHOW SCHEMAS IN "*@hangzhou"': ShowSchemas(EVERYTHING),
    "SHOW TABLES FROM \"trading@hangzhou\".stock LIKE 'q%'": ShowTables(STOCK, NamePattern("q%")),
    "SHOW TABLES ILIKE 'Q%';": ShowTables(None, NamePattern("Q%", ignores_case=True)),
    "SHOW CLUSTERS LIKE 'h%'": ShowClusters(NamePattern("h%")),
    "SHOW CATALOGS LIKE 't%'": ShowCatalogs(None, NamePattern("t%")),
    "SHOW GRANTS ON trading@hangzhou LIKE '%quote%'": ShowGrants(
        securable=TRADING, like=NamePattern("%quote%")
    ),
    'SHOW COLUMNS FROM "trading@hangzhou".stock.quote': Describe(QUOTE),
    "SHOW COLUMNS IN quote@hangzhou LIKE 'b%'": Describe(QUOTE, NamePattern("b%")),
    "DESC information_schema.tables": Describe(
        ObjectName("shanghai", "system", "information_schema", "tables")
    ),
    'DESCRIBE "trading@hangzhou".information_schema.columns': Describe(
        ObjectName("hangzhou", "system", "information_schema", "columns")
    ),
    "DESCRIBE system.federation.audit": Describe(AUDIT),
    "SHOW COLUMNS FROM system.federation.audit@headquarters": Describe(AUDIT),
    "SHOW TABLES FROM system.federation": ShowTables(
        ObjectName("headquarters", "system", "federation")
    ),
    "SHOW SCHEMAS FROM system": ShowSchemas(ObjectName("headquarters", "system")),
    "SHOW TABLES FROM system@hangzhou": ShowTables(ObjectName("hangzhou", "system")),
    "DESCRIBE trading.stock.quote@hangzhou": Describe(QUOTE),
    "DESC quote": Describe(ObjectName("shanghai", "trading", "stock", "quote")),
    "DESCRIBE TABLE quote@hangzhou": Describe(QUOTE),
    "EXPLAIN ACCESS OF user1@shanghai TO trading.stock.quote@hangzhou": ExplainAccess(USER, QUOTE),
}

REFUSED: dict[str, tuple[type[PlannerError], str]] = {
    "GRANT TABLE_READ ON trading.stock@hangzhou TO user1@shanghai": (
        SqlSyntaxError,
        "line 1, column 21: TABLE_READ is granted on a table, and trading.stock@hangzhou is a",
    ),
    "GRANT CATALOG_READ ON trading.stock.quote@hangzhou TO user1@shanghai": (
        SqlSyntaxError,
        "CATALOG_READ is granted on a catalog",
    ),
    "GRANT SELECT ON trading.stock.quote@hangzhou TO user1@shanghai": (
        StatementNotSupportedError,
        "'SELECT' cannot be granted",
    ),
    "GRANT TABLE_READ ON quote": (SqlSyntaxError, "line 1, column 21"),
    "GRANT TABLE_READ ON trading.stock.quote@hangzhou": (SqlSyntaxError, "expected TO, found the"),
    "GRANT TABLE_READ ON trading.stock.quote@hangzhou FROM x@y": (SqlSyntaxError, "expected TO"),
    "GRANT TABLE_READ ON trading.stock.quote@hangzhou TO x@1": (SqlSyntaxError, "not a user"),
    "GRANT TABLE_READ ON trading.stock.quote@hangzhou TO x@y UNTIL 'soon'": (
        SqlSyntaxError,
        "'soon' is not a time",
    ),
    "GRANT TABLE_READ ON trading.stock.quote@hangzhou TO x@y UNTIL '2027-01-01T00:00:00'": (
        SqlSyntaxError,
        "not a time with its offset",
    ),
    "GRANT TABLE_READ ON trading.stock.quote@hangzhou TO x@y UNTIL '0001-01-01T00:00:00+14:00'": (
        SqlSyntaxError,
        "beyond the calendar",
    ),
    "REVOKE TABLE_READ ON a.b.c@d FROM x@y UNTIL '2027-01-01T00:00:00Z'": (
        SqlSyntaxError,
        "expected the end of the statement",
    ),
    "GRANT TABLE_READ ON a.b.c@d TO VISITORS": (
        StatementNotSupportedError,
        "VISITORS cannot hold grants",
    ),
    "CREATE GROUP": (SqlSyntaxError, "expected the name of a group"),
    "CREATE GROUP a b": (SqlSyntaxError, "expected the end of the statement"),
    "DROP GROUP ana/lysts@shanghai": (SqlSyntaxError, "is not the name of a group"),
    "DROP GROUP analysts@1": (SqlSyntaxError, "is not the name of a group"),
    "ALTER USER user1": (SqlSyntaxError, "expected PASSWORD, LOCK, UNLOCK, ADMIN"),
    "ALTER USER user1 LOCK ADMIN": (SqlSyntaxError, "expected the end"),
    "ALTER USER user1 NO": (SqlSyntaxError, "expected ADMIN"),
    "CREATE USER": (SqlSyntaxError, "expected a user"),
    "CREATE USER GROUP analysts": (SqlSyntaxError, "is not a user"),
    "CREATE USER user1 IN GROUP a@hangzhou": (SqlSyntaxError, "of another cluster than user1@sh"),
    "CREATE USER user1 WITH PASSWORD": (SqlSyntaxError, "holds a password"),
    "DROP USER user1, user2": (SqlSyntaxError, "expected the end"),
    "GRANT SCHEMA_WRITE ON trading.stock.quote TO user1": (SqlSyntaxError, "trading.stock@hang"),
    "GRANT SCHEMA_USAGE ON trading TO user1": (SqlSyntaxError, "is granted on a schema"),
    "ALTER GROUP traders user1@shanghai": (SqlSyntaxError, "expected ADD or REMOVE"),
    "ALTER GROUP traders ADD": (SqlSyntaxError, "expected a user"),
    "ALTER GROUP traders ADD GROUP analysts@shanghai": (SqlSyntaxError, "is not a user"),
    "SHOW READERS trading.stock.quote@hangzhou": (SqlSyntaxError, "expected OF"),
    "SHOW TABLES FOR GROUP traders": (SqlSyntaxError, "GROUP traders is not a user"),
    "grant(": (SqlSyntaxError, "found the end"),
    "GRANT": (SqlSyntaxError, "expected a privilege"),
    "SHOW": (SqlSyntaxError, "expected what to show"),
    "SHOW JOBS FOR": (SqlSyntaxError, "expected a user"),
    "SHOW JOBS FOR GROUP traders": (SqlSyntaxError, "GROUP traders is not a user"),
    "SHOW JOBS WHERE state = 'running'": (SqlSyntaxError, "system.federation.jobs WHERE"),
    "CANCEL JOB": (SqlSyntaxError, "expected a job's id in quotes"),
    "CANCEL JOB 17": (SqlSyntaxError, "expected a job's id in quotes"),
    "CANCEL JOB 'two words'": (SqlSyntaxError, "no job has such an id"),
    "CANCEL JOB 'a' 'b'": (SqlSyntaxError, "expected the end of the statement"),
    "CANCEL 'a'": (StatementNotSupportedError, "write CANCEL JOB"),
    "SHOW ALL": (StatementNotSupportedError, "SHOW ALL is not answered: the federation has no"),
    "SHOW server_version": (StatementNotSupportedError, "or write SHOW CLUSTERS, CATALOGS"),
    "show search_path;": (StatementNotSupportedError, "SHOW SEARCH_PATH is not answered"),
    "SHOW TIME ZONE": (StatementNotSupportedError, "SHOW TIME is not answered"),
    "SHOW DATABASES LIKE 'x'": (StatementNotSupportedError, "write SHOW CATALOGS"),
    "SHOW CREATE TABLE a.b.c": (StatementNotSupportedError, "write DESCRIBE"),
    "SHOW TABLES FROM trading.stock.quote@hangzhou": (SqlSyntaxError, "is a table"),
    "SHOW CATALOGS FROM 1": (SqlSyntaxError, "not the name of a cluster"),
    "SHOW TABLES LIKE q": (SqlSyntaxError, "expected a pattern in quotes"),
    "SHOW TABLES LIKE": (SqlSyntaxError, "expected a pattern in quotes"),
    "SHOW TABLES LIKE 'q%' FROM a": (SqlSyntaxError, "expected the end of the statement"),
    "SHOW TABLES WHERE table_name = 'q'": (SqlSyntaxError, "information_schema.tables WHERE"),
    "SHOW COLUMNS": (SqlSyntaxError, "expected FROM and a table"),
    "DESCRIBE information_schema.views": (NotFoundError, "holds schemata, tables, columns"),
    "DESCRIBE a.b.c.d@e": (SqlSyntaxError, "is not a name"),
    "DESCRIBE SELECT 1": (StatementNotSupportedError, "write EXPLAIN"),
    "DESCRIBE *@hangzhou": (NotFoundError, "lacks its catalog or schema"),
    "EXPLAIN ACCESS OF user1@shanghai": (SqlSyntaxError, "expected TO"),
    "EXPLAIN": (SqlSyntaxError, "expected ACCESS, found the end"),
}


@pytest.mark.parametrize("sql", READ)
def test_administrative_statement_is_read(sql: str) -> None:
    assert read(sql) == READ[sql]


@pytest.mark.parametrize("sql", REFUSED)
def test_faulty_administrative_statement_is_refused(sql: str) -> None:
    error, words = REFUSED[sql]
    with pytest.raises(error) as refusal:
        read(sql)
    assert words in str(refusal.value)


def test_describe_without_defaults_asks_for_the_full_name() -> None:
    with pytest.raises(NotFoundError, match=r"catalog\.schema\.table@cluster"):
        parse_statement("DESCRIBE quote", Defaults(DEFAULTS.cluster))


def test_without_a_federation_groups_are_the_clusters_own() -> None:
    alone = Defaults("shanghai")
    assert parse_statement("CREATE GROUP g", alone) == GroupStatement(
        "CREATE", "g", cluster="shanghai"
    )
    granted = parse_statement("GRANT TABLE_READ ON a.b.c TO GROUP g", alone)
    assert isinstance(granted, GrantStatement)
    assert granted.principals == ("GROUP g@shanghai",)


SECRET = "hunter2"
LEAKING = [
    f"CREATE USER u PASSWORD {SECRET}",
    f"CREATE USER u PASSWORD '{SECRET}",
    f"CREATE USER u PASSWORD '{SECRET}' '{SECRET}'",
    f"CREATE USER u PASSWORD 'it's {SECRET}'",
    f"CREATE USER u PASSWORD '{SECRET}' IN {SECRET}",
    f"ALTER USER u PASSWORD x;{SECRET}",
    f"ALTER USER u SET PASSWORD {SECRET}",
    f"EXPLAIN ALTER USER u PASSWORD '{SECRET}' {SECRET}",
    f'/* now */ alter\nuser u password "{SECRET}"',
]


@pytest.mark.parametrize("sql", LEAKING)
def test_no_refusal_repeats_a_password(sql: str) -> None:
    with pytest.raises(PlannerError) as refusal:
        read(sql)
    assert SECRET not in str(refusal.value)
    assert refusal.value.__cause__ is None
    assert refusal.value.__context__ is None
    assert "write CREATE USER" in str(refusal.value)


def test_statement_with_a_password_shows_it_to_nobody_and_is_kept_nowhere() -> None:
    sql = f"ALTER USER user1 PASSWORD '{SECRET}'"
    statement = read(sql)
    assert isinstance(statement, UserStatement)
    assert SECRET not in repr(statement)
    assert statement.password is not None
    kept = statement.password.concealed(sql, "$argon2id$x")
    assert kept == "ALTER USER user1 PASSWORD HASH '$argon2id$x'"
    assert read(kept) is not statement
    assert read(sql) is not statement
