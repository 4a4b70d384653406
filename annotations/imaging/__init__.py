"""Bytes into pixels, in a process that may die. Knows no Django."""
