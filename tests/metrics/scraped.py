"""What a Prometheus server reads at an address."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from tests.services.processes import DIRECT

Figures = Mapping[str, float]


def parsed(text: str) -> Figures:
    """Every sample by its name and labels, as in `idp_session_ends_total{reason="idle"}`."""
    return {
        sample.name + _labels(sample.labels): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(*collectors: Collector) -> Figures:
    """What is told of the collectors."""
    return parsed("".join(generate_latest(collector).decode() for collector in collectors))


def scraped(port: int, host: str = "127.0.0.1") -> Figures:
    """What is at the port now."""
    with DIRECT.open(f"http://{host}:{port}/metrics", timeout=10) as answer:
        return parsed(answer.read().decode())


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}" if labels else ""
