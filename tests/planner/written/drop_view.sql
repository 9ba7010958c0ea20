DROP VIEW trading.stock.rich
