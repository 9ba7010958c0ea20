"""The import rule of the folders, read from the source."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("flight_sql", "planner", "auth", "storage", "flight_member", "flight_mom", "bench")
NAMES_ONLY = {"storage.names"}

# Which of our modules a package may import: package roots, or single modules by full name.
ALLOWED: dict[str, set[str]] = {
    "storage": {"storage"},
    "flight_sql": {"flight_sql"},
    "planner": {"planner", *NAMES_ONLY},
    "auth": {"auth", *NAMES_ONLY},
    "flight_member": {"flight_member", "flight_sql", "planner", "auth", "storage"},
    "flight_mom": {"flight_mom", "flight_member", "flight_sql", "planner", "auth", "storage"},
    "bench": set(PACKAGES),
}

# Who may import a library: paths below the root, a folder or a module.
OWNERS: dict[str, tuple[str, ...]] = {
    "pyarrow.flight": ("flight_sql", "bench"),
    "google": ("flight_sql",),
    "sqlglot": ("planner",),
    "datafusion": (
        "planner/plan.py",
        "storage/datafusionengine.py",
        "storage/memoryengine.py",
        "storage/providers.py",
        "storage/remotefiles.py",
        "storage/sessions.py",
        "bench",
    ),
    "cryptography": ("auth",),
    "jwt": ("auth",),
    "deltalake": ("storage",),
    "nicegui": ("flight_mom/console",),
    "fastapi": ("flight_mom/console",),
}


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def imports_of(module: Path) -> Iterator[str]:
    """Yield the full dotted name of everything that a module imports, at any depth of the code."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are absolute"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_within(name: str, allowed: str) -> bool:
    return name == allowed or name.startswith(f"{allowed}.")


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_module_imports_only_what_the_architecture_allows(module: Path) -> None:
    package = module.relative_to(ROOT).parts[0]
    ours = {name for name in imports_of(module) if name.split(".")[0] in PACKAGES}
    foreign = {name for name in ours if not any(is_within(name, rule) for rule in ALLOWED[package])}
    assert not foreign


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_library_is_imported_by_its_owner_only(module: Path) -> None:
    path = module.relative_to(ROOT).as_posix()
    for name in imports_of(module):
        for library, owners in OWNERS.items():
            if is_within(name, library):
                assert any(path == owner or path.startswith(f"{owner}/") for owner in owners), (
                    f"{path} imports {name}, which belongs to {owners}"
                )


@pytest.mark.parametrize("module", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_databases_are_touched_by_stores_only(module: Path) -> None:
    if any(is_within(name, "sqlalchemy") for name in imports_of(module)):
        assert module.stem.endswith("store")


# A command that asks for help, or is refused at once, should not load a server first.
HEAVY = ("datafusion", "deltalake", "pandas", "pyarrow", "sqlalchemy", "sqlglot", "structlog")
LIGHT = {
    "storage.names": {"datafusion", "pyarrow", "sqlalchemy"},
    "flight_member.cli": {*HEAVY, *PACKAGES[:3], "flight_member.server"},
    "flight_mom.cli": {*HEAVY, *PACKAGES[:3], "flight_mom.server"},
    # Commands that only ask, or touch the state directory, load what does that and no engine.
    "flight_sql": {"datafusion", "pandas", "sqlalchemy"},
    "flight_member.memberhome": {"datafusion", "deltalake", "pandas", "planner"},
    "flight_mom.momhome": {"datafusion", "deltalake", "pandas", "planner"},
}


@pytest.mark.parametrize("module", LIGHT)
def test_what_every_start_of_a_command_imports_is_light(module: str) -> None:
    code = f"import sys, {module}; sys.exit(' '.join({LIGHT[module]} & set(sys.modules)))"
    loading = subprocess.run(  # noqa: S603  our own text
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert not loading.stderr.strip()


def test_no_module_is_called_by_a_word_that_means_nothing() -> None:
    nothing = {"utils", "util", "common", "helpers", "helper", "manager", "base", "misc"}
    assert not [path for path in modules() if path.stem in nothing]
