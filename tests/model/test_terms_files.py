"""What an installation says otherwise is laid over what ships."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from dispatch.clocks import _file, _terms, brands, promise
from dispatch.templates import TemplateError, load_texts
from dispatch.terms_check import check_terms
from model import terms_files
from model.calendars import load_calendar
from model.terms_files import TermsError, read_terms, shipped, use_folders

CACHED = (_file, _terms, brands, load_calendar, load_texts)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An operator's folder; nothing that was read from it stays."""
    for read in CACHED:
        read.cache_clear()
    yield tmp_path
    use_folders([])
    for read in CACHED:
        read.cache_clear()


def test_a_brand_promises_more_and_the_rest_stays(folder: Path) -> None:
    (folder / "clocks.toml").write_text('[changan.arrival]\ntarget = { city = "20min" }\n')
    use_folders([folder])
    check_terms()
    assert promise("arrival", "changan", "city").target_s == 20 * 60
    assert promise("arrival", "geely", "city").target_s == 30 * 60
    assert promise("complaint_respond", "changan").target_s > 0


def test_a_new_year_is_added_to_the_ones_there(folder: Path) -> None:
    (folder / "calendars.toml").write_text(
        '[days_off.cn.2027]\noff = ["2027-02-05..2027-02-06"]\nworked = ["2027-02-14"]\n'
    )
    use_folders([folder])
    office = load_calendar("cn_office")
    assert {date(2027, 2, 5), date(2027, 2, 6), date(2026, 2, 16)} <= office.days_off
    assert {date(2027, 2, 14), date(2026, 2, 14)} <= office.worked


def test_a_text_may_change_and_name_no_fact_it_is_not_told(folder: Path) -> None:
    name, (key, row) = "messages.toml", next(iter(shipped("messages.toml").items()))
    (folder / name).write_text(f'[{key!r}]\nzh = "新文"\nen = "new"\n', "utf-8")
    use_folders([folder])
    assert load_texts(name)[key] == {"zh": "新文", "en": "new"} != row
    load_texts.cache_clear()
    (folder / name).write_text(f'[{key!r}]\nzh = "{{unknown}}"\nen = "{{unknown}}"\n', "utf-8")
    with pytest.raises(TemplateError, match=key):
        check_terms()


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("clock.toml", "", "clock.toml: not one of"),
        ("clocks.toml", "[a\n", "clocks.toml: "),
        ("clocks.toml", '[saic.arrival]\ntarget = "soon"\n', "clocks.toml: "),
        ("clocks.toml", '[saic.arrival]\ncalendar = "none"\n', "clocks.toml: .*none"),
        (
            "clocks.toml",
            '[saic.arival]\ntarget = "1h"\n',
            "clocks.toml: saic: no such clock: arival",
        ),
        ("calendars.toml", '[days_off.cn.2027]\noff = ["2027-02-30"]\n', "calendars.toml: "),
        ("profiles.toml", "[saic]\nradius_km = -1.0\n", "profiles.toml: saic: radius_km"),
    ],
)
def test_a_wrong_file_is_refused_at_the_start(folder: Path, name: str, text: str, why: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(TermsError, match=why):
        use_folders([folder])
        check_terms()


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TermsError, match="no such folder"):
        use_folders([tmp_path / "gone"])


def test_every_named_file_ships() -> None:
    for name in terms_files.PACKAGES:
        assert read_terms(name) == shipped(name)
