"""The figures of a run: medians over the rounds, as a table for people and as values for machines."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.load import Load

COLUMNS = ("row", "side", "requests/s", "p50 ms", "p99 ms", "CPU us/req", "mongod CPU us/req", "errors")


@dataclass(frozen=True, slots=True)
class Slice:
    """One slice of load, and the CPU seconds it cost the process that answered and mongod."""

    load: Load
    cpu_seconds: float
    mongod_cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Figures:
    """The medians of one side of one row; the errors are summed."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    mongod_cpu_us: float
    errors: int

    @classmethod
    def of(cls, slices: Sequence[Slice]) -> "Figures":
        return cls(
            requests_per_second=median(slice_.load.requests / slice_.load.seconds for slice_ in slices),
            p50_ms=median(slice_.load.p50_ms for slice_ in slices),
            p99_ms=median(slice_.load.p99_ms for slice_ in slices),
            cpu_us=median(1e6 * slice_.cpu_seconds / max(1, slice_.load.requests) for slice_ in slices),
            mongod_cpu_us=median(1e6 * slice_.mongod_cpu_seconds / max(1, slice_.load.requests) for slice_ in slices),
            errors=sum(slice_.load.errors for slice_ in slices),
        )

    def over(self, floor: "Figures") -> dict[str, float | None]:
        """Server over floor; None where the floor is too small to be measured."""
        names = ("requests_per_second", "p50_ms", "p99_ms", "cpu_us", "mongod_cpu_us")
        pairs = {name: (getattr(self, name), getattr(floor, name)) for name in names}
        return {name: round(ours / theirs, 3) if theirs else None for name, (ours, theirs) in pairs.items()}


Results = Mapping[str, Mapping[str, Figures]]  # row, side


def as_json(results: Results) -> dict[str, Any]:
    """For each row: `server`, `floor` (Figures) and `ratio` (server over floor)."""
    return {
        row: {
            **{side: asdict(figures) for side, figures in sides.items()},
            "ratio": sides["server"].over(sides["floor"]),
        }
        for row, sides in results.items()
    }


def table(results: Results) -> str:
    """Aligned text: two lines of figures for each row, and the ratio server/floor below them."""
    lines: list[tuple[str, ...]] = [COLUMNS]
    for row, sides in results.items():
        for side in ("floor", "server"):
            figures = sides[side]
            lines.append(
                (
                    row if side == "floor" else "",
                    side,
                    f"{figures.requests_per_second:,.0f}",
                    f"{figures.p50_ms:.2f}",
                    f"{figures.p99_ms:.2f}",
                    f"{figures.cpu_us:.0f}",
                    f"{figures.mongod_cpu_us:.0f}",
                    str(figures.errors),
                )
            )
        ratios = sides["server"].over(sides["floor"]).values()
        lines.append(("", "ratio", *("-" if ratio is None else f"{ratio:.2f}" for ratio in ratios), ""))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if index < 2 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
