"""What is asked of lineitem: three widths of the whole table, and one aggregation."""

from dataclasses import dataclass

LINEITEM_COLUMNS = (
    "l_orderkey",
    "l_partkey",
    "l_suppkey",
    "l_linenumber",
    "l_quantity",
    "l_extendedprice",
    "l_discount",
    "l_tax",
    "l_returnflag",
    "l_linestatus",
    "l_shipdate",
    "l_commitdate",
    "l_receiptdate",
    "l_shipinstruct",
    "l_shipmode",
    "l_comment",
)

_Q1 = """\
select l_returnflag, l_linestatus, sum(l_quantity) as sum_qty,
       sum(l_extendedprice) as sum_base_price,
       sum(l_extendedprice * (1 - l_discount)) as sum_disc_price,
       sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) as sum_charge,
       avg(l_quantity) as avg_qty, avg(l_extendedprice) as avg_price, avg(l_discount) as avg_disc,
       count(*) as count_order
from {table}
where l_shipdate <= date '1998-12-01' - interval '90' day
group by l_returnflag, l_linestatus
order by l_returnflag, l_linestatus"""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of the benchmark; `template` has `{table}` where the table's name goes."""

    name: str
    template: str

    def over(self, table: str) -> str:
        """Return the SQL that asks a table by this name."""
        return self.template.format(table=table)


def _scan(name: str, *columns: str) -> Statement:
    return Statement(name, f"select {', '.join(columns)} from {{table}}")


FOUR_COLUMNS = _scan("4 columns", "l_orderkey", "l_quantity", "l_extendedprice", "l_shipdate")

# From the lightest to the heaviest.
STATEMENTS = (
    _scan("1 column", "l_orderkey"),
    FOUR_COLUMNS,
    Statement("Q1", _Q1),
    _scan("16 columns", *LINEITEM_COLUMNS),
)
