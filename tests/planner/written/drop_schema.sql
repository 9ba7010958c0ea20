DROP SCHEMA trading.stock CASCADE
