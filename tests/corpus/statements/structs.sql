select {'a': flight, 'b': carrier} as s from flights where flight < 4

select struct(id, word) as c1, named_struct('n', id, 'w', word) as c2, row(id, word) as c3, struct(id as n, word as w) as c4 from samples

select {'a': 1, 'b': {'c': id, 'd': [1, id]}} from samples

select point as c1, point.x as c2, point['x'] as c3, point."Label" as c4, point['Label'] as c5, get_field(point, 'y') as c6 from samples

select samples.point.x, samples.point['y'] from samples

select max(point.x), min(point['y']) from samples group by point."Label"

select s.p.x from (select point as p from samples) s

select {id: 1} from samples

select {'a': 1, 'b': 'x'} = {'a': 1, 'b': 'x'}

select id from samples where point = {'x': 1.0, 'y': 4, 'Label': 'p0'}

select point from samples order by point.x desc nulls last limit 3

select count(distinct point) from samples

select array_agg({'i': id} order by id) from samples where id < 4

select MAP {'a': 1, 'b': 2}, map {'k': id} from samples

select MAP(['a', 'b'], [1, 2]), map(make_array('x'), make_array(id)), map([word], [id]) from samples where word is not null

select props, props['a'], props['zz'], map_extract(props, 'a'), element_at(props, 'b') from samples

select map_keys(props), map_values(props), map_entries(props), cardinality(props) from samples

select (MAP {'a': id})['a'] as v, MAP {'a': [1, 2]}['a'] from samples

select id from samples where map_extract(props, 'a')[1] > 20

select unnest(point) from samples

select unnest({'a': id, 'b': word}) from samples

select unnest(struct(id, word)) from samples

select {'q': (select max(id) from samples)}['q'] as q

select {d '2024-01-01'}

select point['x'] + 1 from samples

select struct(1 as a)['a']

select t.a.b.c from (select {'b': {'c': 1}} as a) t

select cast({'a': 1} as struct<a bigint>)

select (select {'a': 1})['a']

select [{'a': 1}, {'a': 2}][1]['a']

select [[{'a': [1]}]]

select {'x': -1, 'y': +1}

select {'x': case when true then 1 end, 'y': [1][1]}

select {'x': {'y': 1}}['x']['y'] + 1 as n

select id from samples where {'a': id}['a'] = 3

select {'a': 1}['a'] + {'b': 2}['b']

select point['x']::int from samples

select id from samples where numbers[1] is not null and point['x'] is null
