"""What settings mean, for people and for their editors."""

import json
from datetime import timedelta
from typing import Any

from idp.settings.durations import format_duration
from idp.settings.model import Leaf, Settings, leaf_of


def schema() -> dict[str, Any]:
    """The JSON Schema of the configuration file, so that editors complete and check it."""
    document = Settings.model_json_schema(mode="validation")
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    # A file may leave to the environment what must be set.
    document.pop("required", None)
    return document


def explain(key: str) -> str:
    """What a setting means, what is allowed, its default and its names. Raises Misconfigured with the nearest key."""
    leaf = leaf_of(key)
    lines = [key, f"  {leaf.field.description}", f"  allowed: {leaf.allowed}", f"  default: {_written_default(leaf)}"]
    lines.append(f"  environment: {' or '.join(leaf.variables)}")
    return "\n".join(lines)


def _written_default(leaf: Leaf) -> str:
    if leaf.field.is_required():
        return "none, must be set"
    default = leaf.default()
    if default is None:
        return "none"
    if isinstance(default, timedelta):
        return format_duration(default)
    return json.dumps(list(default) if isinstance(default, tuple) else default, ensure_ascii=False)
