"""URIs that applications registered, with something added."""

from collections.abc import Iterable
from urllib.parse import quote, urlencode


def with_query(uri: str, parameters: Iterable[tuple[str, str]]) -> str:
    """The URI with these parameters behind a query that it may have already, which is kept as it is (RFC 6749 3.1.2).

    `uri` has no fragment.
    """
    joint = "&" if "?" in uri else "?"
    if uri.endswith(("?", "&")):
        joint = ""
    return f"{uri}{joint}{urlencode(list(parameters), quote_via=quote)}"
