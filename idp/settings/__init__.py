"""What an installation can set, and how it is read.

    environment  >  *_FILE  >  configuration file  >  config/default.toml  >  defaults of the fields

`load()` is the only reader. Building `Settings(...)` directly reads nothing from outside. A setting has one name
everywhere: `session.idle_timeout` in these texts, `idle_timeout` below `[session]` in TOML, `IDP_SESSION__IDLE_TIMEOUT`
in the environment. An empty environment variable counts as not set. Secrets can come from a file that
`IDP_SECRET_KEY_FILE` (and the like) names. Everything that is wrong is told at once, in one `Misconfigured`.

    durations.py   30s, 5m, 1h30m, PT30M: parse_duration, format_duration
    values.py      kinds of values with rules of their own: issuer, keys, hosts, networks
    groups.py      the tables: [session], [tokens], [mail] ...
    rules.py       what is wrong together
    model.py       Settings, and LEAVES: one list of all settings by their full names
    reader.py      load
    explain.py     what a setting means; the JSON Schema of the configuration file
"""

from idp.settings.durations import format_duration, parse_duration
from idp.settings.explain import explain, schema
from idp.settings.groups import LogSettings, MailSettings, PasswordSettings
from idp.settings.model import DEFAULT_ORIGIN, LEAVES, Settings
from idp.settings.reader import load
from idp.settings.values import key_id

__all__ = [
    "DEFAULT_ORIGIN",
    "LEAVES",
    "LogSettings",
    "MailSettings",
    "PasswordSettings",
    "Settings",
    "explain",
    "format_duration",
    "key_id",
    "load",
    "parse_duration",
    "schema",
]
