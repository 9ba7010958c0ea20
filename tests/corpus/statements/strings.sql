select upper(word), lower(word), initcap(word), length(word), char_length(word), character_length(word) from samples

select octet_length(word), bit_length(word), ascii(word), chr(65 + tiny), reverse(word) from samples

select concat(word, '-', id), concat_ws('/', region, word, nothing), word || region || id from samples

select trim(word), btrim(' x '), ltrim('xxhixx', 'x'), rtrim('xxhixx', 'x'), btrim('xxhixx', 'x') from samples

select trim(both 'x' from 'xxhixx'), trim(leading 'x' from 'xxhixx'), trim(trailing 'x' from 'xxhixx'), trim(' hi ')

select lpad(word, 8), lpad(word, 8, '*'), rpad(word, 8), rpad(word, 8, '*'), repeat(word, 2) from samples

select left(word, 2), right(word, 2), left(word, -1), right(word, -1) from samples

select substr(word, 2) as c1, substr(word, 2, 3) as c2, substring(word, 2) as c3, substring(word from 2) as c4, substring(word from 2 for 3) as c5, substring(word for 2) as c6 from samples

select position('a' in word) as c1, strpos(word, 'a') as c2, instr(word, 'a') as c3, position('e' in 'abcde') as c4 from samples

select overlay(word placing 'XX' from 2), overlay(word placing 'XX' from 2 for 1), overlay('abcdef', 'Z', 2, 3) from samples

select replace(word, 'a', 'o'), translate(word, 'abc', 'xyz'), split_part(word, '-', 1), split_part('a.b.c', '.', -1) from samples

select starts_with(word, 'al'), ends_with(word, 'a'), contains(word, 'mm') from samples

select string_to_array(word, 'a'), string_to_list('a,b,,c', ',', ''), find_in_set('b', 'a,b,c') from samples

select substr_index(word, '_', 1), substring_index('www.example.org', '.', -2) from samples

select levenshtein(word, 'alpha'), to_hex(id), md5(word) from samples

select regexp_like(word, '^[a-z]+$'), regexp_like(word, '^B', 'i'), regexp_match(word, '([a-z]+)-([0-9]+)') from samples

select regexp_replace(word, '[aeiou]', '.'), regexp_replace(word, '[aeiou]', '.', 'g'), regexp_replace(word, '(\w)(\w)', '\2\1') from samples

select regexp_count(word, 'a'), regexp_count(word, 'A', 1, 'i'), regexp_instr(word, 'a'), regexp_instr(word, 'a', 2) from samples

select (regexp_match(word, '[0-9]+'))[1] as digits from samples

select word ~ 'a', word !~ 'a', word ~* 'A', word !~* 'A' from samples

select 'a' < 'b', 'a' || null, 'x' || 1 || true, 'ab' = 'AB' from samples limit 1

select upper(word) as loud, count(*) from samples group by loud

select length(region) + length(word) * 2 as n from samples order by n, id

select ascii('é'), chr(8364), char_length('日本'), octet_length('日本'), reverse('日本')

select encode(word, 'base64'), encode(word, 'hex'), decode(encode(word, 'hex'), 'hex') from samples

select encode(blob, 'hex'), decode('aGk', 'base64'), arrow_cast(decode('aGk', 'base64'), 'Utf8') from samples

select md5(word), sha224(word), sha256(word), sha384(word), sha512(word) from samples

select digest(word, 'sha256'), digest(word, 'blake2s'), digest(word, 'blake2b'), digest(word, 'blake3'), digest(word, 'md5') from samples

select uuid() is not null, length(cast(uuid() as varchar)), version() = version()

select substr(str => 'abc', start_pos => 2)

select ltrim(word), rtrim(word) from samples

select concat('a' , 'b')

select id from samples where word in ('a', upper('b'))

select s.* replace (s.id + 1 as id) from samples s

select replace(word, 'a', 'b') from samples

select concat_ws('-', 'a', 'b'), concat('a', 1, true)

select 'abc' similar to 'a%', 'abc' not similar to 'a%'

select 'abc' ilike 'A%' escape '\'

select 'a_c' like 'a\_c' escape '\'
