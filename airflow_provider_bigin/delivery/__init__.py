"""
Send each mail once, across all tries of a task.

A mail cannot be unsent, Bigin has no idempotency key, and Airflow retries everything. So an **intent** is
stored before every POST and the outcome after it; what was left open, by a lost response or a worker that
died, is looked for among the record's e-mails before anything is sent again. ``docs/explanation/delivery.md``
explains what that means for users.

==============  =================================================================================
module          holds
==============  =================================================================================
``message``     what is delivered: drafts, messages, and the batch that builds them
``engine``      the only loop: recall what earlier tries left, send the rest, settle what was lost
``policy``      the decision table
``doubts``      what a person is asked about, and what the answer was
``identity``    what identifies a mail in every try: digests, markers, rows and their entries
``journal``     what earlier tries left behind, and what this one writes
``state``       the format of the stored state
``store``       where it is stored: Airflow's task state store, a Variable, or nowhere
``attempt``     what Airflow says about the running try
``lookup``      reading a record's e-mails and judging them: found, absent, in doubt
``limits``      which of Bigin's limits last, and for how long
``limiter``     how many calls run at a time, and the back-off that they share
``outcome``     what happened to one mail
==============  =================================================================================
"""
