"""The data: TPC-H lineitem, generated once per scale and kept, in two layouts with the same rows.

`plain` is eight files as the generator writes them; `by_year` the same rows, Hive-partitioned by
the year of `l_shipdate`.
"""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from flight_member.errors import StartupError
from flight_sql.casting import cast_batch
from flight_sql.wiretypes import wire_type
from storage.load import load_table

PLAIN, BY_YEAR = "plain", "by_year"
PARTITION_COLUMN = "l_shipyear"

_FILE_COUNT = 8


def prepare_lineitem(
    directory: Path, scale: float, progress: Callable[[str], None] = lambda _: None
) -> Mapping[str, Path]:
    """Return the directory of each layout, made when it is not there yet.

    Args:
        directory: Keeps the data of all scales.
        scale: TPC-H's scale factor; 1 is about six million rows.
        progress: Told what is being done.

    Raises:
        StartupError: When the generator is missing or fails.
    """
    at = directory.resolve() / f"scale-{scale:g}"
    plain, by_year = at / PLAIN, at / BY_YEAR
    if not plain.exists():
        progress(f"generating lineitem at scale {scale:g}")
        _generate(plain, scale)
    if not by_year.exists():
        progress("partitioning lineitem by ship year")
        load_table(_with_year(plain), by_year, partition_by=[PARTITION_COLUMN])
    return {PLAIN: plain, BY_YEAR: by_year}


def count_rows(directory: Path) -> int:
    """Return how many rows the Parquet files of a layout hold."""
    return sum(pq.read_metadata(file).num_rows for file in directory.rglob("*.parquet"))


def lineitem_schema(directory: Path) -> pa.Schema:
    """Return the columns of a layout's files in plain Arrow types; no partition column."""
    written = pq.read_schema(next(directory.rglob("*.parquet")))
    return pa.schema(
        [pa.field(field.name, wire_type(field.type), field.nullable) for field in written]
    )


def _generate(plain: Path, scale: float) -> None:
    generator = Path(sys.executable).with_name("tpchgen-cli")
    if not generator.exists():
        raise StartupError("the benchmark needs tpchgen-cli: install flight-mom[bench]")
    aside = plain.with_name(f".{PLAIN}.generating")
    shutil.rmtree(aside, ignore_errors=True)
    command = [str(generator), "parquet", "-s", f"{scale:g}", "--tables", "lineitem", "--quiet"]
    done = subprocess.run(  # noqa: S603  a program of this environment, our own arguments
        [*command, "--parts", str(_FILE_COUNT), "--output-dir", str(aside)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise StartupError(f"tpchgen-cli failed: {done.stderr.strip()}")
    (aside / "lineitem").rename(plain)
    shutil.rmtree(aside)


def _with_year(plain: Path) -> Iterator[pa.RecordBatch]:
    """Yield all rows in plain types, with the ship year as the last column: int32."""
    schema = lineitem_schema(plain)
    for batch in ds.dataset(plain).to_batches():
        years = pc.year(batch["l_shipdate"]).cast(pa.int32())
        yield cast_batch(batch, schema).append_column(PARTITION_COLUMN, years)
