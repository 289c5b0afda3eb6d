"""How an organisation looks on the pages of its people: what the frame shows, and the files that it names.

Both files come from our own origin, under addresses that change with their content, so the content security policy
stays as it is. Any other address is 404: a colour or a logo that was taken away is gone.
"""

import struct
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from urllib.parse import quote, unquote

from flask import Response, abort, url_for
from sqlalchemy import LargeBinary, func, select

from idp.accounts.models import Organization, OrganizationLogo
from idp.oidc.clients import Client
from idp.web import theme
from idp.web.headers import show_as_picture_only
from idp.web.pages import FrameOrganization, Logo
from idp.web.use_cases import use_cases

FOR_EVER = "public, max-age=31536000, immutable"
# Where a PNG says how wide and how high it is: after its signature, and the length and name of its first chunk.
_SIZE_AT, _SIZE_LENGTH = 17, 8


def dressed(frame: FrameOrganization, organization: Organization) -> FrameOrganization:
    """The frame with the name, colour, logo, privacy statement and sentences of the organisation. Reads by itself."""
    return replace(
        frame,
        organization_name=organization.name,
        theme_url=_theme_url(organization),
        logo=_logo(organization),
        privacy_uri=organization.privacy_uri,
        own_texts=organization.texts or {},
    )


def own_look(org_code: str, digest: str) -> Response:
    """GET the stylesheet of an organisation that has a colour, under its present hash; otherwise 404."""
    with use_cases().units.reading() as unit:
        colour = unit.scalars(select(Organization.brand_colour).filter_by(org_code=_from_address(org_code))).first()
    if colour is None or not theme.is_colour(colour) or theme.stylesheet_hash(colour) != digest:
        abort(404)
    response = Response(theme.stylesheet(colour), content_type="text/css; charset=utf-8")
    response.headers["Cache-Control"] = FOR_EVER
    return response


def own_logo(org_code: str, variant: str, digest: str) -> Response:
    """GET the logo of an organisation, under its present digest; otherwise 404. Opened by itself it can do nothing."""
    asked = (
        select(OrganizationLogo.png)
        .join(Organization, Organization.id == OrganizationLogo.organization_id)
        .where(Organization.org_code == _from_address(org_code))
        .where(OrganizationLogo.variant == variant, OrganizationLogo.digest == digest)
    )
    with use_cases().units.reading() as unit:
        png = unit.scalars(asked).first()
    if png is None:
        abort(404)
    response = Response(png, content_type="image/png")
    response.headers["Cache-Control"] = FOR_EVER
    show_as_picture_only()
    return response


def client_logo(client_id: str, digest: str) -> Response:
    """GET the logo of a client that has one, under its present digest; otherwise 404."""
    png = _png_of(client_id) if client_id.isprintable() else None
    if png is None or _digest_of(png) != digest:
        abort(404)
    response = Response(png, content_type="image/png")
    response.headers["Cache-Control"] = FOR_EVER
    show_as_picture_only()
    return response


def logo_of(client: Client) -> Logo | None:
    """The logo of an application that registered one, if we keep it. Reads by itself."""
    png = _png_of(client.client_id) if client.logo_uri is not None else None
    if png is None:
        return None
    url = url_for("idp.client_logo", client_id=client.client_id, digest=_digest_of(png))
    return Logo(url, _shown_width(*struct.unpack_from(">II", png, _SIZE_AT - 1)))


def _png_of(client_id: str) -> bytes | None:
    asked = select(Client.logo).where(Client.client_id == client_id, Client.deleted_at.is_(None))
    with use_cases().units.reading() as unit:
        return unit.scalars(asked).first()


def _digest_of(png: bytes) -> str:
    return sha256(png).hexdigest()[:32]


def _theme_url(organization: Organization) -> str | None:
    colour = organization.brand_colour
    if colour is None or not theme.is_colour(colour):
        return None
    org_code = _in_address(organization.org_code)
    return url_for("idp.own_look", org_code=org_code, digest=theme.stylesheet_hash(colour))


def _logo(organization: Organization) -> Logo | None:
    size = func.substr(OrganizationLogo.png, _SIZE_AT, _SIZE_LENGTH, type_=LargeBinary)
    asked = select(OrganizationLogo.variant, OrganizationLogo.digest, size)
    with use_cases().units.reading() as unit:
        rows = unit.execute(asked.where(OrganizationLogo.organization_id == organization.id)).all()
    drawn: Mapping[str, tuple[str, int]] = {
        variant: (
            url_for("idp.own_logo", org_code=_in_address(organization.org_code), variant=variant, digest=digest),
            _shown_width(*struct.unpack(">II", size)),
        )
        for variant, digest, size in rows
    }
    if "light" not in drawn:
        return None
    url, width = drawn["light"]
    dark_url, dark_width = drawn.get("dark", (None, 0))
    return Logo(url, width, dark_url, dark_width)


def _shown_width(width: int, height: int) -> int:
    """In a box of 40 by at most 192 CSS pixels; `idp.css` has the same box."""
    return min(192, max(1, round(width * 40 / height)))


def _in_address(org_code: str) -> str:
    """The code as one segment of a path, whatever is in it: quoted here, and quoted again where the URL is built."""
    return quote(org_code, safe="")


def _from_address(segment: str) -> str:
    """The code behind a segment; 404 for bytes that no code has and PostgreSQL does not take."""
    org_code = unquote(segment)
    if not org_code.isprintable():
        abort(404)
    return org_code
