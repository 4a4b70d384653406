"""Masks and polygons: arrays and counts in, arrays and counts out. No Django."""
