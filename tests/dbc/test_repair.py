"""DBC text as people publish it: what is mended, with its line, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbc.loader import load_file
from dbc.profile import ProfileError
from dbc.repair import repair

HEAD = 'VERSION ""\n\nNS_ :\n\tCM_\n\tVAL_\n\nBS_:\n\nBU_: X\n\n'
ONE = 'BO_ 1 A: 8 X\n SG_ V : 0|8@1+ (1,0) [0|0] "" X\n'


def mended(text: str) -> list[str]:
    found = repair(text.encode())
    assert not found.faults
    return [str(r) for r in found.repairs]


def messages_of(text: str, tmp_path) -> dict:
    path = tmp_path / "made.dbc"
    path.write_bytes(text.encode())
    return {m.name: m for m in load_file(path).messages}


def test_a_good_file_stays_as_it_is() -> None:
    text = HEAD + ONE + 'VAL_ 1 V 0 "a" 1 "b" ;\nCM_ SG_ 1 V "two\nlines; BO_ 7";\n'
    found = repair(text.encode())
    assert (found.text.rstrip("\n"), found.repairs, found.faults) == (text.rstrip("\n"), (), ())


@pytest.mark.parametrize(
    ("text", "remark"),
    [
        (
            'BO_ 419361278 A: 8 X\n SG_ V : 0|8@1+ (1,0) [0|0] "" X\n',
            "line 1: A: 0x18FEF1FE is a 29-bit identifier without its flag",
        ),
        (ONE + 'VAL_ 1 W 0 "a" ;\n', "line 3: VAL_ left out: no signal W"),
        (ONE + 'VAL_ 2 V 0 "a" ;\n', "line 3: VAL_ left out: no message 2"),
        (ONE + "SIG_VALTYPE_ 1 W : 1;\n", "line 3: SIG_VALTYPE_ left out: no signal W"),
        (ONE + "SG_MUL_VAL_ 1 V W 1-1;\n", "line 3: SG_MUL_VAL_ left out: no signal W"),
        (ONE.replace("V :", "0V :"), "line 2: 0V: now _0V"),
        (ONE.replace("V :", "V-1 :"), "line 2: V-1: now V_1"),
        (ONE.replace("V :", "FILTER :"), "line 2: FILTER: now FILTER_"),
        (ONE.replace("A:", "2017_5:"), "line 1: 2017_5: now _2017_5"),
        (ONE.replace("(1,0)", "(.25,-.5)"), "line 2: V: .25 is 0.25; -.5 is -0.5"),
        (ONE.replace("[0|0] ", ""), "line 2: V: no range"),
        (ONE.replace('"" ', ""), "line 2: V: no unit"),
        (ONE.replace('"" X', '""'), "line 2: V: no receiver: Vector__XXX"),
        (ONE.replace("8 X", "8"), "line 1: A: no sender: Vector__XXX"),
        (ONE.replace("V :", "V m :"), "line 2: V: m without a number: not multiplexed"),
        (ONE + ONE, "line 3: A: written twice; the second left out"),
        (
            ONE + ' SG_ V : 8|8@1+ (1,0) [0|0] "" X\n',
            "line 3: V: a second signal of this name, now V_2",
        ),
        (ONE + ONE.replace("1 A", "2 A"), "line 3: A: a second message of this name, now A_2"),
        ("NS_ :\n\tCM_\n" + ONE, "line 3: BS_ is missing"),
        ("BS_: 500 : 0,0\n" + ONE, "line 1: bit timing left out"),
        (ONE + 'CM_ SG_ 1 "no name";\n', "line 3: CM_ left out: cannot be read"),
        (ONE + 'CM_ 1 "no kind";\n', "line 3: CM_ left out: cannot be read"),
        (ONE + 'CM_ "no end"\nBO_ 2 B: 8 X\n', "line 3: semicolon written"),
        (ONE + 'VAL_ 1 V 0 "no end"\n', "line 3: VAL_ rewritten"),
        (ONE + 'VAL_ 1 V 0.0 "no integer" ;\n', "line 3: VAL_ rewritten"),
        (ONE + "SIG_VALTYPE_ 1 V 1;\n", "line 3: SIG_VALTYPE_ rewritten"),
        ("/* old */\n" + ONE, "line 1: comment left out"),
        ("# old\n" + ONE, "line 1: comment left out"),
        ("\ufeff" + ONE, "line 1: byte order mark: read as UTF-8-SIG"),
    ],
)
def test_what_is_mended_loads(text: str, remark: str, tmp_path) -> None:
    assert remark in mended(text)
    assert messages_of(text, tmp_path)


def test_a_new_flag_and_a_new_name_reach_all_statements(tmp_path) -> None:
    text = (
        'BO_ 419361278 A: 8 X\n SG_ 1V : 0|32@1- (1,0) [0|0] "" X\n'
        'CM_ SG_ 419361278 1V "said";\nSIG_VALTYPE_ 419361278 1V : 1;\nVAL_ 419361278 1V 1 "on" ;\n'
    )
    (message,) = messages_of(text, tmp_path).values()
    (signal,) = message.signals
    assert (message.is_extended_frame, message.frame_id) == (True, 0x18FEF1FE)
    assert (signal.name, signal.comment, signal.conversion.is_float) == ("_1V", "said", True)
    assert signal.choices == {1: "on"}


def test_an_identifier_no_frame_has_takes_its_message_along(tmp_path) -> None:
    text = ONE.replace("BO_ 1", "BO_ 1075054137") + 'VAL_ 1075054137 V 1 "x" ;\n'
    assert mended(text + ONE.replace("A:", "B:")) == [
        "line 1: A: no frame has identifier 0x40140639; message left out",
        "line 3: VAL_ left out: no message 1075054137",
    ]
    assert list(messages_of(text + ONE.replace("A:", "B:"), tmp_path)) == ["B"]


def test_windows_1252_and_utf8_are_told_apart(tmp_path) -> None:
    text = ONE.replace('""', '"°C"')
    for encoding in ("utf-8", "cp1252", "utf-16"):
        path = tmp_path / f"{encoding}.dbc"
        path.write_bytes(text.encode(encoding))
        assert load_file(path).messages[0].signals[0].unit == "°C"


def test_every_fault_is_listed_with_its_line(tmp_path) -> None:
    path = tmp_path / "bad.dbc"
    path.write_text(
        ONE
        + ' SG_ W : 8|8@1+ (one,0) [0|0] "" X\nBO_ x B: 8 X\n'
        + ONE.replace("1 A", "1 B").replace("0|8", "8|8")
        + "SG_MUL_VAL_ 1 V;\nhello\n"
    )
    with pytest.raises(ProfileError) as caught:
        load_file(path)
    lines = [fault.removeprefix(f"{path}:") for fault in caught.value.faults]
    assert lines == [
        '3: not a signal: SG_ W : 8|8@1+ (one,0) [0|0] "" X',
        "4: not a message: BO_ x B: 8 X",
        "5: B: identifier 0x1 belongs to A",
        "7: cannot be read: SG_MUL_VAL_ 1 V;",
        "8: not a statement: hello",
    ]


def test_attributes_that_break_the_parser_cost_nothing_else(tmp_path) -> None:
    path = tmp_path / "made.dbc"
    path.write_text(ONE + 'BA_ "Undefined" BO_ 1 5;\nCM_ BO_ 1 "gone";\n')
    loaded = load_file(path)
    assert [m.name for m in loaded.messages] == ["A"]
    assert "comments and attributes left out" in loaded.repairs[0].text


@given(st.binary(max_size=400))
def test_any_bytes_give_text_or_faults(content: bytes) -> None:
    repair(content)


@given(
    st.lists(
        st.sampled_from([*ONE, *"\n\"';:|@()[],._ 09mM", "BO_ ", " SG_ ", "CM_ "]), max_size=120
    )
)
def test_any_text_gives_text_or_faults(parts: list[str]) -> None:
    found = repair((ONE + "".join(parts)).encode())
    assert found.faults or found.text
