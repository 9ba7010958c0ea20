DELETE FROM trading.stock.quote WHERE carrier IS NULL OR extract(year FROM day) < 2000
