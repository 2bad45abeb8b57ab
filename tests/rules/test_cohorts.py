"""Files of scheduled rules: an operator's tables change the built-in ones, or say what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from rules.cohorts import CohortError, cohort_texts, load_cohorts

NEW = """
["own.silent"]
domain = ["D10"]
query = "silent"
severity = 2
params = { moving_h = 1, stopped_h = 12, moving_kmh = 1, contact_h = 2 }
zh = "失联"
en = "Silent"
advice_zh = "查看"
advice_en = "Look"
source = "our own"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text, "utf-8")
    return path


def test_a_table_of_a_known_id_changes_what_it_names(tmp_path: Path) -> None:
    path = written(tmp_path, '["fleet.offline"]\nparams = { private_d = 30 }\n')
    before = {rule.id: rule for rule in load_cohorts()}
    after = {rule.id: rule for rule in load_cohorts(path)}
    assert after.keys() == before.keys()
    assert [name for name in after if after[name] != before[name]] == ["fleet.offline"]
    assert after["fleet.offline"].params == {"commercial_d": 60, "private_d": 30}
    assert after["fleet.offline"].zh == before["fleet.offline"].zh


def test_a_table_of_a_new_id_is_a_rule(tmp_path: Path) -> None:
    path = written(tmp_path, NEW)
    assert load_cohorts(path)[:-1] == load_cohorts()
    assert load_cohorts(path)[-1].params["stopped_h"] == 12
    assert cohort_texts(path)["own.silent"] == {"zh": "失联", "en": "Silent"}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('["fleet.silent"]\nparams = { stoped_h = 2 }\n', "params of silent are contact_h, moving"),
        (NEW.replace(", contact_h = 2", ""), "params of silent are"),
        (NEW.replace('query = "silent"', 'query = "sql"'), "own.silent: 1 validation error"),
        ('["fleet.silent"]\nparams = 5\n', "fleet.silent: "),
        ("silent = 5\n", "own.toml: silent: "),
        ("[", "own.toml: "),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(CohortError, match=fault):
        load_cohorts(written(tmp_path, text))
