"""One contender a file, each with `start(backends)`: a client returns the call it makes, a server where it is."""
