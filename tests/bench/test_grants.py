import json
from pathlib import Path

from bench.grantresults import CHANGE, DECISION, FIGURES, START
from bench.grantstate import GrantState
from flight_member.clock import utc_now
from flight_mom.topology import Topology
from tests.bench.commands import run_bench


def test_grants_measures_every_figure(tmp_path: Path) -> None:
    sizes = ["--grants", "2000", "--clusters", "10", "--decisions", "50", "--changes", "4"]
    done = run_bench("grants", *sizes, "--json", "--results", str(tmp_path))
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    figures = {one["name"]: one for one in answer["figures"]}
    assert tuple(figures) == FIGURES
    for one in figures.values():
        assert 0 <= min(one["values"]) <= one["p50"] <= one["p99"] <= max(one["values"])
        assert (one["target"] is None) == (one["is_met"] is None)
    assert [len(figures[name]["values"]) for name in (START, DECISION, CHANGE)] == [1, 50, 4]
    assert {name: one["target"] for name, one in figures.items() if one["target"]} == {
        START: 15.0,
        DECISION: 20.0,
        CHANGE: 50.0,
    }
    assert json.loads((tmp_path / "grants.json").read_text("utf-8")) == answer
    assert (tmp_path / "grants.png").read_bytes().startswith(b"\x89PNG")


def test_state_holds_what_is_asked_for(tmp_path: Path) -> None:
    state, told = GrantState(clusters=10, grants=3000), list[str]()
    home = state.make(tmp_path / "mom", told.append)
    database = home.open_database()
    topology = Topology("headquarters", database, home.settings.heartbeat, utc_now)
    database.close()
    federation = topology.federation
    assert len(federation.grants) == 3000
    assert len(federation.members) == 10
    assert len(told) == state.steps
    levels = {grant.securable.level for grant in federation.grants}
    assert len(levels) == 3
    # Nobody is granted anything at home, and every table that is granted is there.
    for grant in federation.grants:
        assert grant.principal.cluster != grant.securable.cluster
        assert any(federation.members[grant.securable.cluster].metastore.below(grant.securable))
