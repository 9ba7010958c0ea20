"""In what form a call's results travel: chosen by the client, per connection, with two headers.

`x-wire` chooses the types: `safe`, which every client reads, `signed`, the same for those that know
no unsigned integers, or `native`, as the engine has them. They are promised before rows flow, so a
ticket holds the choice and keeps it wherever it is fetched. `x-compression` chooses how bodies are
compressed: each message says that of itself and nothing promises it, so it is the fetching call's
own choice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import ipc

from flight_sql.errors import InvalidRequestError
from flight_sql.wiretypes import WireTypes, wire_schema

WIRE_HEADER, COMPRESSION_HEADER = "x-wire", "x-compression"
_PLAIN = "none"
_CODECS = {_PLAIN: None, "zstd": "zstd", "lz4": "lz4"}


@dataclass(frozen=True, slots=True)
class WireProfile:
    """The form of a call's results.

    Attributes:
        wire: The types of its columns.
        compression: "zstd" or "lz4"; None sends plain buffers.
    """

    wire: WireTypes = WireTypes.SAFE
    compression: str | None = None

    def schema(self, arrow_schema: pa.Schema) -> pa.Schema:
        """Return the schema in which a result of this schema is promised and sent."""
        return wire_schema(arrow_schema, self.wire)

    def write_options(self) -> Any:
        """Return how pyarrow writes the messages of a stream."""
        return ipc.IpcWriteOptions(compression=self.compression)

    def headers(self) -> dict[str, str]:
        """Return the headers that ask another server for the same types."""
        return {WIRE_HEADER: self.wire}


# What travels when a client chooses nothing.
SAFE_PROFILE = WireProfile()


def read_profile(
    headers: Mapping[str, Sequence[Any]], wire: WireTypes = WireTypes.SAFE
) -> WireProfile:
    """Return what the headers of a call choose; names in lower case, values in either.

    Args:
        headers: Those of the call.
        wire: The types of a call that chooses none.

    Raises:
        InvalidRequestError: When a value is unknown, or a header says two things.
    """
    chosen = WireTypes(_choice(headers, WIRE_HEADER, [*WireTypes], wire))
    codec = _choice(headers, COMPRESSION_HEADER, [*_CODECS], _PLAIN)
    return WireProfile(chosen, _CODECS[codec])


def _choice(
    headers: Mapping[str, Sequence[Any]], name: str, known: Sequence[str], default: str
) -> str:
    """Return the one value of a header that may be repeated; the default without it."""
    typed = (part for line in headers.get(name, ()) for part in str(line).split(","))
    values = {part.strip().lower() for part in typed} - {""}
    if not values:
        return default
    if len(values) > 1 or not values <= set(known):
        raise InvalidRequestError(
            f"the header {name} must be one of {', '.join(known)}; without it, it is {default}"
        )
    return values.pop()
