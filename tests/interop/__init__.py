"""Other implementations, written from PROTOCOL.md alone."""
