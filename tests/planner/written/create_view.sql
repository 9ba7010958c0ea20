CREATE VIEW trading.stock.best AS SELECT sym, bid FROM trading.stock.quote WHERE bid > 1
