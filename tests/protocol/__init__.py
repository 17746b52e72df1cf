"""Tests of dcsend.protocol."""
