"""The page for those who come from DolphinDB: every statement on it runs, every setting exists."""

import re
from collections.abc import Iterator

import pytest

from flight_member.jobrows import JobState
from flight_member.settings import MemberSettings
from flight_mom.demo.federation import HANGZHOU, MOM, SHANGHAI, DemoFederation
from flight_mom.settings import MomSettings
from flight_sql import Client
from tests.docs.pages import ROOT
from tests.e2e.federation import CHIEF

PAGE = (ROOT / "docs" / "coming-from-dolphindb.md").read_text("utf-8")
_SQL = re.compile(
    r"(?:SHOW|SELECT|DESCRIBE|GRANT|EXPLAIN|CREATE|ALTER|DROP|USE|grant\(|deny\(|revoke\().*"
)
_CODE = re.compile(r"`([^`]+)`")
_SETTING = re.compile(r"(?:cluster|mom|heartbeat|limits|jobs)\.(?!md\b)[a-z_]+")


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def statements(part: str) -> Iterator[str]:
    """Yield what the second column of the tables of a part tells to write, in the page's order."""
    for line in part.splitlines():
        cells = re.split(r"(?<!\\)\|", line)
        if len(cells) > 3:
            yield from (text for text in _CODE.findall(cells[2]) if _SQL.fullmatch(text))


def run(client: Client, part: str) -> int:
    ran = 0
    for sql in statements(part):
        client.query(sql).read_all()
        ran += 1
    return ran


def test_what_administrators_of_the_federation_write_runs(admin: Client) -> None:
    assert run(admin, section("Access")) == 12


@pytest.mark.usefixtures("granted")
def test_what_everybody_writes_runs(reader: Client) -> None:
    assert run(reader, section("The clusters")) == 10
    assert run(reader, section("Jobs")) == 6


def test_what_is_written_at_home_runs(federation: DemoFederation) -> None:
    by_administrators, _, by_anybody = section("At home").partition("\nAs any user")
    with federation.client("user2", HANGZHOU, at=HANGZHOU) as user2:
        assert run(user2, by_anybody) == 4
    with federation.client(CHIEF, HANGZHOU, at=HANGZHOU) as chief:
        assert run(chief, by_administrators) == 19
        for word in ("maria", "brokers", "library", "research"):
            for shown in ("SHOW USERS", "SHOW GROUPS", "SHOW CATALOGS"):
                assert word not in str(chief.query(shown).read_all().to_pylist())


def test_clusters_of_the_page_are_those_of_the_tests() -> None:
    for name in (MOM, HANGZHOU, SHANGHAI):
        assert name in PAGE


def test_settings_of_the_page_exist() -> None:
    named = set(_SETTING.findall(PAGE))
    assert len(named) >= 7
    for name in sorted(named):
        group, _, setting = name.partition(".")
        models = [
            model.model_fields[group].annotation
            for model in (MomSettings, MemberSettings)
            if group in model.model_fields
        ]
        assert any(setting in getattr(model, "model_fields", {}) for model in models), name


@pytest.mark.parametrize("state", ["queued", "running", "finished"])
def test_states_of_the_page_exist(state: str) -> None:
    assert f"state = '{state}'" in PAGE
    assert state in set(JobState)
