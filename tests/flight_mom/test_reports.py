"""What a member reports of itself: names that are the federation's own are left out."""

from flight_mom.reports import read_report
from storage.names import ObjectName
from tests.flight_member.factories import HANGZHOU
from tests.flight_mom.factories import FLIGHTS, Mom, make_report, make_table

TAKEN = ("system.federation.audit@hangzhou", "aviation.information_schema.tables@hangzhou")


def test_tables_in_the_federations_own_places_are_left_out() -> None:
    report = make_report(HANGZHOU, [make_table(name) for name in (FLIGHTS, *TAKEN)])
    read = read_report(HANGZHOU, report)
    assert [str(name) for name in read.metastore.tables] == [FLIGHTS]


def test_nobody_can_be_granted_what_was_left_out(federation: Mom) -> None:
    federation.join(HANGZHOU, make_report(HANGZHOU, [make_table(name) for name in TAKEN]))
    snapshot = federation.topology.federation
    for name in TAKEN:
        assert snapshot.table(ObjectName.parse(name)) is None
