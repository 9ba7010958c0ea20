import json
from pathlib import Path

import pytest

from auth import AuditUnavailableError, Principal
from flight_member.errors import ConfigurationError, NotFoundError, PermissionDeniedError
from flight_mom.declaration import (
    APPLY,
    EXPORT,
    ApplyReply,
    ApplyRequest,
    Declaration,
    read_declaration,
    write_declaration,
)
from flight_sql import Call
from tests.flight_member.factories import break_audit, make_identity
from tests.flight_mom.factories import FLIGHTS, PEER, Mom

DECLARED = f"""
[groups]
traders = ["user1@shanghai", "user3@shanghai"]
brokers = []

[[grant]]
allow = "TABLE_READ"
on = "{FLIGHTS}"
to = ["user1@shanghai", "GROUP traders"]
until = 2027-01-01T00:00:00Z

[[grant]]
deny = "schema_read"
on = ["aviation.nyc@hangzhou"]
to = "GROUP analysts@shanghai"
"""


def declared(directory: Path, text: str = DECLARED) -> Declaration:
    file = directory / "grants.toml"
    file.write_text(text, "utf-8")
    return read_declaration(file)


def apply(
    mom: Mom, declaration: Declaration, *, caller: object = None, **options: bool
) -> list[tuple[str, str]]:
    request = ApplyRequest(declaration=declaration, **options)
    call = Call(identity=caller or mom.admin, peer=PEER)
    body = mom.administration.actions()[APPLY](call, request.write())
    return [(one.change, one.what) for one in ApplyReply.read(body).differences]


def exported(mom: Mom) -> Declaration:
    call = Call(identity=mom.admin, peer=PEER)
    return Declaration.read(mom.administration.actions()[EXPORT](call, b""))


ADDED = [
    ("added", "GROUP brokers"),
    ("added", "GROUP traders"),
    ("added", "user1@shanghai in GROUP traders"),
    ("added", "user3@shanghai in GROUP traders"),
    (
        "added",
        f"ALLOW TABLE_READ ON {FLIGHTS} TO user1@shanghai UNTIL '2027-01-01T00:00:00+00:00'",
    ),
    (
        "added",
        f"ALLOW TABLE_READ ON {FLIGHTS} TO GROUP traders UNTIL '2027-01-01T00:00:00+00:00'",
    ),
    ("added", "DENY SCHEMA_READ ON aviation.nyc@hangzhou TO GROUP analysts@shanghai"),
]


def test_state_becomes_what_is_declared_and_stays_so(federation: Mom, tmp_path: Path) -> None:
    declaration = declared(tmp_path)
    assert apply(federation, declaration, is_dry_run=True) == ADDED
    federation.topology.refresh()
    assert exported(federation) == Declaration(groups={}, grants=())
    assert apply(federation, declaration) == ADDED
    assert len(federation.ask("SHOW GRANTS")) == 3
    assert len(federation.ask("SHOW GROUPS")) == 3
    assert apply(federation, declaration, prune=True) == []


def test_what_is_not_declared_goes_only_when_asked(federation: Mom, tmp_path: Path) -> None:
    apply(federation, declared(tmp_path))
    federation.ask("GRANT CATALOG_READ ON *@hangzhou TO user3@shanghai")
    fewer = declared(
        tmp_path,
        f'[groups]\ntraders = ["user1@shanghai"]\n[[grant]]\nallow = "TABLE_READ"\n'
        f'on = "{FLIGHTS}"\nto = "user1@shanghai"\n',
    )
    changed = ("changed", f"ALLOW TABLE_READ ON {FLIGHTS} TO user1@shanghai")
    assert apply(federation, fewer) == [changed]
    assert len(federation.ask("SHOW GRANTS")) == 4
    removed = apply(federation, fewer, prune=True)
    assert {change for change, _ in removed} == {"removed"}
    assert {what for _, what in removed} == {
        "GROUP brokers",
        "user3@shanghai in GROUP traders",
        "ALLOW CATALOG_READ ON *@hangzhou TO user3@shanghai",
        "DENY SCHEMA_READ ON aviation.nyc@hangzhou TO GROUP analysts@shanghai",
        f"ALLOW TABLE_READ ON {FLIGHTS} TO GROUP traders UNTIL '2027-01-01T00:00:00+00:00'",
    }
    assert [row["until"] for row in federation.ask("SHOW GRANTS")] == [None]


def test_export_is_what_apply_reads(federation: Mom, tmp_path: Path) -> None:
    apply(federation, declared(tmp_path))
    first = exported(federation)
    again = declared(tmp_path, write_declaration(first))
    assert apply(federation, again, prune=True) == []
    for row in federation.ask("SHOW GRANTS"):
        federation.ask(f"REVOKE {row['privilege']} ON {row['securable']} FROM {row['principal']}")
    for group in ("traders", "brokers"):
        federation.ask(f"DROP GROUP {group}")
    assert len(apply(federation, again)) == len(ADDED)
    assert exported(federation) == first


def test_application_is_audited_and_takes_back_what_it_removes(
    federation: Mom, tmp_path: Path
) -> None:
    federation.ask(f"GRANT TABLE_READ ON {FLIGHTS} TO user3@shanghai")
    epoch = federation.topology.federation.epoch
    apply(federation, declared(tmp_path), prune=True)
    acts = {(one.action, one.object) for one in federation.audited()}
    assert {
        ("apply grants", "GROUP traders"),
        ("allow", FLIGHTS),
        ("deny", "aviation.nyc@hangzhou"),
        ("revoke", FLIGHTS),
    } <= acts
    revoked = {one.principal for one in federation.topology.federation.revocations.since(epoch)}
    assert revoked == {
        Principal.parse("user3@shanghai"),
        Principal.parse("GROUP analysts@shanghai"),
    }


