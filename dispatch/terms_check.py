"""Every file of terms read at once: a wrong one is told at the start, not by the first case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from pydantic import ValidationError

from dispatch import clocks
from dispatch.cadence import cadence_terms
from dispatch.notices import notices
from dispatch.station_messages import station_day_terms
from dispatch.suppression import suppression_terms
from dispatch.templates import load_every
from dispatch.terms import load_terms
from dispatch.work_terms import load_work_terms
from model.calendars import calendar_names, load_calendar
from model.terms_files import TermsError, read_terms


def check_terms() -> None:
    """Read everything for every brand. Raises TermsError with the file and every fault in it."""
    checks: list[tuple[str, Callable[[], object]]] = [
        *_each("calendars.toml", calendar_names(), load_calendar),
        *_each("clocks.toml", read_terms("clocks.toml"), clocks.check),
        *_each("profiles.toml", read_terms("profiles.toml"), load_terms),
        *_each("work.toml", read_terms("work.toml"), load_work_terms),
        ("cadence.toml", cadence_terms),
        ("notices.toml", notices),
        ("station_day.toml", station_day_terms),
        ("suppression.toml", suppression_terms),
    ]
    for name, check in checks:
        try:
            check()
        except ValidationError as error:
            rows = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
            raise TermsError(f"{name}: {'; '.join(rows)}") from None
        except KeyError as error:
            raise TermsError(f"{name}: no such name: {error}") from None
        except (TypeError, ValueError, AttributeError) as error:
            raise TermsError(f"{name}: {error}") from None
    load_every()


def _each(
    name: str, tables: Iterable[str], check: Callable[[str], object]
) -> Iterator[tuple[str, Callable[[], object]]]:
    for table in tables:
        yield f"{name}: {table}", partial(check, table)
