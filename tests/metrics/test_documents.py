"""What docs/operations.md says about figures is about figures that there are, and about all of them."""

import re
from pathlib import Path

import yaml
from flask import Flask

from idp.metrics.database import DatabaseFigures
from idp.metrics.figures import Figures
from idp.wiring import Services
from tests.metrics.scraped import of

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def test_figures_of_the_table_and_the_alerts_are_those_that_are_served(app: Flask, services: Services) -> None:
    told = of(Figures().registry, DatabaseFigures(services.units, services.clock, app.app_context))
    served = {re.sub(r"_(bucket|sum|count)$", "", name.partition("{")[0]) for name in told} | {"idp_build_info"}
    section = OPERATIONS.read_text().partition("## Metrics")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(idp_\w+)", section, re.M)) == served
    rules = yaml.safe_load(re.findall(r"```yaml\n(.+?)```", section, re.S)[0])["groups"][0]["rules"]
    named = {name for rule in rules for name in re.findall(r"idp_\w+", rule["expr"])}
    assert {name.removesuffix("_bucket") for name in named} <= served
