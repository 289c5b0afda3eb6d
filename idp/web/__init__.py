"""THE ONLY PACKAGE THAT KNOWS FLASK. Views read the request, call one use case and turn its result into a response.

authorize.py      GET/POST /authorize
signin.py         /s/<id>/<prompt>: one door for all prompts; restart, leave
screens.py        SCREENS: prompt -> the page it shows
front_channel.py  requests through the browser: read strictly, POST led to GET
responses.py      authorization responses as redirect, hand-off page or form
client_requests.py  requests of clients' servers, answered as JSON
token.py session_activity.py userinfo.py discovery.py end_session.py health.py home.py
registration.py   /register: clients register themselves
signed_out.py     the page after signing out, which names the applications
session_over.py   the page for somebody whose session ended by itself, or by somebody else
cookies.py        names and attributes of every cookie
csrf.py           the token in every form
appearance.py     the frame of an organisation's pages; its stylesheet and logo
theme.py          one brand colour becomes colours that everybody can read
headers.py        security headers, the content security policy
cors.py           which endpoints scripts of other origins may call
dpop.py           the nonce for the next proof
device.py         what a browser says it is
request_log.py    the code of each request, and its line in the log
examples.py       requests and lines of code that work at this provider, for who builds an application
use_cases.py      what the views call; `wiring` provides it
client_address.py where a request comes from, as far as the trusted proxies say
error_pages.py    errors as pages, with the request code
pages.py texts.py static_files.py   rendering, languages, stylesheet and scripts
blueprint.py      every route, below the path of the issuer
"""
