INSERT INTO quote@shanghai (SELECT * FROM trade@shanghai)
