from tests.live import live_provider

__all__ = ["live_provider"]
