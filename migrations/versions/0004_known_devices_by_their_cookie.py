"""Whether a device's cookie was given out is asked at every sign-in."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_known_devices_device_hash", "known_devices", ["device_hash"])
