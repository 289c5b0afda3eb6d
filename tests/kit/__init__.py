"""The kit for relying applications (`clients/python`), against a provider that can be told to lie (`tests.demo`)."""
