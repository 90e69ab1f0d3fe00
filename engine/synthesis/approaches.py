"""The kinds of evidence that programs are asked for, one list a kind of row.

None of them names a subject, so they serve every task. With five leans, ten approaches make fifty prompts before the
number alone tells variants apart.
"""

from __future__ import annotations

APPROACHES = (
    "score weighted words for each class, look a few words back for negation and emphasis, and vote only "
    "when the score is clear of zero.",
    "leave single words aside and look for phrases of two to five words that give the class away.",
    "read the form of the row rather than its vocabulary: length, punctuation, capitals, digits, links, "
    "layout and repetition, wherever form tells the classes apart.",
    "use the few cues you would bet on, each almost never seen in another class, and abstain on everything else.",
    "cover as many rows as you can: wide word lists with spelling variants and stems, so that most rows get a vote.",
    "weigh the parts of the row differently: its first and last sentences usually carry the point, and what "
    "follows a contrast such as 'but' outweighs what stands before it.",
    "list what tends to mislead a keyword search here (quotation, irony, comparison, a passing mention) and "
    "let such signs cancel or reverse the evidence around them.",
    "split the subject into aspects, decide each aspect from the words near it, and let the aspects vote.",
    "start from the class that is hardest to recognise, write a careful detector for it, then decide among the others.",
    "reason by elimination: collect what speaks against each class and return the only one left standing.",
)
"""For texts, in the order of the variants."""

LEANS = (
    "Strike your own balance between how many rows you vote on and how sure each vote is.",
    "Prefer being right: abstain whenever two classes are both plausible.",
    "Prefer reach: abstain only where there is no evidence whatever.",
    "Choose vocabulary that a casual, colloquial author would use.",
    "Choose vocabulary that a careful, formal author would use.",
)
"""For texts, a second axis."""

_FOR_RECORDS = (
    "rest on the one field that tells most, and vote only where its value is clear.",
    "combine two fields that mean more together than each alone, such as a ratio, a difference or a pairing.",
    "add points for and against each class over many fields, and vote when the lead is clear.",
    "look for values that stand out: extremes, defaults, impossible or round numbers, what is missing where it should "
    "not be.",
    "read the fields that hold words: names, codes, prefixes and what is written in free text.",
    "write a few rules you would bet on, each almost never true in another class, and abstain on everything else.",
    "cover as many rows as you can: bands for every number and groups for every category, so that most get a vote.",
    "check the fields against each other: what one claims, another may contradict, and that is evidence.",
    "start from the class that is hardest to recognise, write a careful detector for it, then decide among the others.",
    "reason by elimination: collect what speaks against each class and return the only one left standing.",
)

_FOR_SCORES = (
    "compare the scores that describe different classes pairwise, and vote when the differences point one way.",
    "rest on the single description that tells the classes apart most surely, and ignore the others.",
    "average the scores of each class's descriptions and vote for the highest where its lead is clear.",
    "rank all scores of the row and decide by which descriptions stand at the top.",
    "take differences from the row's own mean score, since some rows fit every description well.",
    "write a few conditions you would bet on, each almost never true in another class, and abstain on everything else.",
    "cover as many rows as you can: vote for whichever class is ahead, however slightly.",
    "trust descriptions of the thing itself, and leave aside those that its surroundings could satisfy.",
    "start from the class that is hardest to recognise, write a careful detector for it, then decide among the others.",
    "reason by elimination: collect which descriptions fit badly and return the only class left standing.",
)

_PLAIN_LEANS = (
    *LEANS[:3],
    "Keep thresholds mild, so that ordinary rows are decided.",
    "Keep thresholds strict, so that only clear cases are decided.",
)

_BY_KIND = {
    "text": (APPROACHES, LEANS),
    "record": (_FOR_RECORDS, _PLAIN_LEANS),
    "image_scores": (_FOR_SCORES, _PLAIN_LEANS),
}


def approach(kind: str, *, variant: int) -> tuple[str, str]:
    """Return the approach and the lean of a variant, which go round in laps."""
    approaches, leans = _BY_KIND[kind]
    lap, place = divmod(variant, len(approaches))
    return approaches[place], leans[lap % len(leans)]
