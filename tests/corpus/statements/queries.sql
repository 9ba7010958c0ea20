select distinct origin, month from flights

select flight from flights order by flight desc limit 7 offset 3

select flight from flights where flight > (select avg(flight) from flights)

with b as (select carrier, count(*) as n from flights group by carrier) select max(n) from b

select q.carrier, q.m from (select carrier, max(flight) as m from flights group by carrier) q

select carrier from flights where month = 1 union all select carrier from flights where month = 2

select carrier from flights where month = 1 union select origin from flights

select f.* from flights as f where f.flight < 3

values (1, 'a'), (2, 'b')

select distinct on (region) region, id from samples order by region, id

select distinct on (region, year) region, year, id from samples order by region, year, id desc

select distinct all_ from (select region as all_ from samples)

select all region from samples

select id from samples order by id asc limit 5

select id, short from samples order by short desc nulls last, id

select id, short from samples order by short asc nulls first, id desc

select id, -id as neg from samples order by neg limit 3

select id, word from samples order by 2, 1

select id from samples order by id offset 40

select id from samples order by id limit 3 offset 2

select id from samples order by id offset 2 limit 3

select id from samples order by id limit all

select id from samples order by id limit 1 + 2

select id from samples order by id limit null

select id from samples order by upper(region), id * -1

select id from samples order by case when flag then 0 else 1 end, id

with a as (select 1 as n), b as (select n + 1 as n from a) select * from b

with a as (select id from samples where id < 3), unused as (select 1) select * from a

with a(x, y) as (select id, word from samples) select x, y from a where x < 5

with a as (with inner_ as (select max(id) as m from samples) select m from inner_) select * from a

with recursive n as (select 1 as i union all select i + 1 from n where i < 5) select * from n

with recursive n(i) as (values (1) union all select i * 2 from n where i < 100) select sum(i) from n

with recursive t as (select id from samples where id = 0 union select id + 1 from t where id < 4) select * from t

with a as (select region, sum(id) as s from samples group by region) select region, s / (select sum(s) from a) from a

select * from (select id from samples where id < 3)

select d.i, d.w from (select id, word from samples where id < 3) as d(i, w)

select * from (select * from (select * from samples where id = 1))

select * from (values (1, 'a'), (2, 'b')) as v(n, w)

select * from (values (1), (2), (3))

select column1 + 1 from (values (1), (2))

values (1 + 1, upper('a')), (null, 'b')

values (3), (1), (2) order by 1 limit 2

from samples

from samples select id where id < 3

select from samples limit 1

select id from samples where id < 2 union select id from samples where id < 3 order by id

select id from samples where id < 2 union all select tiny from samples where id < 2

select id, word from samples where id < 2 union by name select word, id from samples where id = 5

select id, word from samples where id < 2 union all by name select tiny from samples where id = 5

select id from samples where id < 2 union distinct select 7

(select id from samples order by id limit 2) union all (select id from samples order by id desc limit 2)

(select 1 as n)

((select id from samples where id < 2))

select 1 as a union all select 2 union all select 3 order by a desc limit 2

select (select max(id) from samples) as top, (select count(*) from flights) as n

select id from samples where id = (select min(id) from samples where id > 5)

select id, (select avg(amount) from samples) - amount from samples

select sum(id) from samples having sum(id) > (select max(id) from samples)

select case when (select max(id) from samples) > 3 then 'big' end

select (select 1) + (select 2)

select s.* from samples s where s.id < 2

select samples.* from samples where id < 2

select samples.id, samples."MixedCase" from samples order by samples.id limit 2

select *, id + 1 as next from samples where id < 2

select id as a, * from samples where id < 2

select * exclude (blob, code) from samples where id < 2

select * exclude id from samples where id < 2

select * except (blob, code) from samples where id < 2

select * replace (id * 2 as id, upper(word) as word) from samples where id < 2

select * exclude (blob) replace (id + 1 as id) from samples where id < 2

select s.* exclude (blob) from samples s where id < 2

select * ilike '%word%' from samples

select id,  word, from samples where id < 2

select a.id from samples a where a.region = 'east' and a."MixedCase" = 1

select 1 where false

select 1 where (select true)

select count(*) from (select distinct region, year from samples)

select region r, id i from samples where id < 2

select id "I", word 'w' from samples where id < 2

select id as "id", "region" as "Region" from samples where id < 2

select max(id) from samples group by region order by max(id)

select region, count(*) as n from samples group by region order by n desc, region limit 2

select x.n from (select 1 as n union all select 2) x where x.n > 1

select id from samples |> where id < 3

select id from samples where id < 3 |> order by id desc |> limit 2

select first.id from samples as first where first.id < 2

select "min", "value" from (select 1 as "min", 2 as "value")

select date, time, year, timestamp from (select 1 as date, 2 as time, 3 as year, 4 as timestamp)

select id as value, word as name, day as date, tiny as type, short as key from samples where id < 2

select s.day, s.year, s.region from samples s where s.year = 2022 and s.day > date '2024-03-01'

select id from samples group by id, word having max(tiny) > 0 and word is not null order by id

select sum(n) from (select count(*) as n from samples group by region union all select count(*) from flights group by carrier)

select id from samples order by id limit 1, 2

select 1 <=> null

select * from (samples)

select x'41'

select not not true

select true is not true

select (1, 2) in ((1, 2), (3, 4))

select (1 > 2) is not unknown

select 1 between 0 and 2 and true

select not 1 between 0 and 2

select 1 between 0 and 2 is true

select case 1 when 1 then 2 end + 1

select id from samples order by id offset 1 row

select id from samples order by id offset 1 rows

(select id from samples) order by id limit 2

(select id from samples order by id limit 2) limit 3

select 1 union all values (2)

select * from (values (1, 2)) t

select ((select 1))

select case (select 1) when 1 then (select 2) else (select 3) end

select coalesce((select null), (select 4))

select id from samples order by (select 1), id

select id from samples order by id limit 2 + 1 offset 1 + 1

select id + 1 as x from samples order by x + 1

select id from samples where(id=1)or(id=2)

select 5%2 as c1, 5 %2 as c2, 5% 2 as c3

select 1<2 as c1, 1<=2 as c2, 1>=2 as c3, 1<>2 as c4, 1!=2 as c5, 1=2 as c6

select 1 = 1 = true

select not false = true

select 1 in (1) and 2 in (3)

select 'a' in ('a') is true

select null is null, null is not null, null = null

select null and false, null or true, not null

select case when null then 1 else 2 end

select bool_and(flag) filter (where flag is not null) from samples

select id from samples with (nolock)

select distinct on (region) * from samples order by region, id

select date '2024-01-01' - date '2023-01-01'

select '2024-01-01' < date '2024-01-02'

select 5 ^ 3 as x

select 'abc' ~ 'b', 'abc' !~ 'b', 'ABC' ~* 'b', 'ABC' !~* 'b'

select 1 is distinct from 2, null is not distinct from null

select true is not unknown, null is unknown

select (1 = 1) is true, (1 = 2) is not false

select id from samples order by id nulls first

select id from samples order by id desc nulls first limit 1

select id from samples order by id desc limit 1 offset 2

select id from samples order by id desc offset 2 limit 1

select id from samples order by id limit (1)

select id from samples order by id limit (1 + 1) offset (2)

select id from samples order by (id)

select id from samples order by (id, word)

select id from samples order by id % 2, -id

select id from samples order by samples.id
