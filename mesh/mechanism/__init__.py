"""Stateful algorithms without I/O: no lock, clock, randomness, logging or callback; not thread-safe."""
