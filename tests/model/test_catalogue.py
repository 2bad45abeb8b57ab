"""The catalogue is wide, complete and unambiguous; arrays are what model.catalogue says."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from model.catalogue import catalogue, element_name, find_signal, split_element
from model.signals import SignalTable

#: Names that stored segments and people's rules have used since the first version.
FIRST = """
    speed_kmh odometer_km latitude_deg longitude_deg ignition_on gear ambient_temp_c
    engine_speed_rpm engine_load_percent engine_coolant_temp_c engine_oil_temp_c
    engine_oil_pressure_kpa engine_oil_pressure_alert intake_temp_c accelerator_percent
    engine_torque_percent engine_hours_h fuel_level_percent fuel_rate_l_h
    instant_fuel_economy_km_l intake_manifold_pressure_kpa mass_air_flow_g_s throttle_percent
    barometric_pressure_kpa run_time_s battery_voltage_v mil_lamp red_stop_lamp amber_warning_lamp
    protect_lamp confirmed_dtc_count distance_with_mil_km distance_since_clear_km
    tire_pressure_fl_kpa tire_pressure_fr_kpa tire_pressure_rl_kpa tire_pressure_rr_kpa charging
    battery_temp_max_c battery_temp_min_c cell_voltage_max_v cell_voltage_min_v pack_voltage_v
    pack_current_a state_of_charge_percent insulation_kohm motor_speed_rpm motor_temp_c
"""
#: What the built-in rules of the domain list ask for, by rule.
ASKED = """
    engine_coolant_level_state engine_oil_level_state mil_flashing protect_lamp starter_engaged
    jtt_alarm_supply_low jtt_alarm_supply_off tire_pressure_low_fl brake_fluid_low brake_pads_worn
    brake_pad_wear_fl_percent transmission_oil_temp_c def_level_percent dpf_delta_pressure_kpa
    fuel_level_low fuel_range_km broken_down rollover_detected fire_detected submersed
    jtt_alarm_collision jtt_alarm_rollover jtt_alarm_emergency gbt_alarm_thermal_event
    gbt_alarm_level cell_voltage_v cell_temp_c cell_voltage_max_number cell_voltage_min_number
    inverter_temp_c dcdc_temp_c dcdc_state gbt_alarm_dcdc_state gbt_alarm_hv_interlock
    gbt_alarm_brake_system gbt_alarm_temp_difference gbt_alarm_cell_consistency
    gbt_alarm_soc_jump gbt_alarm_hydrogen_leak gbt_alarm_hydrogen_pressure
    gbt_alarm_hydrogen_temp state_of_health_percent gear_park
    gateway_delay_s gateway_clock_offset_s unknown_frames_percent wrong_length_frames_percent
    oil_life_remaining_d oil_change_needed service_due distance_to_service_km time_to_service_d
    engine_idle_hours_h tires_non_winter charge_cable_connected
"""


def test_it_is_wide_enough_and_every_line_is_whole() -> None:
    assert len(catalogue()) >= 250
    for name, row in catalogue().items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert row.minimum < row.maximum, name
        assert row.zh, name
        assert row.en, name
        assert not (row.on_change and row.unit and name != "charge_target_percent"), name


def test_no_two_lines_read_alike() -> None:
    for language in ("en", "zh"):
        titles = Counter(getattr(row, language) for row in catalogue().values())
        assert [t for t, n in titles.items() if n > 1] == []


def test_vss_paths_are_well_formed_and_unique() -> None:
    paths = [row.vss for row in catalogue().values() if row.vss]
    assert len(paths) == len(set(paths))
    assert len(paths) > 100
    for path in paths:
        assert re.fullmatch(r"Vehicle(\.[A-Z][A-Za-z0-9]*)+", path), path


@pytest.mark.parametrize("name", [*FIRST.split(), *ASKED.split()])
def test_known_names_stay(name: str) -> None:
    assert name in catalogue()


def test_gbt_alarm_bits_are_all_there_in_their_order() -> None:
    bits = [n for n in catalogue() if n.startswith("gbt_alarm_") and n != "gbt_alarm_level"]
    assert len(bits) == 28
    # GB/T 32960.3: bit numbers of the general alarm
    for bit, name in (
        (0, "temp_difference"),
        (11, "insulation"),
        (16, "hv_interlock"),
        (18, "overcharge"),
        (23, "thermal_event"),
        (27, "fuel_cell_overtemp"),
    ):
        assert bits[bit] == f"gbt_alarm_{name}"


def test_elements_have_the_arrays_line() -> None:
    assert element_name("cell_voltage_v", 7) == "cell_voltage_v[7]"
    assert split_element("cell_voltage_v[7]") == ("cell_voltage_v", 7)
    row = find_signal("cell_voltage_v[7]")
    assert row is not None
    assert (row.name, row.unit) == ("cell_voltage_v", "V")
    assert find_signal(f"cell_voltage_v[{row.elements}]") is row


@pytest.mark.parametrize(
    "name",
    ["cell_voltage_v", "cell_voltage_v[0]", "cell_voltage_v[01]", "cell_voltage_v[99999]",
     "cell_voltage_v[]", "speed_kmh[1]", "nothing", "nothing[1]", "", "Body.Door"],
)  # fmt: skip
def test_what_no_sample_is_called(name: str) -> None:
    assert find_signal(name) is None


def test_a_table_gives_elements_in_the_order_of_their_numbers() -> None:
    names = ("cell_voltage_v[10]", "speed_kmh", "cell_voltage_v[2]", "cell_temp_c[1]",
             "cell_voltage_v[1]")  # fmt: skip
    table = SignalTable("made", names, ("",) * len(names))
    assert table.elements("cell_voltage_v") == (4, 2, 0)
    assert table.elements("cell_temp_c") == (3,)
    assert table.elements("speed_kmh") == ()
