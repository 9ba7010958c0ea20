UPDATE quote SET bid = (SELECT max(bid) FROM trade) WHERE sym IN (SELECT sym FROM trade)
