INSERT INTO quote (bid, day) VALUES (?, ?), (1, ?)
