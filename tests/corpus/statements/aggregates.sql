select count(*), count(arr_delay), sum(flight), min(flight), max(flight) from flights

select avg(arr_delay) from flights where arr_delay > 0

select carrier, count(*) as n from flights group by carrier order by carrier

select carrier, count(*) as n from flights group by carrier having count(*) > 10

select array_agg(month order by flight) filter (where flight < 9) from flights

select approx_distinct(carrier), median(flight), stddev(flight) from flights

select percentile_cont(0.5) within group (order by flight) from flights

select first_value(carrier order by flight), last_value(carrier order by flight) from flights

select count(1), count(distinct region), count(distinct (region, year)), count(all word) from samples

select sum(tiny), sum(u_long), sum(ratio), sum(price), sum(vast), sum(distinct tiny) from samples

select avg(tiny), mean(amount), avg(price), avg(distinct u_tiny) from samples

select min(word), max(word), min(day), max(instant), min(clock), max(blob), min(flag), max(price) from samples

select min(numbers), max(region), min(tick), max(vast) from samples

select median(amount), median(tiny), approx_median(amount), median(distinct tiny) from samples

select stddev(amount), stddev_pop(amount), stddev_samp(amount), var(amount), var_pop(amount), var_samp(amount), var_population(amount), var_sample(amount) from samples

select corr(amount, ratio), covar(amount, ratio), covar_pop(amount, ratio), covar_samp(amount, ratio) from samples

select regr_avgx(amount, ratio), regr_avgy(amount, ratio), regr_count(amount, ratio), regr_intercept(amount, ratio), regr_r2(amount, ratio), regr_slope(amount, ratio), regr_sxx(amount, ratio), regr_sxy(amount, ratio), regr_syy(amount, ratio) from samples

select bit_and(id), bit_or(id), bit_xor(id), bit_or(distinct tiny) from samples

select bool_and(flag), bool_or(flag), bool_and(id >= 0) from samples

select array_agg(word order by id), array_agg(distinct region order by region), array_agg(id order by id desc) from samples

select array_agg(numbers order by id) from samples where id < 5

select any_value(region) from samples where region = 'east'

select first_value(word order by id), last_value(word order by id desc), nth_value(word, 3 order by id) from samples

select first_value(short order by id) ignore nulls, last_value(short order by id) respect nulls from samples

select approx_percentile_cont(0.5) within group (order by id), approx_percentile_cont(0.9, 100) within group (order by amount) from samples

select approx_percentile_cont(amount, 0.5), approx_percentile_cont_with_weight(amount, 1, 0.5) from samples

select approx_percentile_cont_with_weight(1, 0.9) within group (order by amount) from samples

select percentile_cont(0.25) within group (order by amount desc), quantile_cont(0.75) within group (order by amount), percentile_cont(amount, 0.5), quantile_cont(amount, 0.5) from samples

select region, percentile_cont(0.5) within group (order by amount) filter (where flag) from samples group by region

select count(*) filter (where flag), sum(id) filter (where tiny > 0), array_agg(id order by id) filter (where id < 5) from samples

select region, sum(id), avg(amount) from samples group by region

select region, year, count(*) from samples group by 1, 2 order by 1, 2

select region as r, year + 1 as y, count(*) from samples group by r, y order by y desc, r

select upper(region), count(*) from samples group by upper(region) having sum(id) > 10 order by upper(region)

select region, count(*) from samples group by all

select region from samples group by region having count(distinct year) = 2

select sum(id) from samples having sum(id) > 0

select max(id) - min(id) as spread, sum(id) * 1.0 / count(*) from samples

select region, array_agg(distinct tiny order by tiny), count(*) filter (where amount > avg_) from (select *, 5 as avg_ from samples) group by region

select carrier, origin, count(*) from flights group by rollup (carrier, origin)

select carrier, origin, count(*) from flights group by cube (carrier, origin)

select carrier, month, count(*) from flights group by grouping sets ((carrier), (month), ())

select region, year, grouping(region), grouping(year), grouping(region, year), count(*) from samples group by cube (region, year)

select region, year, sum(id) from samples group by rollup (region, year) having grouping(year) = 0

select region, year, flag, count(*) from samples group by region, rollup (year, flag)

select region, year, count(*) from samples group by region, grouping sets ((year), ())

select tiny, count(*) from samples group by tiny with rollup

select count(distinct tiny), count(distinct u_tiny), sum(distinct u_tiny) from samples group by region

select grouping(region) as g, region, max(point.x) from samples group by grouping sets ((region), ())

select sum(case when flag then 1 else 0 end), avg(case when tiny > 0 then amount end) from samples

select min(struct(id, word)), max({'a': id}) from samples

select var_pop(id) filter (where region = 'east'), covar_samp(id, tiny) filter (where flag) from samples

select array_agg(id order by region, year desc nulls last, id) from samples

select id from samples group by id with cube

select id from samples group by id with totals

select count() from samples

select first_value(short ignore nulls) from samples where id = 1

select first_value(short order by id) ignore nulls from samples

select id from samples group by 1

select region, year, count(*) from samples group by region, (year)

select region, count(*) from samples group by grouping sets (region, ())

select region, year, count(*) from samples group by rollup (region), rollup (year)

select (select max(id) from samples where region = 'east') as m

select region, (select 1) from samples group by region, (select 1)

select sum((select 1)) from samples

select max(id) from samples having true

select region from samples group by region having region like 'e%' and count(*) > 1

select region, count(*) from samples group by 1 having count(*) > 1 order by count(*) desc, 1

select region || '!' from samples group by region || '!'

select region from samples group by region, year

select id % 2, count(*) from samples group by id % 2

select 1 where 1 = 1 group by 1 having true

select stddev(id) filter (where flag) as s from samples

select string_agg(distinct word, ',') from samples where id = 1

select string_agg(word, ', ' order by id desc) from samples

select approx_percentile_cont(0.5) within group (order by id desc) from samples

select approx_percentile_cont(0.5, 50) within group (order by id) filter (where id > 3) from samples

select percentile_cont(0.5) within group (order by id) as p, region from samples group by region

select region from samples group by rollup (region) order by grouping(region), region
