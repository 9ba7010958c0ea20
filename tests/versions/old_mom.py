"""`flight-mom`, speaking an older protocol."""

from flight_mom.cli import main
from tests.versions.speaking import restrict

if __name__ == "__main__":
    restrict()
    main()
