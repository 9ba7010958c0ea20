"""Which servers of the federations under test speak an older protocol: none, unless told."""

SIDES = {"member": "flight_member", "mom": "flight_mom"}
_old: set[str] = set()


def speak_old(side: str) -> None:
    """Have the servers of one side, from now on, speak the protocol of before."""
    _old.add(side)


def programs() -> dict[str, str]:
    """Return what is run in place of the programs."""
    return {SIDES[side]: f"tests.versions.old_{side}" for side in _old}
