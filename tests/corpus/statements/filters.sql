select * from flights

select carrier, flight, origin, month from flights where month = 2 and origin = 'JFK'

select "Tail", upper("Tail") as loud, length("Tail") from flights where "Tail" is not null

select flight from flights where carrier like 'A%' or carrier ilike '%l' or carrier ~ '^U'

select flight from flights where arr_delay between -2 and 2 and month in (1, 3)

select id from samples where not (tiny > 0) and not flag

select id, word from samples where word like 'b%' or word like '_eta' or word not like '%a%'

select id, word from samples where word ilike 'B%' and word not ilike '%Z'

select id, word from samples where word like 'snake\_case%'

select id, word from samples where word similar to '(alpha|Beta)%'

select id, word from samples where word not similar to '%(a|e)'

select id, word from samples where word ~ '^[a-z]+$' and word !~ 'z'

select id, word from samples where word ~* '^B' or word !~* '^[A-Z]'

select id, word ~~ '%a' as l, word ~~* '%A' as il, word !~~ '%a' as nl, word !~~* '%A' as nil from samples

select id from samples where short is null or u_whole is not null

select id from samples where flag is true or flag is not false

select id from samples where flag is false

select id from samples where flag is unknown

select id from samples where flag is not unknown and flag is not true

select id from samples where tiny not between -1 and 1

select id from samples where region in ('east', 'west') and year not in (2023)

select id from samples where (region, year) in (('east', 2022), ('west', 2023))

select id from samples where (tiny, u_tiny) = (0, 3)

select id from samples where day > '2024-03-01' and moment < '2024-03-20T00:00:00'

select id from samples where price > 10.5 and vast < 1e31

select id from samples where point['x'] > 5 and point.y < 40

select id from samples where numbers[1] = 3 or array_length(numbers) is null

select count(*) from flights where false

select id from samples where true and id < 3

select id from samples where id % 2 = 0 and id != 4 and id <> 6 and -id > -10 and id == 2

select id from samples where blob = X'01FE' or code = X'00000003'

select id from samples where cast(day as varchar) like '2024-03%' order by id

select id from samples where case when tiny > 0 then flag else not flag end

select id from samples where coalesce(short, whole, 0) > 100

select id from samples where starts_with(word, 'a') or ends_with(word, '42') or contains(word, 'case')

select id from samples where id = any(make_array(1, 2, 3))

select id from samples where id = any(array[1, 2, 3]) or id <> all(array[1, 2])

select id from samples where region = 'east' limit 0

select id from samples where id is not distinct from 3

select id from samples where id<2 union all (select 1 union select 2)

select * from (values (1, 2)) as t(a, b) where a = 1

select id from samples where id in (1)

select id from samples where id not in (1, null)

select id from samples where (id) in ((1), (2))

select id from samples where id + 1 in (1 + 1, 3)

select id from samples where null

select id from samples where word is null or word = ''

select id from samples where word not null

select id from samples where flag

select id from samples where not(flag)

select id from samples where day = current_date

select id from samples where id between (select 1) and (select 3)

select id from samples where (id, tiny) = (1, -2)
