"""Dates inside of numbers: half of the national ids begin with the day of birth, which few other numbers do."""

from __future__ import annotations

_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def month_day(month: str, day: str) -> bool:
    """Two digits each. The 29th of February passes in each year."""
    return 1 <= int(month) <= 12 and 1 <= int(day) <= _DAYS[int(month) - 1]


def yymmdd(digits: str) -> bool:
    """The first six digits are year, month, day."""
    return month_day(digits[2:4], digits[4:6])


def ddmmyy(digits: str) -> bool:
    """The first six digits are day, month, year."""
    return month_day(digits[2:4], digits[:2])


def shifted(digits: str, *shifts: int) -> bool:
    """Year, month and day, where one of `shifts` was added to the month, for the century or the sex."""
    month = int(digits[2:4])
    return any(
        month_day(f"{month - shift:02}", digits[4:6]) for shift in (0, *shifts) if 0 < month - shift < 13
    )
