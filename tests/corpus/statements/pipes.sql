select id from samples |> aggregate sum(id) as s |> select s
