"""One run: it connects to a peer and transfers files. The only package that joins the layers below.

`story` has the course of a run for each role, `meeting` connects the two sides, `conversation` has
the text channel, `outgoing` and `incoming` are the two halves of a transfer. Prints nothing.
"""
