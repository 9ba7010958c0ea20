"""The pages of the documentation that are made from the code: configuration, commands, SQL.

Run `.venv/bin/python -m tests.docs.generate` after a change of a setting or of a command's help;
`tests/docs/test_generated_pages.py` fails until the pages are what this module makes.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import typer
from typer.testing import CliRunner

from flight_member.cli import app as member_app
from flight_member.configuration import walk_settings
from flight_member.noderow import ENVELOPE, PERF_SCHEMA, NodeRow
from flight_member.settings import MemberSettings, ServerSettings
from flight_mom.cli import app as mom_app
from flight_mom.settings import MomSettings
from tests.docs.examples import with_examples
from tests.faults.report import table as recoveries

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

_WIDTH = 96
_PLAIN = {"COLUMNS": str(_WIDTH), "NO_COLOR": "1", "TERM": "dumb", "TERMINAL_WIDTH": str(_WIDTH)}
_NOTE = "<!-- Made by `python -m tests.docs.generate`; change the code, not this page. -->"
_PROGRAMS: Mapping[str, typer.Typer] = {"flight-mom": mom_app, "flight-member": member_app}
_MODELS: Mapping[str, type[ServerSettings]] = {
    "MoM": MomSettings,
    "member": MemberSettings,
}
_COLUMNS = "<!-- columns: made by `python -m tests.docs.generate` from flight_member/noderow.py -->"
_END_OF_COLUMNS = "<!-- end of columns -->"
_RECOVERIES = "<!-- recoveries: made by `python -m tests.docs.generate` from what was measured -->"
_END_OF_RECOVERIES = "<!-- end of recoveries -->"
_SQL_TYPES = {
    pa.utf8(): "VARCHAR",
    pa.bool_(): "BOOLEAN",
    pa.int64(): "BIGINT",
    pa.float64(): "DOUBLE",
    pa.timestamp("us", tz="UTC"): "TIMESTAMP",
}
# The seed systems' items under our names; only those that exist are shown.
_SEED_NAMES = {
    "isMasterOfMaster": "role",
    "clusterName": "cluster.name",
    "masterOfMasterSite": "mom.address",
    "momHeartbeatHandler": "heartbeat.handlers",
    "momHeartbeatDb, momHeartbeatTable": "heartbeat.table",
    "momDatanode": "heartbeat.data_node",
}


def configuration_page() -> str:
    """Return the page of all settings, with defaults, from the settings' own models."""
    defaults, meanings, owners = _read_settings()
    lines = [
        "# Configuration",
        "",
        _NOTE,
        "",
        _CONFIGURATION_HEAD,
        "",
    ]
    for section in dict.fromkeys(name.rpartition(".")[0] for name in meanings):
        lines += [
            f"## `[{section}]`" if section else "## At the top of the file",
            "",
            "| setting | default | of | meaning |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| `{name}` | {_shown(defaults[name])} | {_owned(owners[name])} | {meaning} |"
            for name, meaning in meanings.items()
            if name.rpartition(".")[0] == section
        ]
        lines.append("")
    lines += [
        "## Names in DolphinDB",
        "",
        "Who comes from DolphinDB's multi-cluster management finds its items under these names.",
        "",
        "| there | here |",
        "|---|---|",
    ]
    lines += [f"| `{there}` | `{here}` |" for there, here in _SEED_NAMES.items() if here in owners]
    return "\n".join(lines) + "\n"


