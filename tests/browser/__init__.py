"""Journeys in a real browser: the provider in a process of its own, two applications at another site, Chromium.

world.py       the provider, the demonstration's applications, people, their mail, and time that passes
elsewhere.py   sites at origins of their own, which keep what comes to them
visitor.py     somebody at a browser; each page that a tab reaches is looked at (axe, headings, inline code)
watch.py       the console, refusals of the policy, other origins, headers, statuses: of all pages of a test, asserted
               at its end

What a browser can prove about these pages is STATEMENTS: fifty numbered ones. Journeys marked `script` run with
JavaScript and without.
"""

from types import MappingProxyType

_EVERY_PAGE = "tests/browser/test_every_page.py"
_SHOWN = "tests/web/test_pages_in_browser.py"
_LOOK = "tests/browser/test_own_look.py"
_SIGNING_IN = "tests/browser/test_signing_in.py"
_MAIL = "tests/browser/test_mail_codes.py"
_MANUAL = "tests/browser/test_manual.py"
_BACK = "tests/browser/test_way_back.py"
_TABS = "tests/browser/test_two_applications.py"
_INTERRUPTED = "tests/browser/test_interruptions.py"
_LEAVING = "tests/browser/test_leaving.py"
_LANGUAGE = "tests/browser/test_language.py"
_TEXTS = "tests/web/test_texts.py"
_WORK = "tests/attacks/test_people.py"

