"""What goes back to the client: messages, streams and errors as bytes."""
