"""Tests of dcsend.rendezvous."""