STATEMENTS = MappingProxyType(
    {
        # Accessibility in general
        1: (  # axe finds nothing; `visitor.Tab.at` asks it about every page of a journey
            f"{_SHOWN}:test_every_page_is_accessible_and_keeps_to_its_policy",
            f"{_LOOK}:test_garish_colour_and_logo_are_readable_on_every_screen",
        ),
        2: (  # never too wide at 320 pixels
            f"{_SHOWN}:test_no_page_is_wider_than_a_narrow_screen_also_with_wide_text_spacing",
        ),
        3: (  # nothing cut off with text twice as large
            f"{_EVERY_PAGE}:test_nothing_is_cut_off_when_text_is_twice_as_large",
        ),
        4: (  # headings and landmarks
            f"{_EVERY_PAGE}:test_every_page_has_one_heading_of_the_first_level_and_skips_none",
        ),
        5: (  # the language of the page, and of the link to the other
            f"{_EVERY_PAGE}:test_every_page_says_which_language_it_speaks_and_names_the_other_in_its_own",
            f"{_LANGUAGE}:test_language_changes_within_the_sign_in_and_what_was_sent_before_stays",
        ),
        6: (  # titles
            f"{_EVERY_PAGE}:test_titles_tell_pages_apart_name_the_organisation_and_begin_with_the_error",
        ),
        7: (  # skip link
            f"{_EVERY_PAGE}:test_first_tab_lands_on_the_skip_link_of_every_page_that_has_not_put_the_focus_elsewhere",
            f"{_SHOWN}:test_first_tab_leads_to_the_skip_link_and_the_link_to_the_content",
        ),
        8: (  # focus that is seen
            f"{_EVERY_PAGE}:test_focus_is_drawn_and_uncovered_wherever_it_is_on_every_page",
            f"{_EVERY_PAGE}:test_keyboard_focus_is_drawn_never_covered_and_goes_in_reading_order",
        ),
        9: (  # order of Tab
            f"{_EVERY_PAGE}:test_keyboard_focus_is_drawn_never_covered_and_goes_in_reading_order",
            f"{_EVERY_PAGE}:test_no_page_changes_the_order_of_tab_or_forbids_to_enlarge_it",
        ),
        10: (  # targets of 24 pixels; buttons, cards and links that stand alone of 44
            f"{_SHOWN}:test_every_page_is_accessible_and_keeps_to_its_policy",
            f"{_EVERY_PAGE}:test_links_that_stand_alone_are_as_high_as_buttons",
        ),
        11: (  # enlarging
            f"{_EVERY_PAGE}:test_no_page_changes_the_order_of_tab_or_forbids_to_enlarge_it",
        ),
        12: (  # the service desk's number, always in the same place
            f"{_EVERY_PAGE}:test_service_desk_can_be_called_in_the_same_place_of_every_page",
        ),
        13: (  # forced colours
            f"{_SHOWN}:test_forced_colours_draw_a_border_around_every_button_and_choice",
            f"{_SHOWN}:test_forced_colours_keep_the_choice_and_the_qr_code_visible",
            f"{_LOOK}:test_forced_colours_keep_the_ground_under_the_logo",
        ),
        14: (  # no motion
            f"{_SHOWN}:test_nothing_moves_for_those_who_want_no_motion",
        ),
        15: (  # print; NOT_YET for recovery codes
            f"{_SHOWN}:test_nothing_secret_is_printed",
        ),
        # Forms and codes
        16: (  # labels, no placeholders
            f"{_EVERY_PAGE}:test_every_field_has_a_label_that_is_seen_and_no_words_inside",
        ),
        17: (  # what fields tell browsers and password managers
            f"{_EVERY_PAGE}:test_browsers_and_password_managers_know_each_field",
        ),
        18: (  # pasting
            f"{_EVERY_PAGE}:test_password_and_code_can_be_pasted_and_six_digits_send_nothing",
        ),
        19: (  # spaces, dashes, wide digits, a zero at the beginning
            f"{_SIGNING_IN}:test_wrong_code_is_told_with_the_focus_in_the_summary_and_a_spaced_one_is_accepted",
            f"{_SIGNING_IN}:test_code_in_full_width_digits_with_a_dash_is_accepted",
            f"{_SIGNING_IN}:test_code_keeps_the_zero_with_which_it_begins",
        ),
        20: (  # room for seven characters, nothing is sent by itself
            f"{_EVERY_PAGE}:test_password_and_code_can_be_pasted_and_six_digits_send_nothing",
            f"{_EVERY_PAGE}:test_browsers_and_password_managers_know_each_field",
        ),
        21: (  # focus in the summary, also without a script
            f"{_SHOWN}:test_focus_starts_in_the_error_summary_also_without_a_script",
            f"{_SIGNING_IN}:test_wrong_code_is_told_with_the_focus_in_the_summary_and_a_spaced_one_is_accepted",
        ),
        22: (  # one sentence in the summary and at the field
            f"{_SIGNING_IN}:test_wrong_code_is_told_with_the_focus_in_the_summary_and_a_spaced_one_is_accepted",
        ),
        23: (  # no closed button
            f"{_EVERY_PAGE}:test_no_page_closes_a_button_or_leaves_complaints_to_the_browser",
        ),
        24: (  # our own words about an empty form
            f"{_EVERY_PAGE}:test_no_page_closes_a_button_or_leaves_complaints_to_the_browser",
            f"{_SIGNING_IN}:test_nothing_filled_in_is_told_in_our_own_words",
        ),
        25: (  # what was typed stays, the password does not
            f"{_SIGNING_IN}:test_wrong_password_keeps_code_and_username_and_empties_the_password",
        ),
        26: (  # the organisation code is asked once
            f"{_SIGNING_IN}:test_organisation_code_is_not_asked_again_in_the_same_journey",
            f"{_SIGNING_IN}:test_organisation_code_is_not_asked_again_after_it_was_remembered",
        ),
        27: (  # the QR code, read from the screen, is the key beside it (`visitor.Tab.scan`)
            f"{_SHOWN}:test_qr_code_is_read_back_from_the_screen",
            f"{_SIGNING_IN}:test_first_login_sets_up_the_app_by_its_qr_code_and_the_next_one_asks_for_its_code",
        ),
        28: (  # the link to the app: on touch screens, before the QR code
            f"{_SHOWN}:test_link_to_the_app_is_there_where_the_app_may_be",
        ),
        29: (  # the key of the app leaves the browser nowhere
            f"{_EVERY_PAGE}:test_key_of_the_app_is_in_no_field_and_no_address_that_is_asked_for",
            f"{_SIGNING_IN}:test_first_login_sets_up_the_app_by_its_qr_code_and_the_next_one_asks_for_its_code",
        ),
        # Journey
        30: (  # the first login
            f"{_SIGNING_IN}:test_first_login_sets_up_the_app_by_its_qr_code_and_the_next_one_asks_for_its_code",
        ),
        31: (  # after the deadline
            f"{_SIGNING_IN}:test_after_the_deadline_postponing_is_gone_and_a_hand_made_request_for_it_is_refused",
            f"{_SIGNING_IN}:test_deadline_that_passes_while_the_page_is_open_ends_postponing",
        ),
        32: (  # postponing
            f"{_SIGNING_IN}:test_postponing_takes_a_confirmation_and_the_next_login_reminds",
            f"{_MANUAL}:test_uitstellen_van_uw_keuze",
        ),
        33: (  # straight from the right code to the application
            f"{_SIGNING_IN}:test_first_login_sets_up_the_app_by_its_qr_code_and_the_next_one_asks_for_its_code",
            f"{_MANUAL}:test_instellen_authenticator_app",
        ),
        34: (  # one mail for each activation, and what it says
            f"{_MAIL}:test_activating_sends_one_mail_whose_subject_and_both_parts_carry_the_one_code",
            f"{_MAIL}:test_code_of_a_later_login_is_sent_once_its_password_is_right",
            f"{_MANUAL}:test_instellen_e_mail",
        ),
        35: (  # refreshing sends nothing and costs nothing
            f"{_MAIL}:test_refreshing_sends_no_mail_and_after_a_wrong_code_uses_up_no_try",
        ),
        36: (  # a new code twice within a minute
            f"{_MAIL}:test_asking_twice_within_a_minute_sends_one_mail_tells_when_and_leaves_the_earlier_code_good",
        ),
        37: (  # 30-36 without JavaScript: their tests ask for `script`
            f"{_SIGNING_IN}:test_first_login_sets_up_the_app_by_its_qr_code_and_the_next_one_asks_for_its_code",
            f"{_SIGNING_IN}:test_after_the_deadline_postponing_is_gone_and_a_hand_made_request_for_it_is_refused",
            f"{_SIGNING_IN}:test_postponing_takes_a_confirmation_and_the_next_login_reminds",
            f"{_MAIL}:test_activating_sends_one_mail_whose_subject_and_both_parts_carry_the_one_code",
            f"{_MAIL}:test_refreshing_sends_no_mail_and_after_a_wrong_code_uses_up_no_try",
            f"{_MAIL}:test_asking_twice_within_a_minute_sends_one_mail_tells_when_and_leaves_the_earlier_code_good",
        ),
        38: (  # Back after each step
            f"{_BACK}:test_back_and_refresh_are_harmless_at_every_step_of_the_first_login",
            f"{_BACK}:test_back_and_refresh_are_harmless_at_every_step_with_codes_by_mail",
            f"{_BACK}:test_back_and_refresh_are_harmless_when_a_code_is_asked",
        ),
        39: (  # Back from the application
            f"{_BACK}:test_back_and_refresh_are_harmless_at_every_step_of_the_first_login",
            f"{_BACK}:test_back_and_refresh_are_harmless_at_every_step_with_codes_by_mail",
        ),
        40: (  # two tabs, two applications
            f"{_TABS}:test_each_of_two_tabs_ends_at_its_own_application",
            f"{_TABS}:test_two_tabs_that_ask_for_the_code_end_at_their_own_address_with_their_own_state",
            f"{_TABS}:test_tabs_that_both_expired_at_the_code_still_end_at_their_own_applications",
            f"{_TABS}:test_tab_that_expired_meanwhile_still_ends_at_its_own_application",
        ),
        41: (  # a password alone opens nothing in a second tab
            f"{_TABS}:test_password_alone_opens_nothing_in_a_second_tab",
            f"{_MAIL}:test_code_of_a_later_login_is_sent_once_its_password_is_right",
        ),
        42: (  # expired, and one button to the application
            f"{_INTERRUPTED}:test_expired_sign_in_starts_again_with_one_button_and_ends_at_its_application",
        ),
        43: (  # 30 minutes without activity; NOT_YET for the console's warning
            f"{_INTERRUPTED}:test_thirty_minutes_without_activity_end_the_session",
        ),
        44: (  # five wrong codes
            f"{_SIGNING_IN}:test_five_wrong_codes_lead_to_a_wait_in_which_the_right_code_is_not_used_up",
        ),
        45: (  # an unknown person looks like a wrong password, and costs the same number of hashes and statements
            f"{_SIGNING_IN}:test_unknown_person_and_wrong_password_look_the_same",
            f"{_WORK}:test_a44_who_exists_cannot_be_told_from_anything_that_comes_back_or_from_the_work",
        ),
        46: (  # an unknown redirect URI
            f"{_INTERRUPTED}:test_unregistered_redirect_uri_ends_at_our_own_page_with_a_code_that_is_in_the_trail",
        ),
        # Browser security that users feel
        47: (  # policy, console, inline code; `watch` and `visitor.Tab.at` hear and look on every page of a journey
            f"{_SHOWN}:test_every_page_is_accessible_and_keeps_to_its_policy",
            f"{_EVERY_PAGE}:test_no_page_has_code_or_style_of_its_own",
        ),
        48: (  # applications that lead on
            f"{_LEAVING}:test_application_that_redirects_on_to_a_third_origin_is_reached_through",
            f"{_LEAVING}:test_this_browser_stops_a_redirect_after_a_form_that_leaves_the_policy",
        ),
        49: (  # weight and requests; `watch` hears requests to other origins
            f"{_EVERY_PAGE}:test_first_page_is_light_and_asks_for_little",
            f"{_EVERY_PAGE}:test_every_page_is_light_and_asks_once_for_a_stylesheet_and_a_script",
        ),
        50: (  # languages and words
            f"{_TEXTS}:test_every_language_has_the_same_keys_with_the_same_slots",
            f"{_TEXTS}:test_dutch_is_formal_and_without_jargon",
            f"{_TEXTS}:test_sentences_are_short",
        ),
    }
)
"""For each statement the tests that fail when it is not true, as `path:function`."""

NOT_YET = MappingProxyType(
    {
        15: "that recovery codes are printed: the page does not exist",
        43: "that people are warned two minutes before: the console does not exist",
        48: "browsers other than Chromium",
    }
)
"""What is not shown of a statement, and why."""
