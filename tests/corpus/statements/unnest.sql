select unnest([flight, flight + 1]) as n from flights where flight < 4

select id, unnest(numbers) from samples

select id, unnest(numbers) as n, unnest(words) as w from samples

select unnest([1, 2, 3]), unnest(['a', 'b'])

select * from unnest([1, 2, 3])

select * from unnest([1, 2], ['a', 'b']) as t(n, w)

select n * 2 from unnest(range(1, 5)) as t(n)

select unnest(matrix) as row_, id from samples

select unnest(unnest(matrix)) from samples

select id, unnest(points) from samples where id < 6

select unnest(map_keys(props)) as k, count(*) from samples group by k

select n, count(*) from (select unnest(numbers) as n from samples) group by n

select sum(n) from (select unnest(numbers) as n from samples) where n > 3

select distinct unnest(words) from samples

select unnest(words) as w from samples order by w limit 5

select unnest(string_to_array('a,b,c', ',')) as letter

select * from generate_series(1, 5)

select value from generate_series(1, 10, 3)

select * from range(3)

select value * 2 as twice from range(1, 6) as r

select * from generate_series(timestamp '2024-01-01', timestamp '2024-01-03', interval '1 day')

select id, unnest(numbers) + 1 from samples

select array_agg(n order by n) from (select unnest(numbers) n from samples where id < 9)

select * from unnest([1, 2]) as t(x)

select * from unnest({'a': 1})

select * from unnest((select numbers from samples where id = 4))

select * from generate_series(1, 3) as t(n)

select * from generate_series(1, 3) t

select (unnest(numbers)) from samples

select unnest(words) || '!' from samples
