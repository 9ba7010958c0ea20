ALTER TABLE quote RENAME TO bonds.quote
