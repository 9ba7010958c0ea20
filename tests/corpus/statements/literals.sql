select 1 as one, 'x' as x, null as nothing, true as yes

select 1 as c1, -1 as c2, +1 as c3, 1.5 as c4, .5 as c5, 5. as c6, 1e5 as c7, 1.5e-3 as c8, 9223372036854775807 as c9, 18446744073709551615 as c10

select 'it''s', '', 'two
lines', 'back\slash', 'percent % and _'

select E'tab\tnew\nline', E'quote\'s', E'\u00e9'

select X'DEADBEEF', x'', X'00'

select $$dollar 'quoted'$$, $tag$with $$ inside$tag$

select "a""b" from (select 1 as "a""b")

select 1 as "select", 2 as "größe", 3 as "with space", 4 as "日本語", 5 as "a.b", 6 as "UPPER"

select größe as c1, "größe" as c2 from samples where id < 3

select "with space", "MixedCase" from samples where id < 3

select 1 as été, 2 as naïve

select `id`, `with space` from samples where id < 3

select date '2024-01-31', timestamp '2024-01-31T10:00:00.123456789', timestamp '2024-01-31 10:00:00+02'

select interval '1 year 2 months 3 days 4 hours 5 minutes 6.789 seconds'

select interval '1' year, interval '2' month, interval '3' day, interval '4' hour, interval 5 minute

select interval '-1 day' as c1, - interval '1 day' as c2, interval '1 week' as c3, interval '1.5 hours' as c4

select true as c1, false as c2, TRUE as c3, null as c4, NULL as c5, Unknown from (select 1 as unknown) as c6

select 'a' 'b'

select 100000000000000000000, 1.23456789012345678901234567890

select 0.1 + 0.2, 1 / 2, 1 / 2.0, 7 % 3, -7 % 3, 7.5 % 2

select 'a' as "A", 'b' as "a"

select /* a comment */ flight -- another
from flights where flight = 5;

select 1 /* outer /* nested */ still */ + 1 -- end

/* leading */ -- comments
select 1 as n; -- trailing

select 1 as n;;

select 0x1F

select 1_000

select 10L

select 2 ^ 3

select - -1

select 1 + - 2, 1 - -2

select (1, 2) = (1, 2)

select (1, 2)

select id from samples as "größe"

select größe from samples

select "größe" + 1 as größer from samples

select /*+ hint */ id from samples

select id /**/ from /* x */ samples -- y

select--comment
id from samples

select id from samples --

select id from samples /* unclosed? */ where id -- = 3
< 2

select 1 -- ; select 2

select 'a -- b', "c -- d" from (select 1 as "c -- d")

select '/* x */', 'a;b'

select $$a;b$$, $x$ 'quo' $x$

select ((((1))))

select '日本' as 日本

select 日本 from (select 1 as 日本)

select 1 as "🦆"

select '🦆' || 'x', length('🦆')

select 1 + 2 * 3 - 4 / 2

select 2 * (3 + 4)