def test_application_and_its_audit_are_one(federation: Mom, tmp_path: Path) -> None:
    break_audit(federation.database)
    with pytest.raises(AuditUnavailableError):
        apply(federation, declared(tmp_path))
    federation.topology.refresh()
    assert exported(federation) == Declaration(groups={}, grants=())


@pytest.mark.parametrize(
    "wrong, words",
    [
        ('to = ["user1@shanghai", "GROUP traders"]|to = "nobody@shanghai"', "nobody@shanghai does"),
        ('to = ["user1@shanghai", "GROUP traders"]|to = "GROUP others"', "GROUP others does not"),
        (f'on = "{FLIGHTS}"|on = "a.b.nothing@hangzhou"', "a.b.nothing@hangzhou does not exist"),
        ('to = ["user1@shanghai", "GROUP traders"]|to = "user2@hangzhou"', "home rules apply"),
        ('brokers = []|brokers = ["nobody@nowhere"]', "nobody@nowhere does not exist"),
    ],
)
def test_one_fault_and_nothing_changes(
    federation: Mom, tmp_path: Path, wrong: str, words: str
) -> None:
    old, _, new = wrong.partition("|")
    assert old in DECLARED
    with pytest.raises(NotFoundError) as refused:
        apply(federation, declared(tmp_path, DECLARED.replace(old, new)))
    assert words in refused.value.text
    assert "nothing was changed" in refused.value.text
    federation.topology.refresh()
    assert exported(federation) == Declaration(groups={}, grants=())


@pytest.mark.parametrize("action", [APPLY, EXPORT])
def test_only_administrators_apply_and_export(federation: Mom, tmp_path: Path, action: str) -> None:
    body = ApplyRequest(declaration=declared(tmp_path)).write()
    for caller in (make_identity(), make_identity("chief@hangzhou", is_admin=True), None):
        with pytest.raises(PermissionDeniedError):
            federation.administration.actions()[action](Call(identity=caller, peer=PEER), body)


FAULTY = {
    "a b = 3": "line 1, column 3: not TOML",
    "a = ": "not TOML: it ends too early",
    "[grants]\n": "'grants' is not known; write [groups] and [[grant]]",
    "grant = 3": "write [groups] and [[grant]]",
    "grant = [3]": "grant 1: write [[grant]]",
    '[[grant]]\non = "a@b"\nto = "u@c"': "grant 1: write either allow or deny",
    '[[grant]]\nallow = "SELECT"\non = "a@b"\nto = "u@c"': "grant 1: 'SELECT' cannot be granted",
    '[[grant]]\nallow = "TABLE_READ"\non = "a@b"\nto = "u@c"': "grant 1: TABLE_READ does not fit",
    '[[grant]]\nallow = "CATALOG_READ"\non = "a"\nto = "u@c"': "grant 1: on: 'a' needs its cluster",
    '[[grant]]\nallow = "CATALOG_READ"\non = "a@b"\nto = "u"': "grant 1: to: user 'u' needs a",
    '[[grant]]\nallow = "CATALOG_READ"\non = "a@b"\nto = 3': "grant 1: to: write a text",
    '[[grant]]\nallow = "CATALOG_READ"\non = "a@b"\nto = []': "grant 1: to: write a text",
    '[[grant]]\nallow = "CATALOG_READ"\non = "a@b"\nto = "u@c"\nuntil = 2027-01-01': "until: write",
    '[[grant]]\nallow = "CATALOG_READ"\non = "a@b"\nto = "u@c"\nfrom = 3': "'from' is not known",
    '[groups]\n"a b" = []': "group a b: 'a b' is not the name",
    '[groups]\na = ["GROUP b@c"]': "group a: GROUP b@c is not a user",
    '[[grant]]\nallow = "CATALOG_READ"\non = "a@b"\nto = "u@c"\n'
    '[[grant]]\nallow = "CATALOG_READ"\non = "a@b"\nto = "u@c"\nuntil = "2027-01-01T00:00:00Z"': (
        "declared twice, with different ends"
    ),
}


@pytest.mark.parametrize("text", FAULTY)
def test_fault_in_a_file_names_its_entry(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        declared(tmp_path, text)
    assert "grants.toml: " in str(refused.value)
    assert FAULTY[text] in str(refused.value)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        declared(tmp_path, '[[grant]]\nallow = "SELECT"\non = "a"\nto = "u"\n[[grant]]\nx = 1\n')
    for words in ("'SELECT'", "on: 'a'", "to: user 'u'", "grant 2: 'x'", "grant 2: write either"):
        assert words in str(refused.value)


def test_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_declaration(tmp_path / "nothing.toml")


def test_names_are_written_so_that_toml_reads_them(tmp_path: Path) -> None:
    declaration = Declaration(groups={"a.b-c": ("u.1@c",), "1": ()}, grants=())
    assert declared(tmp_path, write_declaration(declaration)) == declaration
    assert json.loads(declaration.write())["groups"] == {"a.b-c": ["u.1@c"], "1": []}
