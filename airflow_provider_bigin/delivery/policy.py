"""
The decision table: what follows from the last word on a mail and from what a look for it shows.

It is pure, and the same for one mail and for many, for a retry and for a clear.
"""

from __future__ import annotations

from typing import Literal

OnUnknownOutcome = Literal["check", "fail", "resend", "ask"]
ON_UNKNOWN_OUTCOME: tuple[OnUnknownOutcome, ...] = ("check", "fail", "resend", "ask")

#: The latest that is stored about a mail: nothing, that it was sent, that Bigin will never accept it, or that
#: it may have been posted.
LastWord = Literal["none", "done", "refused", "open"]
#: What the e-mails of its record show about a mail that may have been posted.
Evidence = Literal["found", "absent", "in doubt", "unreadable"]
#: What a person says about a mail in doubt: it was sent, send it, leave it failed.
Word = Literal["sent", "send", "leave"]
#: ``report``: name it with its reason; ``later``: leave it to the next try; ``give up``: only a person can
#: know; ``ask``: ask that person.
Decision = Literal["send", "done", "report", "later", "give up", "ask"]

#: What may be sent although an earlier POST may have sent it: in a retry, and after a person has cleared.
CONSENT: dict[OnUnknownOutcome, tuple[tuple[Evidence, ...], tuple[Evidence, ...]]] = {
    "fail": ((), ("absent",)),
    "check": (("absent",), ("absent",)),
    "resend": (("absent", "in doubt"), ("absent", "in doubt")),
    "ask": (("absent",), ("absent",)),
}


def decide(
    last_word: LastWord,
    evidence: Evidence | None = None,
    *,
    policy: OnUnknownOutcome,
    asked_since: bool,
    is_own: bool = False,
    is_scheduled: bool = False,
    said: Word | None = None,
) -> Decision:
    """
    Decide what to do about one mail.

    :param last_word: what is stored about it.
    :param evidence: what a look shows, if it is open.
    :param policy: the operator's ``on_unknown_outcome``.
    :param asked_since: whether a person has cleared the task since that word.
    :param is_own: whether this very try may have posted it. If so, the next try sends: there is one POST per
        mail and try, and the next look is later and sees more.
    :param is_scheduled: whether it was scheduled for later. If so, its absence proves nothing.
    :param said: what a person said about this very doubt.
    """
    if last_word == "none":
        return "send"
    if last_word == "done" or evidence == "found" or said == "sent":
        return "done"
    if last_word == "refused":
        return "send" if asked_since else "report"
    if said == "leave":
        return "give up"
    if evidence == "unreadable":
        return "later"
    if evidence == "absent" and is_scheduled:
        evidence = "in doubt"
    if said == "send" or evidence in CONSENT[policy][asked_since]:
        return "later" if is_own else "send"
    return "ask" if policy == "ask" else "give up"
