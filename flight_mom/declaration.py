"""A declared state of grants and groups: as a TOML file, and as messages to the MoM.

[groups]
traders = ["user1@shanghai", "user2@hangzhou"]

[[grant]]
allow = "TABLE_READ"                       # or deny
on = ["trading.stock.quote@hangzhou"]      # one name, or several
to = ["user3@shanghai", "GROUP traders"]   # likewise
until = 2027-01-01T00:00:00Z               # left out: without end
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

from auth import AuthError, Effect, Principal, Privilege, check_level, fold_principal
from flight_member.errors import ConfigurationError
from flight_member.protocol import Message
from storage.names import InvalidNameError, ObjectName

APPLY: Final = "federation.apply_grants"
EXPORT: Final = "federation.export_grants"

_KEYS = frozenset({"allow", "deny", "on", "to", "until"})
_PLACE = re.compile(r"\(at (line \d+, column \d+)\)")

T = TypeVar("T")


class DeclaredGrant(Message):
    """One grant: one principal, one privilege on one object."""

    principal: str
    effect: str
    privilege: str
    securable: str
    until: float | None = None


class Declaration(Message):
    """All grants and groups that there should be."""

    max_bytes: ClassVar[int] = 512 << 20

    groups: dict[str, tuple[str, ...]]
    grants: tuple[DeclaredGrant, ...]


class ApplyRequest(Message):
    """Make the state what was declared; what is not declared goes when `prune` says so."""

    max_bytes: ClassVar[int] = Declaration.max_bytes

    declaration: Declaration
    prune: bool = False
    is_dry_run: bool = False


class Difference(Message):
    """One thing that was not as declared."""

    change: str
    """`added`, `changed` or `removed`."""
    what: str


class ApplyReply(Message):
    """What was changed, or would be."""

    max_bytes: ClassVar[int] = Declaration.max_bytes

    differences: tuple[Difference, ...]


def read_declaration(file: Path) -> Declaration:
    """Read a file.

    Raises:
        ConfigurationError: Naming every entry at fault and what is wrong with it.
    """
    try:
        written = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        fault = error.strerror or "cannot be read"
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        fault = f"{place[1]}: not TOML" if place else "not TOML: it ends too early"
    except UnicodeDecodeError:
        fault = "not UTF-8"
    else:
        return _Reader(str(file)).read(written)
    raise ConfigurationError([f"{file}: {fault}"])


def write_declaration(declaration: Declaration) -> str:
    """Return the file that declares this; grants that differ in their principal stand together."""
    lines = ["[groups]"]
    lines += [
        f"{json.dumps(name)} = {json.dumps(list(members))}"
        for name, members in sorted(declaration.groups.items())
    ]
    together: dict[tuple[str, str, str, float | None], list[str]] = {}
    for grant in declaration.grants:
        key = (grant.securable, grant.effect, grant.privilege, grant.until)
        together.setdefault(key, []).append(grant.principal)
    for (securable, effect, privilege, until), principals in together.items():
        lines += [
            "",
            "[[grant]]",
            f'{effect.lower()} = "{privilege}"',
            f"on = {json.dumps(securable)}",
            f"to = {json.dumps(sorted(principals))}",
        ]
        if until is not None:
            lines.append(f"until = {datetime.fromtimestamp(until, UTC).isoformat()}")
    return "\n".join(lines) + "\n"


class _Reader:
    """Reads what TOML holds, and collects every fault before it refuses."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._faults: list[str] = []

    def read(self, written: Mapping[str, Any]) -> Declaration:
        for key in written.keys() - {"groups", "grant"}:
            self._fault("", f"{key!r} is not known; write [groups] and [[grant]]")
        groups = written.get("groups", {})
        entries = written.get("grant", [])
        if not isinstance(groups, dict) or not isinstance(entries, list):
            self._fault("", "write [groups] and [[grant]]")
            groups, entries = {}, []
        declared = {
            name: members
            for key, value in groups.items()
            for name, members in self._group(str(key), value)
        }
        grants = [
            grant
            for number, entry in enumerate(entries, start=1)
            for grant in self._grants(f"grant {number}", entry)
        ]
        seen: dict[tuple[str, str, str, str], float | None] = {}
        for grant in grants:
            named = (grant.principal, grant.effect, grant.privilege, grant.securable)
            if seen.setdefault(named, grant.until) != grant.until:
                self._fault("", f"{' '.join(named)} is declared twice, with different ends")
        if self._faults:
            raise ConfigurationError(self._faults)
        return Declaration(groups=declared, grants=tuple(dict.fromkeys(grants)))

    def _group(self, key: str, value: object) -> Iterator[tuple[str, tuple[str, ...]]]:
        place = f"group {key}"
        name = self._one(place, key, fold_principal)
        users = [self._one(place, text, Principal.parse) for text in self._texts(place, value)]
        for user in users:
            if user is not None and user.kind != "user":
                self._fault(place, f"{user} is not a user: groups hold users only")
        if name is not None:
            yield name, tuple(sorted({str(user) for user in users if user is not None}))

    def _grants(self, place: str, entry: object) -> Iterator[DeclaredGrant]:
        if not isinstance(entry, dict):
            self._fault(place, "write [[grant]] with allow or deny, on and to")
            return
        for key in sorted(entry.keys() - _KEYS):
            self._fault(place, f"{key!r} is not known; write allow or deny, on, to, until")
        said = [effect for effect in Effect if effect.lower() in entry]
        if len(said) != 1:
            self._fault(place, "write either allow or deny, with a privilege")
            return
        effect = said[0]
        written = self._texts(place, entry[effect.lower()])
        privileges = [self._one(place, text, Privilege.parse) for text in written]
        securables = [
            self._one(f"{place}: on", text, ObjectName.parse)
            for text in self._texts(f"{place}: on", entry.get("on"))
        ]
        principals = [
            self._one(f"{place}: to", text, Principal.parse)
            for text in self._texts(f"{place}: to", entry.get("to"))
        ]
        until = self._until(place, entry.get("until"))
        for privilege in privileges:
            for securable in securables:
                if (
                    privilege is None
                    or securable is None
                    or not self._fits(place, privilege, securable)
                ):
                    continue
                for principal in principals:
                    if principal is not None:
                        yield DeclaredGrant(
                            principal=str(principal),
                            effect=str(effect),
                            privilege=str(privilege),
                            securable=str(securable),
                            until=until,
                        )

    def _fits(self, place: str, privilege: Privilege, securable: ObjectName) -> bool:
        try:
            check_level(privilege, securable)
        except AuthError as error:
            self._fault(place, error.text)
            return False
        return True

    def _until(self, place: str, value: object) -> float | None:
        if value is None:
            return None
        if isinstance(value, str):
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                value = None
        if isinstance(value, date) and isinstance(value, datetime) and value.tzinfo is not None:
            return value.timestamp()
        self._fault(place, "until: write a time with its offset, as 2027-01-01T00:00:00Z")
        return None

    def _texts(self, place: str, value: object) -> list[str]:
        texts = [value] if isinstance(value, str) else value
        if isinstance(texts, list) and texts and all(isinstance(text, str) for text in texts):
            return list(texts)
        if texts == [] and place.startswith("group"):
            return []
        self._fault(place, "write a text, or a list of texts")
        return []

    def _one(self, place: str, text: str, reader: Callable[[str], T]) -> T | None:
        try:
            return reader(text)
        except (InvalidNameError, AuthError) as error:
            self._fault(place, error.text if isinstance(error, AuthError) else str(error))
        return None

    def _fault(self, place: str, fault: str) -> None:
        self._faults.append(": ".join(part for part in (self._file, place, fault) if part))


def grants_of(rows: Iterable[Any]) -> tuple[DeclaredGrant, ...]:
    """Return grants as they are declared, ordered by object, effect and principal."""
    found = [
        DeclaredGrant(
            principal=str(grant.principal),
            effect=str(grant.effect),
            privilege=str(grant.privilege),
            securable=str(grant.securable),
            until=None if grant.until is None else grant.until.timestamp(),
        )
        for grant in rows
    ]
    return tuple(sorted(found, key=lambda one: (one.securable, one.effect, one.principal)))
