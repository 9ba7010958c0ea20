CREATE TABLE fresh AS WITH t AS (SELECT * FROM trade) SELECT q.bid, t.ask FROM quote q JOIN t USING (sym)
