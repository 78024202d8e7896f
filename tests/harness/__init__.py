"""The host side of Pteron: what `./pteron` does, and what the pytest suites drive."""
