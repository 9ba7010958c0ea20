"""The Arrow types that tables are shown with: one plain type per kind of value.

A Parquet file remembers in which of Arrow's layouts its writer held a column (views, large
offsets, dictionaries). Readers do not want to know: a column of text is utf8, however it was held.
"""

import pyarrow as pa
import pyarrow.types as pat

_LEAVES = (
    (("is_string_view", "is_large_string"), pa.utf8()),
    (("is_binary_view", "is_large_binary"), pa.binary()),
)
_LISTS = ("is_list", "is_large_list", "is_list_view", "is_large_list_view")


def plain_schema(arrow_schema: pa.Schema) -> pa.Schema:
    """Return the schema with plain types, and without the metadata of files."""
    return pa.schema([plain_field(field) for field in arrow_schema])


def plain_field(field: pa.Field) -> pa.Field:
    """Return the field with a plain type, and without metadata."""
    return pa.field(field.name, plain_type(field.type), field.nullable)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return utf8, binary, list or the values' own type for views, large and encoded layouts."""
    for checks, leaf in _LEAVES:
        if _is(kind, *checks):
            return leaf
    if _is(kind, "is_dictionary", "is_run_end_encoded"):
        return plain_type(kind.value_type)
    return _plain_nested(kind) if pat.is_nested(kind) else kind


def _plain_nested(kind: pa.DataType) -> pa.DataType:
    if pat.is_struct(kind):
        return pa.struct([plain_field(field) for field in kind])
    if pat.is_map(kind):
        return pa.map_(plain_field(kind.key_field), plain_field(kind.item_field))
    if pat.is_fixed_size_list(kind):
        return pa.list_(plain_field(kind.value_field), kind.list_size)
    return pa.list_(plain_field(kind.value_field)) if _is(kind, *_LISTS) else kind


def _is(kind: pa.DataType, *checks: str) -> bool:
    return any(getattr(pat, check)(kind) for check in checks)
