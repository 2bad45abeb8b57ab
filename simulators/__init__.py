"""Seeded vehicles, faults and gateways, encoded from the same DBC files; log replay."""
