"""Everything that touches grpcio."""
