from tests.interop.node_journey import open_provider, package
from tests.live import live_provider

__all__ = ["live_provider", "open_provider", "package"]
