"""The protocol, as a client and a browser meet it: over HTTP, on both databases."""
