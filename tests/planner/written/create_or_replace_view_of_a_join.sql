create or replace view best as with q as (select * from quote) select q.sym, t.sym as other from q join trade t on q.sym = t.sym;
