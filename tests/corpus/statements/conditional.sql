select case when arr_delay > 5 then 'late' else 'fine' end, count(*) from flights group by 1

select id, case tiny when 0 then 'zero' when 1 then 'one' end as named from samples

select id, case when flag then 1 when not flag then 0 end from samples

select id, case region when 'east' then case year when 2022 then 'a' else 'b' end else 'c' end from samples

select coalesce(short, u_whole, -1), nullif(tiny, 0), ifnull(word, '?'), nvl(nothing, 'n') from samples

select nvl2(short, 'some', 'none'), greatest(tiny, u_tiny, 2), least(tiny, u_tiny, 2) from samples

select nanvl(amount, 0.0), iszero(amount), isnan(amount) from samples

select id, flag and tiny > 0 as both, flag or tiny > 0 as either, not flag as no from samples

select id, flag is null, flag is not null, tiny is distinct from 0 from samples

select case when id in (1, 2) then 'low' when id between 3 and 5 then 'mid' else 'high' end as band, count(*) from samples group by band

select greatest(day, date '2024-03-15'), least(word, region) from samples

select coalesce(nothing, nothing, 'z') as z, nullif('a', 'a') as n from samples limit 1
