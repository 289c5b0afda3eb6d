"""The same questions to npm's oidc-provider and to ours, and what may differ in the answers.

question.py, questions.py   a question; all of them
ask_*.py                    the questions, a module for each endpoint or way to be wrong
site.py                     a provider as clients and browsers meet it: ours and the peer alike
clients.py                  the clients that both know
peer.py, both.py            the peer as a process (peer/provider.mjs); both at once
normal_form.py              answers without what is random in them, and what differs in two of them
known.toml, known.py        the differences that are known, by the clause that decides
document.py                 docs/differences.md
"""
