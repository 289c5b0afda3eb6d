"""Journeys in a real browser: the provider in a process of its own, two applications at another site, Chromium.

world.py     the provider, the demonstration's applications, people, and time that passes
visitor.py   somebody at a browser; each page that a tab reaches is looked at (axe, headings, inline code)
watch.py     the console, refusals of the policy, other origins, headers, statuses: of all pages of a test, asserted
             at its end

What a browser can prove about these pages, and where it is proven (`page` is `tests/web/test_pages.py`, `browser` is
`tests/web/test_pages_in_browser.py`, the others are here):

    accessible, targets large enough                    browser; visitor.Tab.at on every page reached
    never too wide, also with wide text spacing         browser
    nothing cut off with text twice as large            test_every_page
    headings, landmarks, language, title, skip link     page, browser
    focus drawn, not covered, in reading order          test_every_page
    viewport, service desk                              page
    forced colours, no motion, print                    browser
    labels, autocomplete, one code field                page
    pasting; nothing is sent by itself                  test_every_page
    codes with spaces, dashes, wide digits              test_signing_in
    focus in the summary, also without a script         test_signing_in
    no closed button; our own complaints                visitor.Tab.at, test_signing_in
    what was typed stays, the password does not         test_signing_in, test_language
    organisation code remembered                        test_signing_in
    QR code read from the screen is the key             test_signing_in, browser
    link to the app on touch screens only               browser, page
    the secret leaves the browser nowhere               test_signing_in
    first login, the deadline, postponing               test_signing_in
    straight from the right code to the application     test_signing_in
    Back and refresh                                    test_way_back
    two tabs, two applications, two people              test_two_applications
    expired, idle for 30 minutes                        test_interruptions, test_two_applications
    five wrong codes                                    test_signing_in
    unknown person looks like a wrong password          test_signing_in
    unregistered redirect URI, foreign link             test_interruptions
    console, policy, other origins, inline code         watch, visitor.Tab.at
    applications that lead on; form_post                test_leaving
    a window of the application keeps its opener        test_windows
    weight of the first page                            test_every_page, page
    languages and words                                 tests/web/test_texts.py

Journeys marked `script` run with JavaScript and without.
"""
