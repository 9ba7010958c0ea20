from samples |> limit 2

from samples |> limit 2 offset 1

select id from samples |> aggregate sum(id) as s |> select s

select * from samples |> as x |> select x.id
