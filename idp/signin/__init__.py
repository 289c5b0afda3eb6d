"""The login pipeline, as data.

    prompts.py       PROMPTS: what we may have to ask, in order; next_prompt
    checks.py        why a prompt is due: pure functions Situation -> bool
    situation.py     Situation: all that a check may see
    interaction.py   Interaction: one stored attempt to sign in, bound to one browser
    answers/         Answers: the one door, and what an answer to each prompt does
    logout.py        the person's own logout
    simulate.py      who would meet what on another day, by the same checks
    people.py        person_of: what the pipeline knows of an account
    looks.py         Looks: the situation of an attempt right now, and the prompt that is pending
    flow.py          Flow: begin, look, record, complete; where a session opens
    outcomes.py      what those answer with

    request -> begin -> [ look -> next_prompt -> screen -> answer -> proof recorded ] ... -> session -> complete -> code

No step knows the next one: a proof is recorded and the list is read again. An answer is refused unless its prompt is
the pending one. The session is opened at one place, when no authentication prompt is left.
"""
