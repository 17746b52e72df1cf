"""The tests, and what they share.

Python may write bytecode here whatever PYTHONDONTWRITEBYTECODE is. Otherwise each program that a
test starts compiles dcsend again, which takes as long as the rest of its start, and each process of
pytest rewrites the assertions of hypothesis and of all tests.
"""

import os
import sys

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
