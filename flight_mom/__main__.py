"""`python -m flight_mom` is the command `flight-mom`."""

from flight_mom.cli import main

main()
