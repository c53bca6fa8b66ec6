"""The admin port: what an operator asks a running gateway."""
