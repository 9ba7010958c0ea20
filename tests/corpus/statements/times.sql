select date '2024-01-31' + interval '1 month' as d, now() > timestamp '2020-01-01' as later

select day + interval '1 day', day - interval '1 month', moment + interval '90 minutes', moment - interval '1 year' from samples

select day + 1, day - 1 from samples

select day - date '2024-01-01', moment - timestamp '2024-01-01', moment - day from samples

select extract(year from moment), extract(month from moment), extract(day from moment), extract(hour from moment), extract(minute from moment), extract(second from moment) from samples

select extract(quarter from day), extract(week from day), extract(dow from day), extract(doy from day), extract(isodow from day), extract(epoch from moment) from samples

select extract(millisecond from moment), extract(microsecond from moment), extract(nanosecond from moment), extract('year' from day) from samples

select extract(day from interval '3 days 4 hours'), extract(hour from clock) from samples

select date_part('year', moment), date_part('dow', day), datepart('hour', moment), date_part('epoch', day) from samples

select date_trunc('month', moment), date_trunc('hour', moment), datetrunc('year', moment), date_trunc('week', day), date_trunc('quarter', tick) from samples

select date_bin(interval '15 minutes', moment), date_bin(interval '1 day', moment, timestamp '2001-01-01'), date_bin('1 hour', tick) from samples

select to_char(moment, '%Y-%m-%d %H:%M'), to_char(day, '%d.%m.%Y'), date_format(moment, '%j') from samples

select to_date('2024-03-01'), to_date('01/03/2024', '%d/%m/%Y'), to_date(id) from samples

select to_timestamp('2024-03-01T10:00:00'), to_timestamp(id), to_timestamp_seconds(id), to_timestamp_millis(id), to_timestamp_micros(id), to_timestamp_nanos(id) from samples

select to_timestamp('01-03-2024 10:00', '%d-%m-%Y %H:%M'), to_unixtime('2024-03-01'), to_unixtime(moment), from_unixtime(id) from samples

select from_unixtime(id, 'America/New_York'), to_time('10:30:00'), make_date(2024, 2, 29), make_time(10, 30, 15) from samples

select make_date(year, 1, 1 + u_tiny), make_time(u_tiny, 0, 0) from samples

select now() = now(), current_timestamp = now(), current_date = today(), current_time is not null

select current_timestamp() > moment, current_date() > day, today() >= date '2024-01-01' from samples

select moment at time zone 'Europe/Berlin', instant at time zone 'America/New_York' from samples

select to_local_time(instant), to_local_time(moment at time zone 'Asia/Tokyo') from samples

select instant, local_tick, tick, seconds, clock from samples

select instant = local_tick, instant > moment, seconds = moment, tick < seconds from samples

select timestamp '2024-03-10 12:00:00' at time zone 'UTC', timestamptz '2024-03-10 12:00:00+05:30'

select date_part('month', day) as m, count(*) from samples group by m order by m nulls first

select day, count(*) over (order by day range between interval '3 days' preceding and current row) from samples

select moment between '2024-03-10' and '2024-03-15' and day in (date '2024-02-28', '2024-03-01') from samples

select interval 1 day + day, day + interval '1' month, moment + interval '1 day 3 hours' from samples

select (moment, day), moment::varchar, day::varchar, clock::varchar, instant::varchar from samples

select arrow_typeof(now()), arrow_typeof(current_date), arrow_typeof(date '2024-01-01' + interval '1 day')

select interval '1 month' > interval '1 day', interval '24 hours' = interval '1 day'

select date_trunc('minute', clock), extract(minute from clock), clock + interval '1 hour' from samples

select map_extract(MAP {'a': 1}, 'a')[1]

select id as user, id as current_date_, id as type, id as schema, id as catalog, id as table_ from samples

select cast('2024-01-01' as timestamp without time zone)

select cast('2024-01-01' as timestamptz)

select cast('2024-01-01' as timestamp(0)) as c1, cast('2024-01-01' as timestamp(6)) as c2, cast('2024-01-01' as timestamp(9)) as c3

select - interval '1 day' + day from samples

select moment at time zone 'UTC' at time zone 'Europe/Berlin' from samples

select (moment at time zone 'UTC')::varchar from samples

select extract(year from moment at time zone 'UTC') from samples

select moment::timestamp at time zone 'UTC' as z from samples

select now() - moment > interval '1 day' from samples

select now() at time zone 'UTC' is null

select date_trunc('month', moment), count(*) from samples group by 1 order by 1

select count(*) from samples group by date_trunc('month', moment)

select date '2024-01-01' < timestamp '2024-01-02'

select extract(hour from time '10:30:00')

select to_timestamp('2024-01-01', '%Y-%m-%d')

select to_timestamp('x', '%Y', '%Y-%m')  is null from samples where false
