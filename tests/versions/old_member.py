"""`flight-member`, speaking an older protocol."""

from flight_member.cli import main
from tests.versions.speaking import restrict

if __name__ == "__main__":
    restrict()
    main()
