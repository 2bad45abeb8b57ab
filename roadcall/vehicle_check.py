"""What is wrong with a vehicle that somebody registers: a profile that is not there."""

from __future__ import annotations

from functools import cache

from dbc.profile import ProfileError, load_profile
from model.vehicle import Vehicle
from roadcall.settings import Settings
from store.master_import import VehicleFault


def vehicle_fault(settings: Settings) -> VehicleFault:
    """Says (field, reason) of a vehicle whose profile cannot be read; each profile is read once."""

    @cache
    def fault_of(profile: str) -> str:
        try:
            load_profile(profile, settings.profile_path)
        except ProfileError as error:
            return str(error)
        return ""

    def fault(vehicle: Vehicle) -> tuple[str, str] | None:
        reason = fault_of(vehicle.profile)
        return ("profile", reason) if reason else None

    return fault
