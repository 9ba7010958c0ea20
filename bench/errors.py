"""What can go wrong with a benchmark itself."""

from typing import ClassVar


class BenchError(Exception):
    """The root of the benchmark's errors."""

    code: ClassVar[str] = "bench"
    status: ClassVar[str] = "INTERNAL"
    retryable: ClassVar[bool] = False

    def __init__(self, text: str) -> None:
        super().__init__(f"{self.code}: {text}")
        self.text = text


class RowsDifferError(BenchError):
    """Contenders that should return the same rows do not: nothing they measured counts."""

    code = "rows-differ"


class UnexpectedStatementError(BenchError):
    """A text of the benchmark was read as something else than a query."""

    code = "unexpected-statement"


class TooSlowError(BenchError):
    """The load that was to be measured under did not come about."""

    code = "too-slow"
