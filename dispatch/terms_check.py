"""Every file of terms read at once: a wrong one is told at the start, not by the first case."""

from __future__ import annotations

from collections.abc import Callable

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
        ("calendars.toml", lambda: [load_calendar(name) for name in calendar_names()]),
        ("clocks.toml", clocks.check),
        ("profiles.toml", lambda: [load_terms(brand) for brand in read_terms("profiles.toml")]),
        ("work.toml", lambda: [load_work_terms(brand) for brand in read_terms("work.toml")]),
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
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TermsError(f"{name}: {error}") from None
    load_every()
