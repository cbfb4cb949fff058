"""Which optional packages are installed."""

from __future__ import annotations

import importlib.util

from segkit import catalog

GEO_MODULES = ("rasterio", "pyogrio", "shapely")
"""The modules of the extra geo."""
GEO_OUTPUTS = ("geopackage", "geotiff")
"""Outputs that need them."""
NO_GEO = "the extra geo is not installed"


def has_geo() -> bool:
    """Return whether the extra geo is installed."""
    return all(importlib.util.find_spec(module) for module in GEO_MODULES)


def installed_outputs() -> tuple[str, ...]:
    """Return the names of the outputs of the catalog whose packages are installed."""
    if has_geo():
        return tuple(catalog.OUTPUTS)
    return tuple(name for name in catalog.OUTPUTS if name not in GEO_OUTPUTS)
