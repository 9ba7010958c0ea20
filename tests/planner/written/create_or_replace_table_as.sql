CREATE OR REPLACE TABLE fresh PARTITIONED BY (DAY) AS
SELECT sym, avg(bid) AS bid, day FROM quote GROUP BY sym, day
