"""Journeys: what people and applications live through, over HTTP alone."""
