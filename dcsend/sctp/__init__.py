"""An SCTP association without input and output, and what decides how fast it sends."""
