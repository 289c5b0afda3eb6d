"""Logos: whatever picture is given, what we keep and serve is drawn anew by us.

PNG, WebP and JPEG are decoded and written again as a small PNG: what else was in the file (metadata, profiles, frames
of an animation, bytes after the end that are a script or an archive) is not in ours. SVG is refused: it is a document
with scripts, styles, fonts and addresses of others in it, and cleaning it safely takes a list of everything that may
stay, kept up with what browsers learn; a designer's program writes a PNG of it in a minute.
"""

import io
import warnings
from collections.abc import Mapping
from hashlib import sha256
from typing import Literal

from PIL import Image, UnidentifiedImageError
from sqlalchemy import delete, select
from sqlalchemy.orm import Session as Unit

from idp.accounts.models import Organization, OrganizationLogo
from idp.admin.organizations import found
from idp.audit.events import OrganizationChanged
from idp.audit.trail import Trail
from idp.kernel.errors import Refused
from idp.store.units import UnitsOfWork

Variant = Literal["light", "dark"]

LARGEST_FILE = 200_000
"""Bytes."""
LARGEST_SIDE = 4000
"""Pixels."""
SIZE = (384, 80)
"""Pixels at most: shown in a box of 192 by 40, on screens with two pixels in the place of one."""

_FORMATS = ("PNG", "WEBP", "JPEG")


class Logos:
    """Sets, removes and lists the logos of organisations."""

    def __init__(self, units: UnitsOfWork, trail: Trail) -> None:
        self._units, self._trail = units, trail

    def set(self, org_code: str, variant: Variant, content: bytes) -> None:
        """The picture, drawn anew, is the organisation's logo on light or on dark pages. Raises Refused."""
        png = drawn(content)
        with self._units.writing() as unit:
            organization = _locked(unit, org_code)
            if variant == "dark" and "light" not in _variants(unit, organization):
                raise Refused("logo.dark_alone", "a logo for dark pages needs one for light pages: set that first")
            digest = sha256(png).hexdigest()
            unit.merge(
                OrganizationLogo(organization_id=organization.id, variant=variant, png=png, digest=digest),
            )
            self._record(unit, organization, f"set logo ({variant})")

    def remove(self, org_code: str, variant: Variant) -> None:
        """The logo is gone; without one for light pages there is none for dark pages either. Raises Refused."""
        with self._units.writing() as unit:
            organization = _locked(unit, org_code)
            if variant not in _variants(unit, organization):
                raise Refused("logo.none", f"the organisation {organization.org_code!r} has no {variant} logo")
            gone = delete(OrganizationLogo).where(OrganizationLogo.organization_id == organization.id)
            unit.execute(gone if variant == "light" else gone.where(OrganizationLogo.variant == variant))
            self._record(unit, organization, f"removed logo ({variant})")

    def list(self, org_code: str) -> Mapping[str, str]:
        """The digest of each logo of the organisation, by variant. Raises Refused."""
        with self._units.reading() as unit:
            return _variants(unit, found(unit, org_code))

    def _record(self, unit: Unit, organization: Organization, change: str) -> None:
        self._trail.record(unit, OrganizationChanged(change=change, organization_id=organization.id))


def drawn(content: bytes) -> bytes:
    """A PNG of at most 384 by 80 pixels that shows what the picture shows, and holds nothing else. Raises Refused."""
    if len(content) > LARGEST_FILE:
        raise Refused("logo.too_large", f"a logo is a file of at most {LARGEST_FILE // 1000} kB")
    if _is_markup(content):
        raise Refused(
            "logo.svg", "SVG is not taken, because it can hold scripts and addresses of others: save it as PNG"
        )
    try:
        with warnings.catch_warnings():
            # Pillow only warns of a picture that is large, and refuses one that is huge.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
                if max(picture.size) > LARGEST_SIDE:
                    raise _too_many_pixels()
                return _written(_shrunk(picture))
    except Refused:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise _too_many_pixels() from error
    except UnidentifiedImageError as error:
        raise Refused("logo.unknown", "a logo is a PNG, WebP or JPEG file") from error
    except Exception as error:
        # Decoders fail in many ways on files that are broken, or made to break them.
        raise Refused("logo.broken", "the file cannot be read as a picture") from error


def _shrunk(picture: Image.Image) -> Image.Image:
    # Grey with 16 bits would be cut off at 8 instead of scaled.
    whole = picture.point(lambda value: value / 256).convert("L") if picture.mode.startswith("I") else picture
    seen = whole.convert("RGBA")
    seen.thumbnail(SIZE, Image.Resampling.LANCZOS)
    return seen


def _written(seen: Image.Image) -> bytes:
    # Of a new picture, so that nothing that came with the old one goes along.
    clean = Image.frombytes("RGBA", seen.size, seen.tobytes())
    file = io.BytesIO()
    clean.save(file, format="PNG", optimize=True)
    return file.getvalue()


def _is_markup(content: bytes) -> bool:
    return content.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\x00").startswith(b"<") or content[:2] == b"\x1f\x8b"


def _too_many_pixels() -> Refused:
    return Refused("logo.too_many_pixels", f"a logo is at most {LARGEST_SIDE} pixels wide and high")


def _locked(unit: Unit, org_code: str) -> Organization:
    """The organisation, whose logos nobody else changes before the unit of work is over. Raises Refused."""
    organization = found(unit, org_code)
    unit.execute(select(Organization.id).where(Organization.id == organization.id).with_for_update(key_share=True))
    return organization


def _variants(unit: Unit, organization: Organization) -> dict[str, str]:
    asked = select(OrganizationLogo.variant, OrganizationLogo.digest)
    rows = unit.execute(asked.where(OrganizationLogo.organization_id == organization.id))
    return {variant: digest for variant, digest in rows}
