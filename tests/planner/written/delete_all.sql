-- all of it
DELETE FROM quote
