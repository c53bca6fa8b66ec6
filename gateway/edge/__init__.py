"""What is decided about an HTTP request and its answer before and after the API itself."""
