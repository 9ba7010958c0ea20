import subprocess
import sys

import pytest

import auth
from auth import AuthError, errors

STATUSES = {
    "INVALID_ARGUMENT",
    "NOT_FOUND",
    "UNIMPLEMENTED",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "UNAVAILABLE",
    "INTERNAL",
}
ERRORS = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, AuthError)
]


def test_importing_the_package_loads_no_database_library() -> None:
    script = (
        "import auth, sys; heavy = {'sqlalchemy', 'datafusion', 'sqlglot', 'pyarrow'}; "
        "loaded = heavy & {m.split('.')[0] for m in sys.modules}; sys.exit(', '.join(loaded) or 0)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)  # noqa: S603  the script above


def test_everything_exported_is_there_sorted_and_once() -> None:
    assert len(set(auth.__all__)) == len(auth.__all__)
    ordered = sorted(
        auth.__all__, key=lambda name: (not name.isupper(), not name[0].isupper(), name)
    )
    assert auth.__all__ == ordered
    for name in auth.__all__:
        assert hasattr(auth, name)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_is_exported_and_starts_with_its_code(error: type[AuthError]) -> None:
    assert error.__name__ in auth.__all__
    assert error.status in STATUSES
    assert str(error("do this instead")) == f"{error.code}: do this instead"
    assert error("x").text == "x"
    assert errors.__doc__ is not None
    assert error is AuthError or f" {error.code} " in errors.__doc__


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [error.code for error in ERRORS]
    assert len(set(codes)) == len(codes)
