"""A server of this version that speaks a protocol of before, as it really was.

`protocol_1_0.json` holds what each message of that version had. A server that is restricted to it
neither says anything else nor understands it, in both directions, and calls itself by that version.
"""

import json
from pathlib import Path

from pydantic import BaseModel

from flight_member import protocol

OLD = (1, 0)
FIELDS: dict[str, list[str]] = json.loads(
    (Path(__file__).parent / "protocol_1_0.json").read_text("utf-8")
)
_read, _write = protocol.Message.read.__func__, protocol.Message.write  # type: ignore[attr-defined]


def restrict() -> None:
    """Have every message of this process be one of the older version."""
    protocol.PROTOCOL_MINOR = OLD[1]
    protocol.Message.read = classmethod(_read_old)  # type: ignore[assignment,method-assign]
    protocol.Message.write = _write_old  # type: ignore[assignment,method-assign]


def _read_old(kind: type[protocol.Message], body: bytes) -> protocol.Message:
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if isinstance(told, dict) and len(body) <= kind.max_bytes:
        body = json.dumps(_known(kind, told)).encode()
    message: protocol.Message = _read(kind, body)
    return message


def _write_old(message: protocol.Message) -> bytes:
    told = _known(type(message), message.model_dump(mode="json"))
    if isinstance(message, protocol.Versioned):
        told["protocol"] = list(OLD)
    return json.dumps(told).encode()


def _known(kind: type[BaseModel], told: dict[str, object]) -> dict[str, object]:
    """Return what the older version had of a message.

    Raises:
        AssertionError: When it did not have the message at all.
    """
    assert kind.__name__ in FIELDS, f"{kind.__name__} is newer than {OLD}"
    return {name: value for name, value in told.items() if name in FIELDS[kind.__name__]}
