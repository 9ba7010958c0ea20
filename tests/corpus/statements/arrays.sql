select [1, 2, 3] as c1, array[1, 2, 3] as c2, make_array(1, 2, 3) as c3, make_list(1, 2) as c4, [] as c5, array[] as c6, [[1], [2, 3]] as c7

select [id, id + 1][1], array[id, 2][2], (array[1, 2, 3])[2:3], make_array(1, 2)[1] from samples

select array_length(numbers), array_length(matrix, 2), list_length(numbers), cardinality(numbers), array_ndims(matrix), list_ndims(matrix), array_dims(matrix), list_dims(matrix) from samples

select empty(numbers), array_empty(numbers), list_empty(numbers) from samples

select array_append(numbers, 9), list_append(numbers, 9), array_push_back(numbers, 9), list_push_back(numbers, 9) from samples

select array_prepend(9, numbers), list_prepend(9, numbers), array_push_front(9, numbers), list_push_front(9, numbers) from samples

select array_concat(numbers, [7, 8]), array_cat(numbers, [7]), list_concat(numbers, [7]), list_cat(numbers, [7]), numbers || [7], numbers || 7, 7 || numbers from samples

select array_element(numbers, 1), array_extract(numbers, 2), list_element(numbers, -1), list_extract(numbers, 1) from samples

select array_has(numbers, 3), list_has(numbers, 3), array_contains(numbers, 3), list_contains(numbers, 3) from samples

select array_has_all(numbers, [1]), array_has_any(numbers, [1, 2]), list_has_all(numbers, [1]), list_has_any(numbers, [1, 2]), arrays_overlap(numbers, [1, 2]) from samples

select numbers @> [1] as c1, [1] <@ numbers as c2, words @> array['alpha'] as c3 from samples

select array_remove(numbers, 0), array_remove_n(numbers, 0, 1), array_remove_all(numbers, 0), list_remove(numbers, 0), list_remove_n(numbers, 0, 1), list_remove_all(numbers, 0) from samples

select array_replace(numbers, 0, 5), array_replace_n(numbers, 0, 5, 2), array_replace_all(numbers, 0, 5), list_replace(numbers, 0, 5), list_replace_n(numbers, 0, 5, 2), list_replace_all(numbers, 0, 5) from samples

select array_slice(numbers, 1, 2), list_slice(numbers, 1, 2), array_slice(numbers, 1, 4, 2), array_resize(numbers, 3), list_resize(numbers, 3, 0) from samples

select array_sort(numbers), array_sort(numbers, 'DESC'), array_sort(numbers, 'DESC', 'NULLS LAST'), list_sort(numbers), array_reverse(numbers), list_reverse(numbers) from samples

select array_distinct(numbers), list_distinct(numbers), array_union(numbers, [1]), list_union(numbers, [1]), array_intersect(numbers, [1, 2]), list_intersect(numbers, [1]), array_except(numbers, [1]), list_except(numbers, [1]) from samples

select array_pop_back(numbers), array_pop_front(numbers), list_pop_back(numbers), list_pop_front(numbers) from samples

select array_to_string(words, ','), list_to_string(words, ','), array_join(words, '-', '?'), list_join(words, '-') from samples

select array_repeat(word, 2), list_repeat(id, 3), array_any_value(numbers), list_any_value(numbers), array_compact(numbers), list_compact(numbers) from samples

select flatten(matrix), flatten([[1, 2], [3]]), arrays_zip(numbers, words), list_zip([1, 2], ['a', 'b']) from samples

select array_max(numbers), list_max(numbers), array_min(numbers) from samples

select array_sum(vector), list_sum(vector), array_avg(vector), list_avg(vector), array_product(vector), list_product(vector) from samples

select array_distance(vector, [1.0, 2.0, 3.0]), list_distance(vector, [1.0, 2.0, 3.0]), cosine_distance(vector, [1.0, 2.0, 3.0]), inner_product(vector, [1.0, 2.0, 3.0]), dot_product(vector, [1.0, 2.0, 3.0]) from samples

select array_normalize([ratio, 2.0]), list_normalize([3.0, 4.0]), array_scale([ratio, 1.0], 2.0), list_scale([1.5], 2.0) from samples

select array_add([ratio, 1.0], [2.0, amount]), list_add([1.0], [2.5]), array_subtract([amount, 1.0], [1.0, 1.0]), list_subtract([1.0], [0.5]) from samples

select range(3), range(1, 5), range(1, 10, 3), generate_series(3), generate_series(1, 10, 3), range(0, u_tiny::bigint) from samples

select range(date '2024-01-01', date '2024-01-05', interval '1 day'), generate_series(date '2024-01-01', date '2024-03-01', interval '1 month')

select element_at(props, 'a'), array_element(words, 1) from samples

select numbers = [1], numbers is null, [1, 2] = array[1, 2], [1, 2] < [1, 3] from samples

select array_length(string_to_array(word, 'a')), array_to_string(array[1, null, 3], ',', '*') from samples

select id from samples where array_has(words, 'alpha') and numbers[1] is not null order by id

select [region, word] as pair, count(*) from samples group by pair

select ['a', 'b'][id % 2 + 1] as picked, [1, 2, 3][1:2][1] from samples

select words[1] || '/' || words[2], upper(words[1]) from samples

select numbers[id] from samples

select numbers[id + 1] from samples

select numbers[-2:-1] from samples

select numbers[1:id] from samples

select id from samples where id = all (array[1])

select id from samples where id > any (array[1, 5])

select id from samples where id = some (array[1, 5])

select [(select max(id) from samples)]

select (select [1, 2])[1]

select ((select numbers from samples where id = 4))[1]

select [1,2][-1]

select [1,2,3][1:3:2]

select array_agg(id order by id)[1] from samples

select -numbers[1] from samples

select id from samples where numbers[1] between 1 and 5

select array_position(numbers, 3), array_position([1, 2, 3, 2], 2, 3), list_position(numbers, 3), array_indexof(words, 'alpha'), list_indexof(words, 'Beta') from samples

select array_positions(numbers, 0), list_positions([1, 2, 1], 1) from samples
