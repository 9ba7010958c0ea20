import json
from pathlib import Path

from bench.forms import FORM_STATEMENTS, FORMS, ROUTES
from tests.bench.commands import run_bench


def test_forms_are_measured_by_both_routes(tmp_path: Path, lineitem: Path) -> None:
    places = ["--data", str(lineitem), "--results", str(tmp_path / "results")]
    done = run_bench("forms", "--scale", "0.01", "--runs", "1", "--json", *places)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    measured = {
        (one["statement"], one["route"], one["form"]): one for one in answer["measurements"]
    }
    statements = [one.name for one in FORM_STATEMENTS]
    assert set(measured) == {(s, r, f) for s in statements for r in ROUTES for f in FORMS}
    for (statement, route, form), one in measured.items():
        assert one["seconds"] > 0
        assert one["row_count"] == measured[statements[0], "member", "safe"]["row_count"]
        plain = measured[statement, route, "safe"]["byte_count"]
        if form.startswith("safe, "):
            assert one["byte_count"] < plain
    encoded = measured["4 dictionaries", "member", "native"]["byte_count"]
    assert encoded < measured["4 dictionaries", "member", "safe"]["byte_count"]
    assert json.loads((tmp_path / "results" / "forms.json").read_text("utf-8")) == answer
    assert (tmp_path / "results" / "forms.png").read_bytes().startswith(b"\x89PNG")
