select id from samples |> aggregate sum(id) as s |> select s

select * from samples |> where id < 3 |> select id, word

select id, region from samples |> aggregate count(*) as n, max(id) as m group by region

select id from samples |> extend id + 1 as next |> where next > 40

select id, tiny from samples |> as s |> where s.tiny = 0 |> select s.id

select id from samples where id < 9 |> order by id desc |> limit 2 offset 1

select id from samples where id < 2 |> union all (select id from samples where id = 7), (select 1)

select id from samples where id < 2 |> union distinct (select 1)

select id from samples |> aggregate sum(id) as s |> extend s * 2 as twice

select id, numbers from samples |> where id = (select max(id) from samples) |> select numbers[1] as n
