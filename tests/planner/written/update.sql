UPDATE quote SET bid = bid + 1, carrier = 'x' WHERE Carrier = 'a' AND day IS DISTINCT FROM date '2026-01-01'
