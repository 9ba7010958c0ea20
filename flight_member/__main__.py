"""`python -m flight_member` is the command `flight-member`."""

from flight_member.cli import main

main()
