"""
At-most-once delivery over Airflow's retries.

A mail cannot be unsent, Bigin has no idempotency key, and Airflow retries everything. So before every POST an
**intent** is written to Airflow's task state store, after it the answer; and where an intent was left open,
by a lost answer or a worker that died, the mail is looked for among the record's e-mails before anything is
sent again.

==============  =================================================================================
module          holds
==============  =================================================================================
``attempt``     one POST, repeated only while it surely did not run
``intent``      what is about to be sent, in digests, and the state that the store keeps
``marker``      the invisible mark by which a mail is recognised
``lookup``      reading a record's e-mails and judging them: found, absent, in doubt
``task_try``    what Airflow tells of the running try: its identity, its store, whether it was cleared
``once``        one mail, and the decisions: send, resume, look, send again, give up
``many``        many mails by one task, several at a time
``journal``     what the store keeps of many mails, in few writes
``gate``        the back-off that many calls share
``outcome``     what became of one of many mails
==============  =================================================================================
"""
