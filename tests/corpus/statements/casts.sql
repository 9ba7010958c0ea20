select cast(flight as decimal(18, 4)) / 3 as third, try_cast(carrier as int) from flights

select id::varchar as c1, id::double as c2, id::smallint as c3, id::tinyint as c4, id::int as c5, id::bigint as c6, id::real as c7, id::float as c8 from samples

select cast(id as int unsigned) as c1, cast(id as bigint unsigned) as c2, cast(id as smallint unsigned) as c3, cast(id as tinyint unsigned) as c4 from samples

select cast(word as text) as c1, cast(word as char) as c2, cast(word as string) as c3, cast(id as varchar(10)) as c4 from samples

select id::decimal(10, 2) as c1, cast(amount as numeric(12, 1)) as c2, cast(amount as decimal(38, 10)) as c3, amount::decimal as c4 from samples

select try_cast(word as int) as c1, try_cast(word as double) as c2, try_cast(word as date) as c3 from samples

select cast(day as timestamp) as c1, cast(moment as date) as c2, cast(moment as time) as c3, cast(day as varchar) as c4 from samples

select cast('2024-01-01' as date), cast('2024-01-01 10:00:00' as timestamp), cast('10:00' as time)

select cast('2024-01-01T10:00:00Z' as timestamp with time zone), cast('2024-01-01' as timestamp(3))

select cast(flag as int), cast(tiny as boolean), cast('true' as bool), 't'::boolean from samples

select cast('1 day 2 hours' as interval), '3 months'::interval

select cast(id as bytea), cast(word as bytea), cast(blob as varchar) from samples where id < 1

select arrow_cast(id, 'Int16'), arrow_cast(word, 'LargeUtf8'), arrow_cast(word, 'Utf8View') from samples

select arrow_cast(moment, 'Timestamp(Second, None)'), arrow_cast(moment, 'Timestamp(Nanosecond, Some("+02:00"))') from samples

select arrow_try_cast(word, 'Int64'), arrow_typeof(price), arrow_typeof(point) from samples

select arrow_cast(word, 'Dictionary(Int32, Utf8)') as d, arrow_cast(id, 'Decimal128(20, 2)') from samples

select arrow_cast(ratio, 'Float16') as half, arrow_cast([1, 2], 'LargeList(Int64)'), arrow_cast([1, 2], 'FixedSizeList(2, Int64)') from samples

select cast_to_type(word, 'x'), try_cast_to_type(word, 1), cast_to_type(id, 1.5) from samples

select cast([1, 2] as bigint[]) as c1, [1, 2]::varchar[] as c2, cast(numbers as double[]) as c3 from samples

select cast(numbers as array<varchar>) from samples

select id::int::varchar || '!' as chained, (id + 1)::varchar, -id::int from samples

select cast(amount as int) as c1, try_cast(amount as tinyint) as c2, round(amount)::bigint as c3 from samples

select safe_cast(word as int) from samples

select cast(point as struct<x double, y bigint, "Label" varchar>) from samples

select cast(1 as int4) as c1, cast(1 as int8) as c2, cast(1 as int2) as c3, cast(1 as float4) as c4, cast(1 as float8) as c5, cast(1 as double precision) as c6

select date '2024-02-29', time '12:30:00', timestamp '2024-02-29 12:30:00', interval '1' day, timestamptz '2024-02-29 12:30:00Z'

select arrow_metadata(word), arrow_field(word) from samples limit 1

select arrow_metadata(with_metadata(word, 'unit', 'letters'), 'unit') from samples limit 1

select (select 1)::int

select array[1,2]::varchar[]

select id from samples where id::varchar = '1'

select cast(id as varchar)::int::double from samples

select [1]::int[1]

select cast([1] as int[][])

select null::int as c1, cast(null as varchar) as c2, null || 'a' as c3

select true::int + 1

select numbers[1]::varchar || 'x' from samples

select try_cast('x' as int) as c1, cast('1' as int) as c2, '1'::int as c3

select cast('1' as int) + '2'::int

select -1::int as c1, (-1)::int as c2, - 1::int as c3

select 1 + 1::int * 2

select not 1::boolean

select 'a' || 1::varchar

select id from samples order by id limit cast('1' as bigint)
