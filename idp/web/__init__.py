"""HTTP: the only package that knows Flask and its pages."""
