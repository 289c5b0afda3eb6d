"""What a browser complains about, and what it does that it should not, on every page of a journey."""

from __future__ import annotations

from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

# The console says it too when a document has an error status; the status itself is judged here.
STATUS_SAID = "the server responded with a status of"
REQUIRED = ("default-src 'none'", "style-src 'self'", "script-src 'self'", "base-uri 'none'", "frame-ancestors 'none'")
FORBIDDEN = ("unsafe-inline", "unsafe-eval", "data:", "*")


def origin(url: str) -> str:
    """Scheme, host and port."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class Watch:
    """Listens to all pages of a browser context, from its beginning.

    `requests` are all that were sent, `documents` the answers that became a page (or led to one).
    """

    def __init__(self, context: BrowserContext, provider: str) -> None:
        self.requests: list[Request] = []
        self.documents: list[Response] = []
        self._provider = provider
        self._heard: list[str] = []
        self._expected: set[int] = set()
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("request", self._request)
        context.on("response", self._response)

    def expect(self, *statuses: int) -> None:
        """Pages with these error statuses belong to the journey."""
        self._expected |= set(statuses)

    @property
    def faults(self) -> list[str]:
        """Messages in the console, refusals of the policy, requests to other origins, unexpected statuses."""
        return self._heard + [fault for answer in self.documents for fault in self._faults_of(answer)]

    def forgive(self) -> None:
        """What was heard so far was meant to happen."""
        self._heard.clear()

    def posts(self) -> int:
        """How many forms were sent."""
        return sum(request.method == "POST" and request.is_navigation_request() for request in self.requests)

    def sent(self) -> str:
        """Every address and every body that left the browser."""
        return "\n".join(f"{request.url}\n{request.post_data or ''}" for request in self.requests)

    def _console(self, message: ConsoleMessage) -> None:
        if STATUS_SAID not in message.text:
            self._heard.append(f"console ({message.type}): {message.text}")

    def _error(self, error: WebError) -> None:
        self._heard.append(f"script: {error.error}")

    def _request(self, request: Request) -> None:
        self.requests.append(request)
        if not request.is_navigation_request() and origin(request.url) != origin(request.frame.url):
            self._heard.append(f"{request.frame.url} asks another origin: {request.url}")

    def _response(self, response: Response) -> None:
        if response.request.is_navigation_request():
            self.documents.append(response)
        elif response.status >= 400:
            self._heard.append(f"{response.url} answers {response.status}")

    def _faults_of(self, answer: Response) -> list[str]:
        faults = []
        if answer.status >= 400 and answer.status not in self._expected:
            faults.append(f"{answer.url} answers {answer.status}")
        if origin(answer.url) == self._provider:
            policy = answer.headers.get("content-security-policy", "")
            faults += [f"{answer.url} lacks {source} in its policy" for source in REQUIRED if source not in policy]
            faults += [f"{answer.url} has {source} in its policy" for source in FORBIDDEN if source in policy]
            if answer.headers.get("cache-control") != "no-store":
                faults.append(f"{answer.url} may be stored")
            if answer.headers.get("referrer-policy") != "no-referrer":
                faults.append(f"{answer.url} tells where somebody comes from")
        return faults
