"""How settings are read, and what `check-config` tells of them.

A value comes from its default, the TOML file, the environment or a flag, the later one winning.
Unknown keys fail, and every fault is listed at once with where it came from.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_settings import EnvSettingsSource, SettingsError

from flight_member.errors import ConfigurationError
from flight_member.settings import ProcessSettings

S = TypeVar("S", bound=ProcessSettings)


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """One line of `check-config`."""

    name: str
    value: str
    source: str


@dataclass(frozen=True)
class LoadedSettings(Generic[S]):
    """Settings that are valid, and where each value came from."""

    settings: S
    sources: Mapping[str, str]

    def effective(self) -> list[EffectiveSetting]:
        """Return every setting with its value and source, in the order of the model."""
        return [
            EffectiveSetting(name, str(value), self.source_of(name))
            for name, value, _ in walk_settings(type(self.settings), self.settings)
        ]

    def source_of(self, name: str) -> str:
        """Return where a setting was set, by its dotted name."""
        return self.sources.get(name, "default")


def load_settings(
    kind: type[S], file: Path | None, flags: Mapping[str, object] | None = None
) -> LoadedSettings[S]:
    """Read the settings of one server.

    Args:
        kind: The model.
        file: A TOML file, or None for none.
        flags: Dotted names and values given on the command line; None values are left out.

    Raises:
        ConfigurationError: When the file cannot be read, or any value is unknown or unusable;
            each fault names its setting and where it came from.
    """
    faults: list[str] = []
    merged: dict[str, Any] = {}
    sources: dict[str, str] = {}
    layers = [
        (f"file {file.name}" if file else "file", _read_toml(file, faults) if file else {}),
        ("environment", _read_environment(kind, faults)),
        ("flag", _nest(flags or {})),
    ]
    for source, values in layers:
        _merge(merged, values, source, sources)
    try:
        settings = kind.model_validate(merged)
    except ValidationError as error:
        for fault in error.errors():
            name = ".".join(str(part) for part in fault["loc"])
            message = str(fault["msg"]).removeprefix("Value error, ")
            faults.append(f"{name}: {message} ({_source_of(name, sources)})")
    else:
        if not faults:
            return LoadedSettings(settings, sources)
    raise ConfigurationError(faults)


def walk_settings(
    kind: type[BaseModel], values: BaseModel | None = None, prefix: str = ""
) -> Iterator[tuple[str, object, str]]:
    """Yield (dotted name, value or default, description) of every setting of a model."""
    for name, field in kind.model_fields.items():
        section = field.annotation
        value = getattr(values, name) if values is not None else None
        if isinstance(section, type) and issubclass(section, BaseModel):
            yield from walk_settings(section, value, f"{prefix}{name}.")
        elif values is not None or field.is_required():
            yield f"{prefix}{name}", value, field.description or ""
        else:
            yield f"{prefix}{name}", field.get_default(), field.description or ""


def _read_toml(file: Path, faults: list[str]) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        faults.append(f"{file}: {error.strerror or 'cannot be read'}")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        faults.append(f"{file}: not TOML: {error}")
    return {}


def _read_environment(kind: type[S], faults: list[str]) -> dict[str, Any]:
    prefix = str(kind.model_config.get("env_prefix", ""))
    known = {prefix + name.replace(".", "__").upper() for name, _, _ in walk_settings(kind)}
    for variable in os.environ:
        # A single underscore names something else, such as FLIGHT_MOM_PROFILE.
        is_ours = variable.upper().startswith(prefix) and "__" in variable
        if is_ours and variable.upper() not in known:
            faults.append(f"{variable}: no such setting (environment)")
    try:
        found = EnvSettingsSource(kind)()
    except SettingsError as error:
        # Lists are written as JSON; the library names the field and quotes nothing.
        faults.append(f"{error} (environment)")
        found = {}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, dict) or name in kind.model_fields
    }


def _source_of(name: str, sources: Mapping[str, str]) -> str:
    """Return where a setting, or the section or list that it is in, was set."""
    while name not in sources and "." in name:
        name = name.rpartition(".")[0]
    return sources.get(name, "not set")


def _nest(flags: Mapping[str, object]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for dotted, value in flags.items():
        if value is None:
            continue
        *path, leaf = dotted.split(".")
        level = nested
        for part in path:
            level = level.setdefault(part, {})
        level[leaf] = value
    return nested


def _merge(
    into: dict[str, Any],
    values: Mapping[str, Any],
    source: str,
    sources: dict[str, str],
    at: str = "",
) -> None:
    for name, value in values.items():
        dotted = f"{at}{name}"
        if isinstance(value, dict):
            level = into.setdefault(name, {})
            if isinstance(level, dict):
                _merge(level, value, source, sources, f"{dotted}.")
                continue
        into[name] = value
        sources[dotted] = source
