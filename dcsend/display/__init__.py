"""Output for the user and for programs, and input from the terminal.

The only package that writes to the standard streams or reads the terminal. Only `cli`, `runner`,
`stage`, `ending` and `chat` import it; it imports `session.events`, `files.names` and leaves.
"""
