"""The words that people read, in a language that the caller names: for mail, and below the pages of `web.texts`.

catalogue.py   Texts: a text by its key, numbers, days, moments; the languages there are
addresses.py   MaskedAddress: as much of an e-mail address as its owner needs to recognise it
"""
