INSERT INTO quote (BID, "Carrier") SELECT BID, carrier FROM quote
