"""Tests of `dcsend chat`."""
