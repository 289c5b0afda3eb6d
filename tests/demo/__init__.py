"""The demonstration's applications, against a provider that can be told to lie (`hostile_provider`)."""
