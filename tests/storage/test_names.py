import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.names import InvalidNameError, Level, ObjectName, fold_name, split_cluster

QUOTE = ObjectName("hangzhou", "trading", "stock", "quote")
PARTS = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,62}", fullmatch=True)


@pytest.mark.parametrize(
    "text",
    [
        "trading.stock.quote@hangzhou",
        '"trading@hangzhou".stock.quote',
        '"trading@hangzhou"."stock"."quote"',
        'trading.stock."quote@hangzhou"',
        "trading@hangzhou.stock.quote",
        "trading@hangzhou.stock.quote@hangzhou",
        ' TRADING."Stock".quote@"HangZhou" ',
    ],
)
def test_every_written_form_is_the_same_table(text: str) -> None:
    assert ObjectName.parse(text) == QUOTE


@pytest.mark.parametrize(
    "text, level, local",
    [
        ("*@c", Level.CLUSTER, "*"),
        ("a@c", Level.CATALOG, "a"),
        ("a.b@c", Level.SCHEMA, "a.b"),
        ("a.b.d@c", Level.TABLE, "a.b.d"),
    ],
)
def test_number_of_parts_says_the_level(text: str, level: Level, local: str) -> None:
    name = ObjectName.parse(text)

    assert (name.level, name.local, str(name)) == (level, local, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ".",
        "@",
        "a",
        "a.b.c",
        "a..b@c",
        ".a@c",
        "a.@c",
        "a@",
        "a@@c",
        "@c",
        "a.b.c.d@e",
        "a@b.x@c",
        '"a@b"@c',
        '"a@b@c"',
        "*.b@c",
        "a.*@c",
        "a b@c",
        "a.b c@d",
        '"a"b@c',
        '"a@c',
        '""@c',
        '"a.b"@c',
        "1a@c",
        "_a@c",
        "a-b@c",
        "é@c",
        "a@c;",
        "a@c\n.b\n",
        "а@c",  # noqa: RUF001  a Cyrillic letter that looks like Latin a
    ],
)
def test_anything_else_is_no_name(text: str) -> None:
    with pytest.raises(InvalidNameError):
        ObjectName.parse(text)


def test_missing_cluster_is_filled_in_and_a_named_one_wins() -> None:
    assert ObjectName.parse("a.b", cluster="here").cluster == "here"
    assert ObjectName.parse("a.b@there", cluster="here").cluster == "there"


@pytest.mark.parametrize("part", ["", "a" * 64, "a\n", "\u017f", "\u212a", "a.b", "a@b"])
def test_part_that_is_no_name_is_refused(part: str) -> None:
    with pytest.raises(InvalidNameError):
        fold_name(part)


def test_long_text_is_cut_in_the_refusal() -> None:
    with pytest.raises(InvalidNameError) as caught:
        ObjectName.parse("x" * 100_000 + ".y-z@c")

    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "parts",
    [("c", None, "s", None), ("c", "a", None, "t"), ("c", None, None, "t"), ("c", ""), ("",)],
)
def test_name_with_a_gap_is_refused(parts: tuple[str, ...]) -> None:
    with pytest.raises(InvalidNameError):
        ObjectName(*parts)


@given(PARTS, st.lists(PARTS, max_size=3))
def test_both_written_forms_are_read_back(cluster: str, parts: list[str]) -> None:
    name = ObjectName(cluster, *parts)

    assert ObjectName.parse(str(name)) == name
    assert ObjectName.parse(name.quoted) == name


@given(PARTS, st.lists(PARTS, max_size=3))
def test_case_makes_no_difference(cluster: str, parts: list[str]) -> None:
    upper = ObjectName(cluster.upper(), *(part.upper() for part in parts))

    assert upper == ObjectName(cluster, *parts)
    assert hash(upper) == hash(ObjectName(cluster, *parts))


def test_ancestors_go_from_narrow_to_wide() -> None:
    assert [str(name) for name in QUOTE.ancestors()] == [
        "trading.stock.quote@hangzhou",
        "trading.stock@hangzhou",
        "trading@hangzhou",
        "*@hangzhou",
    ]
    assert QUOTE.parent == ObjectName("hangzhou", "trading", "stock")
    assert ObjectName("hangzhou").parent is None


def test_wider_name_covers_narrower_and_not_the_other_way() -> None:
    assert all(wider.covers(QUOTE) for wider in QUOTE.ancestors())
    assert not any(QUOTE.covers(wider) for wider in list(QUOTE.ancestors())[1:])
    assert not ObjectName("hangzhou", "trading", "stocks").covers(QUOTE)
    assert not ObjectName("shanghai").covers(QUOTE)


def test_names_of_all_levels_sort_together() -> None:
    names = [QUOTE, *QUOTE.ancestors(), ObjectName("a"), ObjectName("hangzhou", "tradinga")]

    assert [str(name) for name in sorted(set(names))] == [
        "*@a",
        "*@hangzhou",
        "trading@hangzhou",
        "trading.stock@hangzhou",
        "trading.stock.quote@hangzhou",
        "tradinga@hangzhou",
    ]


def test_cluster_is_split_off_unchecked() -> None:
    assert split_cluster("quote@hangzhou") == ("quote", "hangzhou")
    assert split_cluster("quote") == ("quote", None)
    assert split_cluster("a@b@c") == ("a@b", "c")
