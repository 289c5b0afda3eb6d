"""What the kit must be told, and what it assumes otherwise."""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit


@dataclass(frozen=True)
class KitConfig:
    """One application at one provider.

    `base_url` is the address of the application as browsers know it, without a slash at its end; the redirect URI is
    `{base_url}{callback_path}`, and after logging out the browser returns to `{base_url}{signed_out_path}`, a page that
    the application draws. `cookie` needs a name of its own where several applications share a host: cookies do not
    heed ports. `provider_timeout` bounds each call to the provider: to connect, and between two pieces of its answer.

    `idle_timeout` and `absolute_timeout` are for providers without session endpoints, whose word takes their place.
    """

    issuer: str
    client_id: str
    client_secret: str
    base_url: str
    secret_key: str
    scope: str = "openid profile email"
    cookie: str = "app_session"
    prefix: str = "/session"
    login_path: str = "/login"
    callback_path: str = "/callback"
    logout_path: str = "/logout"
    signed_out_path: str = "/signed-out"
    front_channel_logout: bool = False
    provider_timeout: timedelta = timedelta(seconds=5)
    idle_timeout: timedelta = timedelta(minutes=30)
    absolute_timeout: timedelta = timedelta(hours=12)

    @property
    def redirect_uri(self) -> str:
        return f"{self.base_url}{self.callback_path}"

    @property
    def post_logout_redirect_uri(self) -> str:
        return f"{self.base_url}{self.signed_out_path}"

    @property
    def is_secure(self) -> bool:
        return self.base_url.startswith("https://")


def origin(url: str) -> str:
    """Scheme and host with port, as browsers write it in `Origin`. Raises ValueError and AttributeError."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
