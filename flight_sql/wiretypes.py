"""Which Arrow types go on the wire unless a client asks for the engine's own.

Every client reads these. Views, large offsets, list views, dictionaries, run ends, half floats and
the decimals of other widths become their plain twins, at any depth, without loss; all other types
pass as they are. docs/flight-sql.md has the table.
"""

from typing import Any

import pyarrow as pa

_MAX_DECIMAL128_DIGITS = 38


def wire_schema(arrow_schema: pa.Schema) -> pa.Schema:
    """Return the schema in which a result travels: names, order and nullability are kept."""
    fields = [_wire_field(field) for field in arrow_schema]
    return pa.schema(fields, metadata=arrow_schema.metadata)


def wire_type(arrow_type: Any) -> Any:
    """Return the type in which a column of this type travels; the same object when it fits."""
    types = pa.types
    wire = arrow_type
    if isinstance(arrow_type, pa.BaseExtensionType):
        wire = _wire_extension_type(arrow_type)
    elif types.is_large_string(arrow_type) or types.is_string_view(arrow_type):
        wire = pa.string()
    elif types.is_large_binary(arrow_type) or types.is_binary_view(arrow_type):
        wire = pa.binary()
    elif types.is_dictionary(arrow_type) or types.is_run_end_encoded(arrow_type):
        wire = wire_type(arrow_type.value_type)
    elif types.is_float16(arrow_type):
        wire = pa.float32()
    elif types.is_decimal(arrow_type):
        wire = _wire_decimal_type(arrow_type)
    elif types.is_nested(arrow_type):
        wire = _wire_nested_type(arrow_type)
    return wire


def _wire_decimal_type(arrow_type: Any) -> Any:
    """Return 128 bits where the digits fit: more of them fit in 256 alone."""
    if arrow_type.bit_width == 128 or arrow_type.precision > _MAX_DECIMAL128_DIGITS:  # noqa: PLR2004  the type's name
        return arrow_type
    return pa.decimal128(arrow_type.precision, arrow_type.scale)


def _wire_extension_type(arrow_type: Any) -> Any:
    """Return the extension type where its storage fits, else the storage's wire type."""
    storage = wire_type(arrow_type.storage_type)
    if storage is arrow_type.storage_type:
        return arrow_type
    return pa.json_(storage) if isinstance(arrow_type, pa.JsonType) else storage


def _wire_nested_type(arrow_type: Any) -> Any:
    """Return the wire type of a list, struct or map; unions pass as they are."""
    types = pa.types
    wire: Any = arrow_type
    if types.is_fixed_size_list(arrow_type):
        wire = pa.list_(_wire_field(arrow_type.value_field), arrow_type.list_size)
    elif types.is_map(arrow_type):
        key, item = _wire_field(arrow_type.key_field), _wire_field(arrow_type.item_field)
        wire = pa.map_(key, item, keys_sorted=arrow_type.keys_sorted)
    elif types.is_struct(arrow_type):
        wire = pa.struct([_wire_field(field) for field in arrow_type])
    elif not types.is_union(arrow_type):
        wire = pa.list_(_wire_field(arrow_type.value_field))
    return arrow_type if wire == arrow_type else wire


def _wire_field(field: Any) -> Any:
    wire = wire_type(field.type)
    return field if wire is field.type else field.with_type(wire)
