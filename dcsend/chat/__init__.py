"""The demo: text messages with any WebRTC peer, compatible with Pion's data-channels example.

No code of a transfer imports this package. `connection` has the data channels, `connecting` both
ways to connect, `session` one chat, `run` the command with its display and keyboard.
"""
