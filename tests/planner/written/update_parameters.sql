UPDATE quote AS q SET bid = ?, day = ? WHERE q.sym = ?
