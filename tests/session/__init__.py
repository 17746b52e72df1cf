"""Tests of dcsend.session."""
