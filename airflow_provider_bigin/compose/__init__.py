"""
What people wrote becomes messages: the mails of operators, notifier and e-mail backend, before
:mod:`airflow_provider_bigin.delivery` sends them.

=================  ================================================================================
module             holds
=================  ================================================================================
``arguments``      the fields of a mail, and the checked draft that they make
``content``        content that names a template file
``templates``      subject and content, rendered for each row
``rows``           many mails: what tells rows apart, what they may name, the draft of each
``upstream``       which arguments came from other tasks, and so are data
``attachments``    paths that other people name: only below one folder
``records``        the one record that has an address
``messages``       drafts become messages: search, upload and default sender, each once
``single_flight``  what is found out or uploaded once for many mails
=================  ================================================================================
"""
