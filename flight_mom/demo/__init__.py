"""The demo: a whole federation on this machine, on real data, with a story that checks itself."""
