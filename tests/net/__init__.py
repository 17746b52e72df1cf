"""Tests of dcsend.net."""
