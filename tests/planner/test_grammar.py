"""What the grammar adds hides nothing: a table, a join or a subquery inside it is still seen."""

import pytest

from planner import JoinNotSupportedError, StatementNotSupportedError, StatementTooLargeError
from storage.names import ObjectName
from tests.planner.federation import read_query

SECRET = ObjectName("shanghai", "trading", "stock", "secret")
QUOTE = ObjectName("shanghai", "trading", "stock", "quote")

# Where an expression can stand, `{}`, in a query over `quote`.
PLACES = (
    "select sha256(sym, {}) from quote",
    "select date_trunc('day', day, 1, 2, {}) from quote",
    "select count(bid, {}) from quote",
    "select no_such_function({}) from quote",
    "select f(named => {}) from quote",
    "select array_agg(distinct {} order by {}) filter (where {} > 1) from quote",
    "select percentile_cont({}) within group (order by {}) from quote",
    "select first_value({}) ignore nulls over (partition by {} order by {}) from quote",
    "select lag(bid, 1, {}) respect nulls over w from quote window w as (order by {})",
    "select substr(sym from {} for 1) from quote",
    "select substring(sym from 1 for {}) from quote",
    "select overlay(sym placing {} from 1) from quote",
    "select overlay({}, sym, 2) from quote",
    "select position({} in sym) from quote",
    "select position('a' in {}) from quote",
    "select trim(both {} from sym) from quote",
    "select trim({}) from quote",
    "select extract(year from {}) from quote",
    "select try_cast({} as int), {}::int from quote",
    "select {{'a': {}}} from quote",
    "select {{d: {}, t: 1}} from quote",
    "select {{ts: 1, a: [{}]}} from quote",
    "select {{fn upper({})}} from quote",
    "select {{#x: {}}} from quote /* #}} */",
    "select {{'a': 1}}[{}], [1, 2][{}:2], [1, 2][1:{}] from quote",
    "select map {{ {}: 1}}, map {{1: {}}} from quote",
    "select [1, 2, 3][{}:{}:{}], array[{}], tags[{}], tags[{}:2][{}] from quote",
    "select struct({} as a, 1), named_struct('a', {}), row({}) from quote",
    "select {{'a': {{'b': {}}}}}['a'] from quote",
    "select case {} when {} then {} when 1 then {} else {} end from quote",
    "select case when {} > 1 then {} else {} end from quote",
    "select {} between {} and {}, {} in (1, {}), {} is distinct from {}, {} is true from quote",
    "select sym like {} escape '!', sym ~ {}, sym !~* {}, {} || sym, sym similar to {} from quote",
    "select -{}, not {}, ~{}, {} & {}, {} << {}, {} % {}, {} ^ {} from quote",
    "select tags @> [{}], [{}] <@ tags, {}::bigint[], ({}, 1) = (1, {}) from quote",
    "select interval '1 day' + {}, date '2024-01-01' + {}, {} at time zone 'UTC' from quote",
    "select sum({}) over (order by bid rows between {} preceding and {} following) from quote",
    "select string_agg(sym, {} order by {}), count(distinct {}) filter (where {}) from quote",
    "select unnest([{}]), unnest(make_array(1, {})), generate_series(1, {}), range({}) from quote",
    "select bid from quote group by cube ({}, bid), rollup (bid, {}), ({})",
    "select (select {}), ({}), (({}), {}), coalesce({}, {}) from quote",
    "with recursive n as (select {} as i union all select {} from n) select {} from quote",
    "select x from (values ({}, 1), (2, {})) as v(x, y) union all select bid from quote",
    "select {} 'text' from quote",
    "select {} create, {} as drop, {} a#b from quote",
    "select create, insert, grant from quote where only > {}",
    "select distinct on ({}) bid from quote",
    "select bid from quote as drop where drop.bid > {}",
    "select * exclude (ask) replace ({} as bid) from quote",
    "select bid from quote where day at time zone 'UTC' > {}",
    "select bid from quote where sym similar to {} or sym not ilike {}",
    "select bid from quote where bid = any([{}])",
    "select bid from quote qualify row_number() over (order by {}) = 1",
    "select bid from quote group by all having max(ask) > {}",
    "select bid, ask from quote group by grouping sets ((bid), rollup (ask, {}))",
    "select bid from quote order by {} nulls first limit {} offset {}",
    "select bid from quote union by name select {} as bid",
    "values row((select max(bid) from quote), {})",
    "with a as (select bid from quote) values ({})",
    "with a as (values row({})) select bid from quote",
    "from quote select {}",
    "from quote |> where bid > {}",
    "select * from quote |> select {} as x, bid",
    "select * from quote |> extend {} as x |> where x > 1",
    "select * from quote |> aggregate max({}) as m group by sym",
    "select * from quote |> aggregate max(bid) as m group by {}",
    "select * from quote |> order by {} |> limit 3",
    "select * from quote |> limit {}",
    "select * from quote |> as q |> where q.bid > {}",
    "select * from quote |> union all (select {}), (select {})",
    "select * from quote |> limit 1 |> union (select {}) |> limit 2",
)  # fmt: skip
JOINS = (
    "(select max(x) from secret join secret as s on true)",
    "(select max(x) from secret, secret as s)",
    "(1 in (select x from secret))",
    "exists (select 1 from secret)",
    "(select max(x) from (select x from secret except select 1))",
)


