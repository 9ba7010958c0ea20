"""Which types a result may have: all but the two that most clients cannot hold."""

import pyarrow as pa

from planner.errors import TypeMismatchError

# pyarrow has a name for them and no values.
_UNREADABLE = {
    "month_interval": "Interval(YearMonth)",
    "day_time_interval": "Interval(DayTime)",
}


def check_result_types(arrow_schema: pa.Schema) -> None:
    """Refuse a result of which clients could not read a column.

    Raises:
        TypeMismatchError: Naming the column, its type and the type to cast it to.
    """
    for field in arrow_schema:
        found = _unreadable(field.type)
        if found is not None:
            raise TypeMismatchError(
                f"the column {field.name[:100]!r} is of the type {found}, which clients cannot "
                "read; cast it with arrow_cast(…, 'Interval(MonthDayNano)')"
            )


def _unreadable(kind: pa.DataType) -> str | None:
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _unreadable(kind.value_type)
    nested = (_unreadable(kind.field(at).type) for at in range(kind.num_fields))
    return _UNREADABLE.get(str(kind)) or next(filter(None, nested), None)
