select 1 as one, 'x' as x, null as nothing, true as yes

select 1, -1, +1, 1.5, .5, 5., 1e5, 1.5e-3, 9223372036854775807, 18446744073709551615

select 'it''s', '', 'two
lines', 'back\slash', 'percent % and _'

select E'tab\tnew\nline', E'quote\'s', E'\u00e9'

select X'DEADBEEF', x'', X'00'

select U&'\0061\00e9'

select $$dollar 'quoted'$$, $tag$with $$ inside$tag$

select N'national'

select "a""b" from (select 1 as "a""b")

select 1 as "select", 2 as "größe", 3 as "with space", 4 as "日本語", 5 as "a.b", 6 as "UPPER"

select größe, "größe" from samples where id < 3

select "with space", "MixedCase" from samples where id < 3

select 1 as été, 2 as naïve

select `id`, `with space` from samples where id < 3

select date '2024-01-31', timestamp '2024-01-31T10:00:00.123456789', timestamp '2024-01-31 10:00:00+02'

select interval '1 year 2 months 3 days 4 hours 5 minutes 6.789 seconds'

select interval '1' year, interval '2' month, interval '3' day, interval '4' hour, interval 5 minute

select interval '-1 day', - interval '1 day', interval '1 week', interval '1.5 hours'

select true, false, TRUE, null, NULL, Unknown from (select 1 as unknown)

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

select 1 as n # 2
