"""Attacks on the provider, and what happens instead. Each test carries the number of its attack.

numbers             file                    about
A01-A05 A09 A10     test_guessing.py        guessing passwords and codes, one by one and at once; codes that come back
A12-A15             test_mail_codes.py      codes by mail: guessed over resends, too many, in the wrong place
A21-A23 A25-A31     test_pipeline.py        the order of sign-in; tabs, browsers, cookies and links of others
A24                 test_faults.py          something breaks while somebody signs in
A32 A34 A38 A39     test_second_factor.py   postponing where it is not offered; the key of somebody who enrols
A33 A35-A37 A40-A42 test_campaign.py        around the deadline; an older session, a new password, no links
A43 A54-A57         test_redirects.py       where answers go, and who says that they answer
A44 A45 A47 A48     test_people.py          who exists; floods of passwords; names that look alike or come back
A46                 test_input.py           input that is large, deep or many
A49-A52             test_codes.py           codes: twice at once, by others, for other addresses, without PKCE
A58-A60             test_clients.py         who a client is, and how it proves it
A62 A63 A66 A67     test_tokens.py          forged, swapped, replayed, widened and cut tokens
A69-A71             test_tokens.py
A64 A83 A85-A87     test_notices.py         notices: lost, late, for ever, to places that nobody should reach
A75 A77 A81         test_sessions.py        when somebody proved who they are, forced logout, a session nobody cleans up
A79 A80 A82         test_idle_clock.py      polling, the instant of the deadline, a clock that is set back
A84                 test_session_races.py   logging out while tokens are being issued

A16 A17 (recovery codes) and A18-A20 (passkeys) come with those methods.

A test whose name says what would happen without a defence takes that defence away: the attack must then succeed.

parallel.py runs an attack in several operating-system processes at the same instant; world.py holds the browsers.
The ordinary run makes a fiftieth of the rounds, and at least as many as can tell; IDP_TEST_LONG=1 makes all of them.
"""
