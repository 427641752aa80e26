"""
Each mail leaves once, over all tries of a task.

A mail cannot be unsent, Bigin has no idempotency key, and Airflow retries everything. So before every POST an
**intent** is written down, after it the outcome; and what was left open, by a lost answer or a worker that
died, is looked for among the record's e-mails before anything is sent again.
``docs/explanation/delivery.md`` says what that means for users.

==============  =================================================================================
module          holds
==============  =================================================================================
``message``     what is delivered: drafts, messages, the batch that makes them
``engine``      the only loop: recall what earlier tries have left, send the rest, settle what was lost
``policy``      the decision table
``doubts``      what a person is asked about, and what the answer was
``identity``    what is the same mail in every try: digests, markers, rows and their entries
``journal``     what earlier tries have left, and what this one writes
``state``       the format of what is stored
``store``       where it is stored: Airflow's task state store, a Variable, or nowhere
``attempt``     what Airflow tells of the running try
``lookup``      reading a record's e-mails and judging them: found, absent, in doubt
``limits``      which of Bigin's limits last, and for how long
``limiter``     how many calls are made at a time, and the back-off that they share
``outcome``     what became of one mail
==============  =================================================================================
"""
