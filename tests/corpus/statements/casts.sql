select cast(flight as decimal(18, 4)) / 3 as third, try_cast(carrier as int) from flights

select id::varchar, id::double, id::smallint, id::tinyint, id::int, id::bigint, id::real, id::float from samples

select cast(id as int unsigned), cast(id as bigint unsigned), cast(id as smallint unsigned), cast(id as tinyint unsigned) from samples

select cast(word as text), cast(word as char), cast(word as string), cast(id as varchar(10)) from samples

select id::decimal(10, 2), cast(amount as numeric(12, 1)), cast(amount as decimal(38, 10)), amount::decimal from samples

select try_cast(word as int), try_cast(word as double), try_cast(word as date) from samples

select cast(day as timestamp), cast(moment as date), cast(moment as time), cast(day as varchar) from samples

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

select cast([1, 2] as bigint[]), [1, 2]::varchar[], cast(numbers as double[]) from samples

select cast(numbers as array<varchar>) from samples

select id::int::varchar || '!' as chained, (id + 1)::varchar, -id::int from samples

select cast(amount as int), try_cast(amount as tinyint), round(amount)::bigint from samples

select safe_cast(word as int) from samples

select cast(point as struct<x double, y bigint, "Label" varchar>) from samples

select cast(1 as int4), cast(1 as int8), cast(1 as int2), cast(1 as float4), cast(1 as float8), cast(1 as double precision)

select date '2024-02-29', time '12:30:00', timestamp '2024-02-29 12:30:00', interval '1' day, timestamptz '2024-02-29 12:30:00Z'

select arrow_metadata(word), arrow_field(word) from samples limit 1

select arrow_metadata(with_metadata(word, 'unit', 'letters'), 'unit') from samples limit 1