def cli_page() -> str:
    """Return the page of all commands, with the help that each of them prints."""
    lines = ["# Commands", "", _NOTE, "", _CLI_HEAD, ""]
    for program in _PROGRAMS:
        for words in commands_of(program):
            lines += [f"## `{' '.join(words)}`", "", "```text", help_of(words), "```", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def sql_page() -> str:
    """Return the page on SQL with its examples as the planner answers them."""
    return with_examples((DOCS / "sql.md").read_text("utf-8"))


def heartbeats_page() -> str:
    """Return the page on heartbeats with the columns that a row has."""
    head, rest = (DOCS / "heartbeats.md").read_text("utf-8").split(_COLUMNS, 1)
    _, tail = rest.split(_END_OF_COLUMNS, 1)
    lines = ["", "| column | type | unit | meaning | in DolphinDB |", "|---|---|---|---|---|"]
    lines += [
        f"| `{name}` | {_SQL_TYPES[kind]} | {unit} | {meaning} | |"
        for name, kind, unit, meaning in ENVELOPE
    ]
    for name in PERF_SCHEMA.names[len(ENVELOPE) :]:
        field = NodeRow.model_fields[name]
        extra: Any = field.json_schema_extra
        seeds = ", ".join(f"`{seed}`" for seed in extra["seed"].split(", ") if seed)
        kind = _SQL_TYPES[PERF_SCHEMA.field(name).type]
        lines.append(f"| `{name}` | {kind} | {extra['unit']} | {field.description} | {seeds} |")
    return head + _COLUMNS + "\n".join(lines) + "\n" + _END_OF_COLUMNS + tail


def reliability_page() -> str:
    """Return the page on reliability with how long recovering took when it was last measured."""
    head, rest = (DOCS / "reliability.md").read_text("utf-8").split(_RECOVERIES, 1)
    _, tail = rest.split(_END_OF_RECOVERIES, 1)
    lines = ["", *recoveries(), ""]
    return head + _RECOVERIES + "\n".join(lines) + _END_OF_RECOVERIES + tail


def commands_of(program: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command of a program: itself first, then depth first."""
    yield from _walk((program,), typer.main.get_command(_PROGRAMS[program]))


def help_of(words: tuple[str, ...]) -> str:
    """Return what a command prints when asked for help, at a fixed width and without colour."""
    result = CliRunner(env=_PLAIN).invoke(
        _PROGRAMS[words[0]],
        [*words[1:], "--help"],
        prog_name=words[0],
        color=False,
        terminal_width=_WIDTH,
    )
    assert result.exit_code == 0, result.output
    return "\n".join(line.rstrip() for line in result.output.strip("\n").splitlines()).strip("\n")


PAGES: Mapping[str, Callable[[], str]] = {
    "configuration.md": configuration_page,
    "cli.md": cli_page,
    "heartbeats.md": heartbeats_page,
    "reliability.md": reliability_page,
    "sql.md": sql_page,
}


def main() -> None:
    """Write every page."""
    for name, make in PAGES.items():
        (DOCS / name).write_text(make(), "utf-8")


def _walk(words: tuple[str, ...], command: Any) -> Iterator[tuple[str, ...]]:
    yield words
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield from _walk((*words, name), child)


def _read_settings() -> tuple[dict[str, object], dict[str, str], dict[str, list[str]]]:
    """Return default, meaning and owners of each setting; a setting has one meaning."""
    defaults: dict[str, object] = {}
    meanings: dict[str, str] = {}
    owners: dict[str, list[str]] = {}
    for owner, model in _MODELS.items():
        for name, default, description in walk_settings(model):
            # `role` differs by program, and is fixed in each.
            known = default if owners.get(name) is None else defaults[name]
            defaults[name] = default if known == default else f"{known} or {default}"
            assert meanings.setdefault(name, description) == description, name
            owners.setdefault(name, []).append(owner)
    # What the whole file says comes before its sections.
    order = sorted(meanings, key=lambda name: "." in name)
    return defaults, {name: meanings[name] for name in order}, owners


def _shown(default: object) -> str:
    if default is None:
        return "required"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple | list):
        return f"`{list(default)}`"
    if isinstance(default, Path):
        return "`--dir`"
    text = re.sub(r"\.0$", "", str(default))
    return f"`{text}`" if text else "empty"


def _owned(owners: list[str]) -> str:
    return "both" if len(owners) == len(_MODELS) else owners[0]


_CONFIGURATION_HEAD = """\
A setting takes the last of these that names it: its default, the settings file, the environment,
a flag of the command. The file is `flight-mom.toml` or `flight-member.toml` in the state directory
(`--dir`), or the one given with `--config`. `init` writes a first one.

```toml
[server]
host = "0.0.0.0"
advertise = "shanghai.example.org"

[tables]
roots = ["/data/shared"]
```

In the environment a setting is `FLIGHT_MOM_` or `FLIGHT_MEMBER_`, then its name in capitals with
two underscores for the dot: `FLIGHT_MEMBER_SERVER__PORT=32015`. Lists are written as JSON there:
`FLIGHT_MEMBER_TABLES__ROOTS='["/data/shared"]'`.

Unknown names are refused, and every fault is listed at once with where it came from. To see what
counts, and why:

```sh
flight-member check-config --dir shanghai
```

In the tables below, *of* says which program has the setting: the MoM, a member, or both."""

_CLI_HEAD = """\
There are two programs: `flight-mom` for the Master of Masters and for whoever asks it, and
`flight-member` for a member cluster. Both end with 0 when the work is done, 1 when it failed, 2 on
wrong usage or configuration, and 3 when a server could not start. Results go to standard output,
faults to standard error. `--json` prints JSON for programs."""


if __name__ == "__main__":
    main()
