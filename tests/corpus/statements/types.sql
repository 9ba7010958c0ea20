select arrow_cast(word, 'Utf8View') as a, arrow_cast(word, 'LargeUtf8') as b, arrow_cast(blob, 'BinaryView') as c, arrow_cast(blob, 'LargeBinary') as d, code from samples

select arrow_cast(word, 'Dictionary(Int32, Utf8)') as a, arrow_cast(word, 'Dictionary(UInt8, LargeUtf8)') as b, arrow_cast(id, 'Dictionary(Int16, Int64)') as c, arrow_cast(price, 'Dictionary(Int32, Decimal128(12, 3))') as d from samples

select arrow_cast(word, 'RunEndEncoded("run_ends": non-null Int32, "values": Utf8)') as a, arrow_cast(id, 'RunEndEncoded("run_ends": non-null Int32, "values": Int64)') as b from samples order by id

select arrow_cast(price, 'Decimal32(9, 3)') as a, arrow_cast(price, 'Decimal64(12, 3)') as b, arrow_cast(price, 'Decimal256(38, 3)') as c, arrow_cast(price, 'Decimal256(60, 3)') as d, vast from samples where id < 10

select arrow_cast(ratio, 'Float16') as a, arrow_cast(id, 'UInt8') as b, arrow_cast(id, 'Int8') as c, arrow_cast(flag, 'Boolean') as d, arrow_cast(null, 'Null') as e from samples

select arrow_cast(day, 'Date64') as a, arrow_cast(moment, 'Date64') as b, arrow_cast(clock, 'Time32(Second)') as c, arrow_cast(clock, 'Time32(Millisecond)') as d, arrow_cast(clock, 'Time64(Nanosecond)') as e from samples

select arrow_cast(tick, 'Timestamp(Nanosecond, Some("Asia/Shanghai"))') as a, arrow_cast(moment, 'Timestamp(Second, None)') as b, arrow_cast(moment, 'Timestamp(Millisecond, Some("+02:00"))') as c, tick, local_tick from samples

select arrow_cast(id, 'Duration(Second)') as a, arrow_cast(id, 'Duration(Millisecond)') as b, arrow_cast(id, 'Duration(Nanosecond)') as c, moment - moment as d, interval '1 month 2 days' as e from samples

select arrow_cast(numbers, 'LargeList(Int64)') as a, arrow_cast(numbers, 'ListView(Int64)') as b, arrow_cast(words, 'LargeListView(Utf8View)') as c, arrow_cast(words, 'List(Dictionary(Int32, Utf8))') as d from samples

select arrow_cast([id, id], 'FixedSizeList(2, Float16)') as a, arrow_cast([id], 'List(non-null Decimal64(18, 0))') as b, arrow_cast([[word]], 'LargeList(ListView(Utf8View))') as c from samples where id < 100

select named_struct('d', arrow_cast(word, 'Dictionary(Int32, Utf8)'), 'l', [named_struct('v', arrow_cast(word, 'Utf8View'), 'h', arrow_cast(ratio, 'Float16'))]) as nested, map([arrow_cast(region, 'Utf8View')], [arrow_cast(word, 'LargeUtf8')]) as m from samples

select array_agg(arrow_cast(word, 'Dictionary(Int32, Utf8)') order by id) as a, first_value(arrow_cast(word, 'Utf8View') order by id) as b from samples

select arrow_cast(word, 'Dictionary(Int32, Utf8)') as a, [arrow_cast(word, 'Utf8View')] as b from samples where id < 0

select from samples where id < 7
