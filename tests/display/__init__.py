"""Tests of dcsend.display."""
