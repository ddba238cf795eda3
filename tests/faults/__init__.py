"""A test of the test: good exports, ways to break them, and harmless changes that must be accepted."""
