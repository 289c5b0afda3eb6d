"""What idp itself fetches or calls over HTTP, all of it through one guarded client.

    guarded.py     GuardedClient: get and post, to public addresses only, without redirects, within five seconds,
                   or two while somebody waits for our own answer
    places.py      how many threads may wait for servers of clients at a time: never all of them
    pauses.py      addresses that did not answer are left alone for a while
    addresses.py   which network addresses may be called at all

The addresses of clients are written by people; a name may point anywhere, and somewhere else a moment later.
"""
