"""Tests of dcsend.files."""
