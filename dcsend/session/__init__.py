"""The only place that knows more than one layer: meeting, talking, carrying files over.

`story` has the two stories, `meeting` how the sides find each other, `conversation` the
text channel, `outgoing` and `incoming` the two halves of a transfer. Prints nothing.
"""
