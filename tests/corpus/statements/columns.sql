select "MixedCase" + 1 as m, max("MixedCase") over (order by id) from samples

select "MixedCase", count(*) from samples group by "MixedCase" order by "MixedCase"

select s."MixedCase" from samples s where s."MixedCase" in (1, 2) order by s."MixedCase", s.id

select q."MixedCase" from (select * from samples) q

select * exclude ("MixedCase") from samples

select * replace ("MixedCase" + 1 as "MixedCase") from samples

select distinct on ("MixedCase") "MixedCase", id from samples order by "MixedCase", id

select {'a': "MixedCase"}, ["MixedCase"], struct("MixedCase") from samples

select array_agg("MixedCase" order by "MixedCase", id) filter (where "MixedCase" > 1) from samples

select numbers["MixedCase"] from samples

select case "MixedCase" when 1 then 'a' end, "MixedCase"::varchar, -"MixedCase" from samples

select id from samples qualify row_number() over (partition by "MixedCase" order by id) = 1

select sum(id) over w from samples window w as (partition by "MixedCase" order by id)

select "MixedCase" from samples union all select "MixedCase" from samples order by "MixedCase"

select "MixedCase" as m from samples group by "MixedCase" having min("MixedCase") > 0

select substr(word from "MixedCase" for 2), position('a' in word || "MixedCase") from samples

select "MixedCase", grouping("MixedCase") from samples group by rollup ("MixedCase")

select unnest(["MixedCase", id]) from samples

select extract(day from day + interval '1 day'), "MixedCase" between 1 and 2 from samples

select percentile_cont(0.5) within group (order by "MixedCase") from samples

select * from samples |> where "MixedCase" = 1 |> select "MixedCase", id

select "MixedCase" from samples order by 1

select (select max("MixedCase") from samples) as m

select "Tail", count(*) from flights group by all order by "Tail"

select id from samples where ("MixedCase", id) in ((1, 1), (2, 2))

select x."MixedCase" from (select "MixedCase" from samples union select 1) as x

select * from samples |> aggregate sum("MixedCase") as s group by "MixedCase"

select * from samples |> extend "MixedCase" * 2 as d |> select d
