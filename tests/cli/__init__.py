"""Tests of dcsend.cli."""
