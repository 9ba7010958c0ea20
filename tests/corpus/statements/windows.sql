select flight, row_number() over (partition by carrier order by flight) as r from flights

select flight, lag(flight) over (order by flight) - flight as gap from flights where month = 1

select flight, sum(flight) over (order by flight rows 3 preceding) from flights where month = 3

select id, rank() over (order by tiny), dense_rank() over (order by tiny), percent_rank() over (order by tiny), cume_dist() over (order by tiny) from samples

select id, ntile(4) over (order by id), row_number() over (order by id desc) from samples

select id, lag(id) over (order by id), lag(id, 2) over (order by id), lag(id, 2, -1) over (order by id), lead(word, 1, 'end') over (partition by region order by id) from samples

select id, first_value(word) over (order by id), last_value(word) over (order by id), nth_value(word, 2) over (order by id) from samples

select id, first_value(short) ignore nulls over (order by id), lag(short) ignore nulls over (order by id), lead(short) respect nulls over (order by id) from samples

select id, last_value(short) ignore nulls over (order by id rows between unbounded preceding and current row) from samples

select id, nth_value(short, 2) ignore nulls over (order by id rows between unbounded preceding and unbounded following) from samples

select id, sum(id) over (), sum(id) over (partition by region), sum(id) over (order by id) from samples

select id, sum(id) over (order by id rows between 1 preceding and 1 following), avg(amount) over (order by id rows between 2 preceding and current row) from samples

select id, count(*) over (order by tiny range between 1 preceding and 1 following), sum(id) over (order by tiny range unbounded preceding) from samples

select id, count(*) over (order by tiny groups between 1 preceding and current row), min(id) over (order by tiny groups current row) from samples

select id, max(id) over (order by id rows between current row and unbounded following), count(*) over (order by id rows between 3 preceding and 1 preceding) from samples

select id, sum(id) over w, avg(id) over w, count(*) over w from samples window w as (partition by region order by id)

select id, rank() over w1, dense_rank() over w2 from samples window w1 as (order by tiny), w2 as (partition by region order by tiny desc)

select id, row_number() over w from samples window w as (order by id) order by id desc limit 5

select id, row_number() over (partition by region order by id) as r from samples qualify r <= 2

select id, region from samples qualify row_number() over (partition by region order by id desc) = 1

select region, count(*) as n from samples group by region qualify rank() over (order by region) < 3

select id, sum(id) filter (where flag) over (order by id), count(*) filter (where tiny > 0) over (partition by region) from samples

select region, sum(id) as s, rank() over (order by sum(id) desc) from samples group by region

select id, sum(id) over (partition by region order by year, id) from samples order by region, year, id

select id, stddev(id) over (order by id), median(id) over (order by id rows 2 preceding), corr(id, tiny) over (order by id) from samples

select id, day, sum(id) over (order by day range between interval '2' day preceding and interval '1' day following) from samples where day is not null

select id, row_number() over (order by short nulls first, id), row_number() over (order by short desc nulls last, id) from samples

select distinct region, count(*) over (partition by region) from samples

select id - avg(id) over (partition by region) as off, case when row_number() over (order by id) = 1 then 'first' else 'later' end from samples

select * from (select id, ntile(3) over (order by id) as t from samples) where t = 2

select bit_or(id) over (order by id), bool_and(flag) over (order by id), approx_distinct(tiny) over (order by id) from samples

select first_value(id) over (partition by region, year order by id), count(distinct tiny) over (partition by region) from samples

select id, sum(id) over (order by id rows between unbounded preceding and 1 preceding), sum(id) over (order by id desc rows between 1 following and 2 following) from samples

select lead(id) over (order by id) is null as last, sum(count(*)) over () from samples group by id

select lag(short ignore nulls) over (order by id) from samples

select lag(short, 1 ignore nulls) over (order by id) from samples

select count(*) filter (where id > 3) over (partition by region) from samples

select sum(id) over w from samples window w as (partition by region), w2 as (w order by id)

select count(*) filter (where true) over (order by id) from samples

select first_value(short) respect nulls over (order by id) from samples

select id, sum(id) over (partition by grouping(region)) from samples group by rollup(region), id
