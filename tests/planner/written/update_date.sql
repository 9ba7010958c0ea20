UPDATE quote@shanghai SET day = '2026-01-01'
