select 1 as left, 2 as right, 3 as from_

select 1 as value, 2 as key, 3 as end_

select 1 as a$b

select 1 as a#b

select a#b from (select 1 as a#b)

select id as order_, id as "order", id as "group" from samples

select id as row, id as rows, id as range, id as groups, id as first, id as last, id as nulls from samples

select id as all_, id as any_, id as some, id as exists_ from samples

select id as filter, id as over, id as partition, id as window_ from samples

select id row from samples

select id first from samples

select id date from samples

select id name, word text, flag boolean from samples

select id as comment, id as show, id as describe, id as explain, id as analyze, id as use, id as grant, id as call, id as execute from samples

select id as index, id as key, id as format, id as version, id as level, id as mode, id as cluster, id as local from samples

select show.id from samples as show

select id from samples as "S" where "S".id < 2

select id from samples as "my table" where "my table".id < 2

select 'x' as "quo""te"

select "quo""te" from (select 1 as "quo""te")

select 1 as "A", 2 as a

select "A" from (select 1 as "A")
