"""
Many mails from rows: what the bulk operator does with them before and after
:mod:`airflow_provider_bigin.delivery.many` delivers them.

==============  =================================================================================
module          holds
==============  =================================================================================
``rows``        what tells rows apart, and the mail that each of them makes
``templates``   subject and content, rendered for each row
``once_each``   what is found out or uploaded once for many rows
``results``     what became of the rows: counts, XCom, a file
``progress``    a log line every few seconds
==============  =================================================================================
"""
