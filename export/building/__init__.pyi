# What editors, type checkers and the reference see of the names that are loaded at their first use.
from export.building.network_export import export_network as export_network

__all__ = ["export_network"]
