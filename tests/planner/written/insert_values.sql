INSERT INTO quote (bid, day, sym) VALUES (1, '2026-01-02', NULL), (1.5, '2026-01-03', 'a')
