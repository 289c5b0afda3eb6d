"""The protocol: one file for each endpoint or artefact, named as the specifications name it. Authlib is used only here.

clients.py                Client and its metadata
parameters.py             request parameters: single-valued, length-limited, decoded strictly
authorization_request.py  validate -> AuthorizationRequest, or an error that is shown or sent
request_intake.py         a request comes in: pushed, by a browser, in an object
request_object.py         requests that a client signed, by value and by reference
pushed_requests.py        requests that a client pushed, until they are answered
pushed_authorization.py   where it pushes them
answered_once.py          what was pushed, or has a jti, is answered once
requesting_client.py      who asks, and where the answer may go: certain before an error travels
request_checks.py         the checks whose errors are sent, parameter by parameter
claims_parameter.py       claims that are wished for by name
authorization_response.py the one writer of responses: query, fragment, form_post
authorization_code.py     codes: issued once, redeemed once, by one statement
refresh_token.py          families of refresh tokens: kept by confidential clients, rotated by public ones
resource_indicators.py    which resource servers an access token is for
offline_access.py         access while nobody is signed in: when it holds, and its end
client_authentication.py  none, client_secret_basic, client_secret_post
client_assertion.py       client_secret_jwt, private_key_jwt
client_keys.py            keys of clients, by value or fetched, and what they signed
signatures.py             JSON Web Signatures from outside: one algorithm, one key
used_identifiers.py       what may be used once, across all nodes
dpop.py                   proofs of a key (RFC 9449): right, fresh, used once
client_endpoint.py        what the servers of clients call: reading, authenticating and refusing them
recorded_refusals.py      which of these refusals stand in the audit trail
access_token.py           access tokens when they come back: opaque or JWT, one statement decides
protected_resource.py     how access tokens are shown to us: Bearer, or DPoP with a proof
session_activity.py       /session/activity and /session/status: applications take part in the 30-minute clock
introspection.py          what a token is worth at this instant
revocation.py             a client gives a token back
provider.py               Authlib assembled: client authentication and grants
subjects.py               under which name a client knows a person: public or pairwise
token_issuer.py           TOKENS ARE MINTED HERE: id_token, access_token, refresh_token
models.py                 codes, tokens, refresh families and keys in the database
claims.py                 which claims a scope stands for, and their values
keys.py                   signing keys: made, sealed, published
userinfo.py  discovery.py  end_session.py
backchannel_logout.py     LogoutNotices: a client is told that a session ended
frontchannel_logout.py    clients whose page is loaded in a frame when a person signs out
receipts.py               what became of it, client by client
errors.py                 shown_to_end_user / sent_to_client
"""
