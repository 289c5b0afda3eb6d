"""Requests and lines of code that work at this provider, for people who build an application.

Every address comes from the provider's own metadata. Each can be copied and run as it stands, once what it names is
set: `CLIENT_ID`, `CLIENT_SECRET` and `REDIRECT_URI`; then the `CODE` and `ACCESS_TOKEN` that came of the ones before.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from idp.oidc.discovery import OPENID_CONFIGURATION

SCOPE = ("openid", "profile", "email")


def of(metadata: Mapping[str, Any], registration: str) -> Sequence[tuple[str, str]]:
    """Names and texts, in the order in which somebody needs them. `registration`: who may register applications."""
    made = {
        "configuration": f"curl -s {metadata['issuer']}{OPENID_CONFIGURATION}",
        "registration": _registration(metadata, registration),
        "authorization": _authorization(metadata),
        "token": _token(metadata),
        "userinfo": _userinfo(metadata),
        "openid_client": _openid_client(metadata),
        "authlib": _authlib(metadata),
    }
    return [(name, example) for name, example in made.items() if example]


def _registration(metadata: Mapping[str, Any], registration: str) -> str:
    """RFC 7591 3.1; empty where no application registers itself."""
    if "registration_endpoint" not in metadata:
        return ""
    token = '  -H "Authorization: Bearer $INITIAL_ACCESS_TOKEN" \\\n' if registration == "token" else ""
    return (
        f"curl -s {metadata['registration_endpoint']} \\\n{token}"
        '  -H "Content-Type: application/json" \\\n'
        """  -d '{"client_name": "Example",\n"""
        """       "redirect_uris": ["https://app.example/callback"]}'"""
    )


def _authorization(metadata: Mapping[str, Any]) -> str:
    """OIDC Core 3.1.2.1 with RFC 7636 4: what has to be kept until the answer comes, and the address to open."""
    return (
        "STATE=$(openssl rand -hex 16)\n"
        "NONCE=$(openssl rand -hex 16)\n"
        "VERIFIER=$(openssl rand -hex 32)\n"
        'CHALLENGE=$(printf %s "$VERIFIER" | openssl dgst -sha256 -binary |\n'
        "  openssl base64 -A | tr +/ -_ | tr -d =)\n"
        'REDIRECT=$(printf %s "$REDIRECT_URI" | od -An -v -tx1 | tr -d "\\n" | tr " " %)\n'
        f'echo "{metadata["authorization_endpoint"]}?response_type=code\\\n'
        "&client_id=$CLIENT_ID&redirect_uri=$REDIRECT\\\n"
        f"&scope={'%20'.join(SCOPE)}&state=$STATE&nonce=$NONCE\\\n"
        '&code_challenge=$CHALLENGE&code_challenge_method=S256"'
    )


def _token(metadata: Mapping[str, Any]) -> str:
    """RFC 6749 4.1.3."""
    return (
        f"curl -s {metadata['token_endpoint']} \\\n"
        '  -u "$CLIENT_ID:$CLIENT_SECRET" \\\n'
        '  -d grant_type=authorization_code -d code="$CODE" \\\n'
        '  -d code_verifier="$VERIFIER" \\\n'
        '  --data-urlencode redirect_uri="$REDIRECT_URI"'
    )


def _userinfo(metadata: Mapping[str, Any]) -> str:
    """OIDC Core 5.3.1."""
    return f'curl -s {metadata["userinfo_endpoint"]} \\\n  -H "Authorization: Bearer $ACCESS_TOKEN"'


def _openid_client(metadata: Mapping[str, Any]) -> str:
    # The library speaks to nobody without TLS unless it is told to.
    insecure = "" if metadata["issuer"].startswith("https:") else ",\n  { execute: [client.allowInsecureRequests] }"
    return (
        'import * as client from "openid-client";\n'
        f'const config = await client.discovery(new URL("{metadata["issuer"]}"),\n'
        "  process.env.CLIENT_ID, undefined,\n"
        f"  client.ClientSecretBasic(process.env.CLIENT_SECRET){insecure});"
    )


def _authlib(metadata: Mapping[str, Any]) -> str:
    return (
        "import os\n"
        "from authlib.integrations.flask_client import OAuth\n"
        "oauth = OAuth(app)\n"
        'oauth.register("idp",\n'
        '    client_id=os.environ["CLIENT_ID"],\n'
        '    client_secret=os.environ["CLIENT_SECRET"],\n'
        f'    server_metadata_url="{metadata["issuer"]}{OPENID_CONFIGURATION}",\n'
        f"""    client_kwargs={{"scope": "{" ".join(SCOPE)}",\n"""
        """        "code_challenge_method": "S256"})"""
    )