def _slots() -> list[str]:
    """Return each place once for each of its slots, with 1 in the others."""
    slots: list[str] = []
    for place in PLACES:
        pieces = place.split("{}")
        for slot in range(1, len(pieces)):
            before, after = "1".join(pieces[:slot]), "1".join(pieces[slot:])
            slots.append(f"{before}{{}}{after}")
    return slots


SLOTS = _slots()


@pytest.mark.parametrize("slot", SLOTS)
def test_table_in_a_construct_is_found(slot: str) -> None:
    query = read_query(slot.format("(select max(x) from secret)"), home="shanghai")
    assert query.tables == (QUOTE, SECRET)


@pytest.mark.parametrize("slot", SLOTS)
def test_join_in_a_construct_is_refused(slot: str) -> None:
    for hidden in JOINS:
        with pytest.raises(JoinNotSupportedError):
            read_query(slot.format(hidden))


@pytest.mark.parametrize("slot", SLOTS)
def test_function_that_reaches_files_is_refused_in_a_construct(slot: str) -> None:
    with pytest.raises(StatementNotSupportedError):
        read_query(slot.format("read_csv('x')"))


@pytest.mark.parametrize(
    "piped",
    [
        "join secret on true",
        "left join secret using (bid)",
        "cross join secret",
        "where true |> join secret on true",
        "intersect (select 1 from secret)",
        "except (select 1 from secret)",
        "except (select 1), (select 1 from secret)",
    ],
)
def test_piped_join_is_refused(piped: str) -> None:
    with pytest.raises(JoinNotSupportedError):
        read_query(f"select * from quote |> {piped}")


def test_too_many_pipes_are_too_deep() -> None:
    few, many = "|> where bid > 0 " * 40, "|> where bid > 0 " * 60
    assert read_query(f"select * from quote {few}").tables == (QUOTE,)
    with pytest.raises(StatementTooLargeError):
        read_query(f"select * from quote {many}")


def test_comment_of_a_template_is_none() -> None:
    query = read_query("select {#a: (select max(x) from secret)} as s from quote -- #}")
    assert query.tables == (QUOTE, SECRET)


def test_carriage_return_does_not_end_a_comment() -> None:
    query = read_query("select bid from quote -- all of it\r, secret")
    assert query.tables == (QUOTE,)


def test_name_of_a_file_is_not_told() -> None:
    with pytest.raises(StatementNotSupportedError, match="input_file_name"):
        read_query("select input_file_name() from quote")
