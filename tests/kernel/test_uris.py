"""Parameters behind URIs that applications registered."""

import pytest

from idp.kernel.uris import with_query


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://app.example/a", "https://app.example/a?state=x%20y%26z"),
        ("https://app.example/a?b=c+d&b=%20", "https://app.example/a?b=c+d&b=%20&state=x%20y%26z"),
        ("https://app.example/a?", "https://app.example/a?state=x%20y%26z"),
        ("https://app.example/a?b=c&", "https://app.example/a?b=c&state=x%20y%26z"),
        ("com.example.app:/a", "com.example.app:/a?state=x%20y%26z"),
    ],
)
def test_parameters_come_behind_a_query_that_stays_as_it_is(uri: str, expected: str) -> None:
    assert with_query(uri, [("state", "x y&z")]) == expected
