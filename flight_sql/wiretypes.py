"""Which Arrow types go on the wire unless a client asks for the engine's own.

Every client reads these. Views, large offsets, list views, dictionaries, run ends, half floats and
the decimals of other widths become their plain twins, at any depth, without loss; all other types
pass as they are, but for unsigned integers where a client reads them as signed ones.
docs/flight-sql.md has the table.
"""

from enum import StrEnum
from functools import partial
from typing import Any

import pyarrow as pa

_MAX_DECIMAL128_DIGITS = 38
# Each holds all values of the unsigned one.
_SIGNED = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
}


class WireTypes(StrEnum):
    """In which types a result travels, as clients name them and tickets hold them."""

    SAFE = "safe"
    SIGNED = "signed"
    """Those of `SAFE` without unsigned integers."""
    NATIVE = "native"
    """As the engine has them."""

    @property
    def plain(self) -> "WireTypes":
        """What the same client is told of types that are nobody's result: never the engine's."""
        return WireTypes.SAFE if self is WireTypes.NATIVE else self


def wire_schema(arrow_schema: pa.Schema, wire: WireTypes = WireTypes.SAFE) -> pa.Schema:
    """Return the schema in which a result travels: names, order and nullability are kept."""
    if wire is WireTypes.NATIVE:
        return arrow_schema
    is_signed = wire is WireTypes.SIGNED
    fields = [_wire_field(field, is_signed=is_signed) for field in arrow_schema]
    return pa.schema(fields, metadata=arrow_schema.metadata)


def wire_type(arrow_type: Any, *, is_signed: bool = False) -> Any:
    """Return the type in which a column of this type travels; the same object when it fits.

    Args:
        arrow_type: The engine's type.
        is_signed: Whether unsigned integers become the next wider signed type.
    """
    types = pa.types
    wire = arrow_type
    if isinstance(arrow_type, pa.BaseExtensionType):
        wire = _wire_extension_type(arrow_type, is_signed=is_signed)
    elif is_signed and types.is_unsigned_integer(arrow_type):
        wire = _SIGNED[arrow_type]
    elif types.is_large_string(arrow_type) or types.is_string_view(arrow_type):
        wire = pa.string()
    elif types.is_large_binary(arrow_type) or types.is_binary_view(arrow_type):
        wire = pa.binary()
    elif types.is_dictionary(arrow_type) or types.is_run_end_encoded(arrow_type):
        wire = wire_type(arrow_type.value_type, is_signed=is_signed)
    elif types.is_float16(arrow_type):
        wire = pa.float32()
    elif types.is_decimal(arrow_type):
        wire = _wire_decimal_type(arrow_type)
    elif types.is_nested(arrow_type):
        wire = _wire_nested_type(arrow_type, is_signed=is_signed)
    return wire


def _wire_decimal_type(arrow_type: Any) -> Any:
    """Return 128 bits where the digits fit: more of them fit in 256 alone."""
    if arrow_type.bit_width == 128 or arrow_type.precision > _MAX_DECIMAL128_DIGITS:  # noqa: PLR2004  the type's name
        return arrow_type
    return pa.decimal128(arrow_type.precision, arrow_type.scale)


def _wire_extension_type(arrow_type: Any, *, is_signed: bool) -> Any:
    """Return the extension type where its storage fits, else the storage's wire type."""
    storage = wire_type(arrow_type.storage_type, is_signed=is_signed)
    if storage is arrow_type.storage_type:
        return arrow_type
    return pa.json_(storage) if isinstance(arrow_type, pa.JsonType) else storage


def _wire_nested_type(arrow_type: Any, *, is_signed: bool) -> Any:
    """Return the wire type of a list, struct or map; unions pass as they are."""
    types = pa.types
    wire_field = partial(_wire_field, is_signed=is_signed)
    wire: Any = arrow_type
    if types.is_fixed_size_list(arrow_type):
        wire = pa.list_(wire_field(arrow_type.value_field), arrow_type.list_size)
    elif types.is_map(arrow_type):
        key, item = wire_field(arrow_type.key_field), wire_field(arrow_type.item_field)
        wire = pa.map_(key, item, keys_sorted=arrow_type.keys_sorted)
    elif types.is_struct(arrow_type):
        wire = pa.struct([wire_field(field) for field in arrow_type])
    elif not types.is_union(arrow_type):
        wire = pa.list_(wire_field(arrow_type.value_field))
    return arrow_type if wire == arrow_type else wire


def _wire_field(field: Any, *, is_signed: bool) -> Any:
    wire = wire_type(field.type, is_signed=is_signed)
    return field if wire is field.type else field.with_type(wire)
