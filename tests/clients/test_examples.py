"""The programs that the pages show are the pages' own text, and answer as shown there."""

import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.clients.programs import (
    JAVA,
    NODE,
    PYTHON,
    ROOT,
    compile_java,
    run,
    run_java,
    run_node,
)
from tests.docs.pages import blocks

PAGES = ROOT / "docs" / "clients"

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]


def test_the_java_program_answers_as_shown(demo: Path, tmp_path: Path) -> None:
    page = PAGES / "jdbc.md"
    assert blocks(page, "java") == [(JAVA / "Example.java").read_text("utf-8")]
    me = json.loads((demo / "profiles" / "user1.json").read_text("utf-8"))
    compile_java(tmp_path)
    environment = {
        "FLIGHT_URL": f"jdbc:arrow-flight-sql://{me['uri'].partition('://')[2]}",
        "FLIGHT_USER": me["username"],
        "FLIGHT_PASSWORD": me["password"],
    }
    assert blocks(page, "text") == [run_java("Example", tmp_path, environment)]


def test_the_node_program_answers_as_shown(demo: Path) -> None:
    page = PAGES / "node.md"
    assert blocks(page, "javascript") == [(NODE / "example.mjs").read_text("utf-8")]
    me = json.loads((demo / "profiles" / "user1.json").read_text("utf-8"))
    where = urlsplit(me["uri"])
    environment = {
        "FLIGHT_HOST": str(where.hostname),
        "FLIGHT_PORT": str(where.port),
        "FLIGHT_USER": me["username"],
        "FLIGHT_PASSWORD": me["password"],
    }
    assert blocks(page, "text") == [run_node("example.mjs", environment)]


@pytest.mark.parametrize("name", ["sqlalchemy", "ibis"])
def test_the_program_of_the_other_environment_answers_as_shown(demo: Path, name: str) -> None:
    page = PAGES / f"{name}.md"
    (program,), (shown,) = blocks(page, "py"), blocks(page, "text")
    profile = {"FLIGHT_MOM_PROFILE": str(demo / "profiles" / "user1.json")}
    assert run([str(PYTHON), "-W", "ignore", "-c", program], profile) == shown
