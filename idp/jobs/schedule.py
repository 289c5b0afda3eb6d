"""The tasks of a worker, and how often each is due."""

from collections.abc import Callable, Sequence
from datetime import timedelta

from idp.admin.signing_keys import SigningKeys
from idp.audit.chain import link
from idp.jobs.campaign_mails import CampaignMails
from idp.jobs.deliver_logout_notices import LogoutNoticeDelivery
from idp.jobs.purge_expired import purge
from idp.jobs.send_mail import MailSender
from idp.jobs.sweep_idle_sessions import sweep
from idp.jobs.worker import Task
from idp.kernel.clock import Clock
from idp.kernel.secrets import DerivedKeys
from idp.sessions.lifecycle import Sessions
from idp.store.units import UnitsOfWork

# Clients hear of an idle session within 5 seconds (p95): most of that time is for the network.
SWEEP_EVERY = timedelta(seconds=1)
PURGE_EVERY = timedelta(hours=1)
# Somewhere it is 8:00 every quarter of an hour.
CAMPAIGN_MAILS_EVERY = timedelta(minutes=10)
# Somebody waits for the code that is in it.
MAIL_EVERY = timedelta(milliseconds=300)
# Clients hear of the end of a session within 5 seconds (p95), and the sweep needs its second.
NOTICES_EVERY = timedelta(milliseconds=200)
# What is not in the chain of the audit trail yet could still be changed unseen.
LINK_EVERY = timedelta(seconds=1)
LINK_EVERYTHING_EVERY = timedelta(hours=1)
# Keys are published for hours before they sign and after.
KEYS_EVERY = timedelta(minutes=10)


def tasks(
    units: UnitsOfWork,
    clock: Clock,
    keys: DerivedKeys,
    request_lifetime: timedelta,
    known_device_lifetime: timedelta,
    campaign_mails: CampaignMails | None,
) -> Sequence[Task]:
    """In this order, when several are due. Without `campaign_mails`, where no mail is sent at all, nobody is told."""
    telling = () if campaign_mails is None else (campaign_mails.run,)
    return (
        Task("link the audit trail", LINK_EVERY, lambda: link(units, keys)),
        Task("link all of the audit trail", LINK_EVERYTHING_EVERY, lambda: link(units, keys, everything=True)),
        *(Task("tell of the last day for postponing", CAMPAIGN_MAILS_EVERY, tell) for tell in telling),
        Task(
            "delete what is expired", PURGE_EVERY, lambda: purge(units, clock, request_lifetime, known_device_lifetime)
        ),
    )


def key_tasks(signing_keys: SigningKeys) -> Sequence[Task]:
    """Signing keys follow each other by their age, where that is configured, and go when nothing needs them."""
    return (
        Task("rotate signing keys", KEYS_EVERY, signing_keys.rotate_old),
        Task("retire signing keys", KEYS_EVERY, signing_keys.retire_old),
    )


def sweep_tasks(units: UnitsOfWork, sessions: Sessions) -> Sequence[Task]:
    """For a worker of its own: however long anything else takes, sessions end in time."""
    return (Task("end idle sessions", SWEEP_EVERY, lambda: sweep(units, sessions)),)


def mail_tasks(sender: MailSender, is_stopping: Callable[[], bool]) -> Sequence[Task]:
    """For a worker of its own: a mail relay that does not answer delays nothing but mail."""
    return (Task("send mail", MAIL_EVERY, lambda: sender.run(is_stopping)),)


def notice_tasks(delivery: LogoutNoticeDelivery, is_stopping: Callable[[], bool]) -> Sequence[Task]:
    """For a worker of its own: a client that does not answer delays nothing but its own notices."""
    return (Task("deliver logout notices", NOTICES_EVERY, lambda: delivery.run(is_stopping)),)
