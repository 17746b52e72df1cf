"""What tests share, and the tests of that."""
