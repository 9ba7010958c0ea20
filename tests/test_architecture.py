"""The import rule of the folders, read from the source."""

import ast
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
        "storage/engine.py",
        "storage/memoryengine.py",
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


def test_importing_names_loads_no_engine() -> None:
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    code = (
        "import sys, storage.names;"
        "heavy = {'datafusion', 'pyarrow', 'sqlalchemy'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)  # noqa: S603


def test_no_module_is_called_by_a_word_that_means_nothing() -> None:
    nothing = {"utils", "util", "common", "helpers", "helper", "manager", "base", "misc"}
    assert not [path for path in modules() if path.stem in nothing]
