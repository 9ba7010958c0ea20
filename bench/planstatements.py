"""What is planned: statements of about 1 KiB, as people and tools write them.

Each has `{table}` where the table's name goes and `{number}` in a filter: with another number it is
a text that nobody has seen.
"""

from dataclasses import dataclass

LOWER, MIXED = "lower", "mixed"


@dataclass(frozen=True, slots=True)
class PlannedStatement:
    """One statement; `case` tells which of the two tables it asks, by how its columns are named."""

    name: str
    case: str
    template: str

    def over(self, table: str, number: int) -> str:
        """Return the SQL that asks a table by this name, with this number in its filter."""
        return self.template.format(table=table, number=number)


_DASHBOARD = """\
select date_trunc('month', l_shipdate) as month, l_returnflag, l_linestatus, l_shipmode,
       count(*) as order_count, count(distinct l_suppkey) as supplier_count,
       sum(l_quantity) as quantity, sum(l_extendedprice) as gross,
       sum(l_extendedprice * (1 - l_discount)) as net,
       sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) as charged,
       avg(l_discount) as average_discount, median(l_quantity) as median_quantity,
       sum(case when l_receiptdate > l_commitdate then 1 else 0 end) as late_count,
       sum(l_quantity) filter (where l_shipinstruct = 'DELIVER IN PERSON') as in_person,
       max(l_receiptdate - l_shipdate) as slowest, min(l_shipdate) as first_day
from {table}
where l_shipdate between date '1994-01-01' and date '1996-12-31'
  and l_shipmode in ('AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL')
  and l_quantity < 40 and l_partkey <> {number}
  and (l_comment like '%carefully%' or l_comment ilike '%quickly%' or l_discount >= 0.05)
group by date_trunc('month', l_shipdate), l_returnflag, l_linestatus, l_shipmode
having sum(l_quantity) > 100
order by month, net desc nulls last
limit 500"""

_REPORT = """\
with shipped as (
  select l_suppkey as supplier, l_shipmode as mode, date_trunc('week', l_shipdate) as week,
         l_extendedprice * (1 - l_discount) as net, l_quantity as quantity,
         l_receiptdate - l_commitdate as delay
  from {table}
  where l_shipdate >= date '1995-01-01' and l_orderkey <> {number}
), weekly as (
  select supplier, mode, week, sum(net) as net, sum(quantity) as quantity, count(*) as n
  from shipped group by supplier, mode, week
), ranked as (
  select supplier, mode, week, net, n,
         rank() over (partition by mode, week order by net desc) as place,
         net - lag(net) over (partition by supplier, mode order by week) as change,
         sum(net) over (partition by supplier order by week
                        rows between 3 preceding and current row) as four_weeks
  from weekly where n > 1
)
select mode, week, supplier, net, place, change, four_weeks,
       case when change > 0 then 'up' when change < 0 then 'down' else 'flat' end as trend
from ranked where place <= 10
union all
select mode, null, null, max(net), 0, null, null, 'best' from ranked group by mode
order by mode, week, place"""

_TOOL = """\
SELECT "t0"."month" AS "month", "t0"."l_returnflag" AS "l_returnflag",
  SUM("t0"."net") AS "sum_net_ok", COUNT(1) AS "cnt_number_of_records_ok",
  AVG(CAST("t0"."l_quantity" AS DOUBLE PRECISION)) AS "avg_l_quantity_ok",
  MIN("t0"."l_shipdate") AS "min_l_shipdate_ok", MAX("t0"."l_shipdate") AS "max_l_shipdate_ok"
FROM (
  SELECT "q"."l_returnflag" AS "l_returnflag", "q"."l_quantity" AS "l_quantity",
    "q"."l_shipdate" AS "l_shipdate",
    CAST(EXTRACT(YEAR FROM "q"."l_shipdate") AS INTEGER) * 100
      + CAST(EXTRACT(MONTH FROM "q"."l_shipdate") AS INTEGER) AS "month",
    ("q"."l_extendedprice" * (1 - "q"."l_discount")) AS "net"
  FROM {table} "q"
  WHERE (("q"."l_shipmode" IN ('AIR', 'REG AIR')) AND (NOT ("q"."l_comment" IS NULL))
    AND ("q"."l_shipdate" >= DATE '1994-01-01') AND ("q"."l_partkey" <> {number}))
) "t0"
WHERE (("t0"."net" >= 1000) AND ("t0"."net" <= 100000))
GROUP BY "t0"."month", "t0"."l_returnflag"
HAVING (COUNT(1) > 0)
ORDER BY "month" ASC NULLS FIRST, "l_returnflag" ASC NULLS FIRST
LIMIT 10000"""

PLANNED_STATEMENTS = (
    PlannedStatement("dashboard", LOWER, _DASHBOARD),
    PlannedStatement("report", LOWER, _REPORT),
    PlannedStatement("BI tool", LOWER, _TOOL),
    PlannedStatement("mixed case", MIXED, _DASHBOARD),
)
