"""The protocols of RPC clients on the gateway's own port: gRPC-Web and Connect."""
