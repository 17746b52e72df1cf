"""Tests of dcsend.ice."""
