"""Tests of dcsend.serving."""
