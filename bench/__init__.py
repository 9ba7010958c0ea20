"""How fast: scans side by side, in one run, with the same client."""
