select abs(tiny), abs(amount), signum(tiny), ceil(amount), floor(amount), round(amount), round(amount, 1), trunc(amount), trunc(amount, 1) from samples

select sqrt(abs(amount)), cbrt(amount), exp(ratio), ln(id + 1), log(id + 1), log(2, id + 1), log2(id + 1), log10(id + 1) from samples

select power(tiny, 2), pow(tiny, 2), pow(2, tiny), factorial(u_tiny), gcd(id, 12), lcm(id, 12) from samples

select sin(ratio), cos(ratio), tan(ratio), cot(ratio + 0.5), asin(ratio / 6), acos(ratio / 6), atan(ratio), atan2(ratio, 2) from samples

select sinh(ratio / 6), cosh(ratio / 6), tanh(ratio), asinh(ratio), acosh(ratio + 1), atanh(ratio / 6) from samples

select degrees(ratio), radians(ratio), pi(), pi() * 2 from samples

select random() < 2, rand() >= 0, random() between 0 and 1 from samples

select id + 1, id - 1, id * 2, id / 2, id % 3, -id, +id, id / 3.0 from samples

select tiny + u_tiny, short * whole, u_short - u_whole, ratio + amount, price + id, price * price, price / 3 from samples

select vast + 1, vast / 2, price % 2, round(price, 1), ceil(price), floor(price), abs(price) from samples

select id ^ 2 from samples

select isnan('nan'::double), 'inf'::double, '-inf'::double, iszero(0.0), nanvl('nan'::double, 1.0)

select 5 / 2, 5.0 / 2, 5 % 2, 5 * 2.5, 2 - 3, (1 + 2) * 3, - - 5

select tiny > 0 as c1, tiny >= 0 as c2, tiny < 0 as c3, tiny <= 0 as c4, tiny = 0 as c5, tiny <> 0 as c6, tiny != 0 as c7 from samples

select ceil(price), floor(vast), trunc(price, 1), round(-2.5), round(2.5), round(1234.5, -2) from samples

select sum(amount) / count(*) + 1, -sum(tiny), abs(min(tiny)) from samples

select greatest(1, 2.5, 3), least(1, null, 3)
