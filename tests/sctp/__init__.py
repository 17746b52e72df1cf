"""Tests of dcsend/sctp, and the simulated paths they run on."""
