"""The Master of Masters: members, heartbeats, routing, administration."""
