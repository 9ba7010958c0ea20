"""Heartbeat handlers by their names: `module:function` of anybody's, or one of the MoM's own."""

import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from flight_member.configuration import LoadedSettings
from flight_member.errors import ConfigurationError
from flight_mom.settings import MomSettings

Handler = Callable[[pa.Table], object]
KEEP = "keep"
OWN_HANDLERS = (KEEP,)
"""The names of the MoM's own."""
_SETTING = "heartbeat.handlers"
_DATA_NODE = "heartbeat.data_node"
_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")
# Beside the places where Python looks anyway.
_FOLDER = "handlers"


def load_handlers(
    names: Sequence[str], directory: Path, own: Mapping[str, Handler]
) -> list[tuple[str, Handler]]:
    """Return the handlers in their order, each with its name.

    Args:
        names: `module:function`, or the name of one of the MoM's own.
        directory: The state directory; modules in its folder `handlers` are found too.
        own: The MoM's own handlers.

    Raises:
        ConfigurationError: Naming every one that is none.
    """
    faults = [fault for fault in _faults(names, directory) if fault]
    if faults:
        raise ConfigurationError([f"{_SETTING}: {fault}" for fault in faults])
    return [(name, own[name] if name in own else _find(name)) for name in names]


def check_heartbeats(loaded: LoadedSettings[MomSettings]) -> None:
    """Refuse settings of heartbeats that the MoM could not start with, saying where they are set.

    Raises:
        ConfigurationError: Naming every fault.
    """
    settings = loaded.settings
    faults = [
        (_SETTING, fault)
        for fault in _faults(settings.heartbeat.handlers, settings.state.directory)
        if fault
    ]
    node, only = settings.heartbeat.data_node, settings.cluster.name
    if node not in {"", only}:
        faults.append((_DATA_NODE, f"there is no node {node}; the MoM has one, {only}"))
    if faults:
        raise ConfigurationError(
            [f"{name}: {fault} ({loaded.source_of(name)})" for name, fault in faults]
        )


def _faults(names: Sequence[str], directory: Path) -> Iterator[str]:
    folder = directory / _FOLDER
    if folder.is_dir() and str(folder) not in sys.path:
        # Last, so that no file in it takes the place of a module that is there.
        sys.path.append(str(folder))
    for index, name in enumerate(names):
        if name in names[:index]:
            yield f"{name} stands twice"
        elif name not in OWN_HANDLERS:
            yield _fault(name)


def _fault(name: str) -> str:
    """Return why a name is none of a handler; nothing if it is."""
    if not _NAME.fullmatch(name):
        return f"{name!r} is none: write {' or '.join(('module:function', *OWN_HANDLERS))}"
    try:
        found = _find(name)
    except AttributeError:
        module, _, function = name.partition(":")
        return f"{name}: the module {module} has no {function}"
    except Exception as error:  # noqa: BLE001  a module may raise anything when it is imported
        return f"{name}: the module cannot be imported: {type(error).__name__}: {error}"
    return "" if callable(found) else f"{name} is no function"


def _find(name: str) -> Any:
    module, _, function = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in function.split("."):
        found = getattr(found, part)
    return found
