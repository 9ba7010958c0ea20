select {'a': flight, 'b': carrier} as s from flights where flight < 4

select struct(id, word), named_struct('n', id, 'w', word), row(id, word), struct(id as n, word as w) from samples

select {'a': 1, 'b': {'c': id, 'd': [1, id]}} from samples

select point, point.x, point['x'], point."Label", point['Label'], get_field(point, 'y') from samples

select samples.point.x, s.point['y'] from samples, samples as s where false

select samples.point.x, samples.point['y'] from samples

select {'a': id}['a'], named_struct('a', id).a, (struct(id, word)).c0, struct(id)['c0'] from samples

select {'a': {'b': id}}['a']['b'], ({'a': {'b': id}}).a.b from samples

select point.x + point.y as total, point.* from samples

select (point).* from samples

select max(point.x), min(point['y']) from samples group by point."Label"

select s.p.x from (select point as p from samples) s

select points, points[1], points[1].x, points[2]['Label'] from samples

select struct(1, 'a', true), {'x': null}, {}

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

select MAP {}['a'], MAP {1: 'x', 2: 'y'}[1], map_keys(MAP {'k': id}) from samples

select (MAP {'a': id})['a'] as v, MAP {'a': [1, 2]}['a'] from samples

select id from samples where map_extract(props, 'a')[1] > 20

select unnest(point) from samples

select unnest({'a': id, 'b': word}) from samples

select unnest(struct(id, word)) from samples

select union_tag(null), union_extract(null, 'x')

select {'q': (select max(id) from samples)}['q'] as q
