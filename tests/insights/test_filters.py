"""The filter language as text and as a tree."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotrace.errors import FilterError
from autotrace.insights import fields
from autotrace.insights.filters import ALL, DEEPEST, LONGEST, And, Node, Not, Or, Term, parse, render
from autotrace.insights.terms import MOST_SEARCHES, MOST_TERMS

A, B, C = Term("status", ":", "ok"), Term("user", ":", "ann"), Term("cost", ">", "1")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", ALL),
        (" \n ", ALL),
        ("status:ok", A),
        ("((status:ok))", A),
        ("STATUS:ok", A),
        ("cost > 1", C),
        ("status:ok user:ann", And((A, B))),
        ("status:ok and user:ann", And((A, B))),
        ("status:ok user:ann OR cost>1", Or((And((A, B)), C))),
        ("status:ok (user:ann or cost>1)", And((A, Or((B, C))))),
        ("NOT status:ok user:ann", And((Not(A), B))),
        ("not (status:ok user:ann)", Not(And((A, B)))),
        ("not not status:ok", Not(Not(A))),
        ("refund", Term("text", ":", "refund")),
        ("text:refund", Term("text", ":", "refund")),
        ('"refund order"', Term("text", ":", "refund order")),
        ("refund*", Term("text", ":", "refund", after=True)),
        ('"refund*"', Term("text", ":", "refund*")),
        ('"and"', Term("text", ":", "and")),
        ('tool:"get weather"', Term("tool", ":", "get weather")),
        ('tool:"get w"*', Term("tool", ":", "get w", after=True)),
        ("name:*ask", Term("name", ":", "ask", before=True)),
        ("name:*a*k*", Term("name", ":", "a*k", before=True, after=True)),
        ("error:*", Term("error", ":", "", before=True, after=True)),
        ("name=a*", Term("name", "=", "a*")),
        (r'name:"a\"b\\c"', Term("name", ":", 'a"b\\c')),
        ("tag:plan=pro", Term("tag", ":", "plan=pro")),
        ("12:30", Term("text", ":", "12:30")),
    ],
)
def test_reads(text: str, tree: Node) -> None:
    """What is written means this tree."""
    assert parse(text) == tree
    assert parse(render(tree)) == tree


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("status:error duration>abc", 'filter, at 14: "duration>abc": give a time such as 500ms, 3s, 2m'),
        ("duration>3", 'filter, at 1: "duration>3": say in which unit, 3ms, 3s, 3m or 3h'),
        ("ttft<0.5", "say in which unit, 0.5ms, 0.5s, 0.5m or 0.5h"),
        ("duration>0x", "give a time such as"),
        ("latency>3s", "did you mean duration?"),
        ("latancy>3s", "did you mean duration?"),
        ("time>3s", "did you mean duration?"),
        ("price<1", "did you mean cost?"),
        ("thumbs:up", "did you mean feedback?"),
        ("rating>3", "did you mean feedback?"),
        ("answer:x", "did you mean text?"),
        ("Query:x", "did you mean text?"),
        ("env:production", "did you mean environment?"),
        ("servise:x", "did you mean service?"),
        (
            "feedback>3",
            "numbers that somebody gave cannot be compared; feedback is one of up, down, none",
        ),
        ("feedback:4.5", "numbers that somebody gave cannot be compared"),
        ("cost>much", 'filter, at 1: "cost>much": give an amount in US dollars such as 0.05 or $2'),
        ("tokens>1q", "give a number of tokens such as 800, 10k, 1.5M"),
        ("spans>many", "give a number such as 3"),
        ("duration>999999999999h", "more than any trace has"),
        ("modle:x", 'there is no field "modle": did you mean model?'),
        ("http://x", "put them in quotes"),
        ("name>3", "with name goes only :, =, !="),
        ("text=x", "with text goes only :"),
        ("feedback:good", "say one of up, down, none, any, comment"),
        ("cost:1*", "a figure has no * in it"),
        ("user:", "give a value"),
        ('user:""', "give a value"),
        ("text:*", "a word to search for begins with letters"),
        ("(status:ok", "filter, at 11: the parenthesis at 1 is not closed"),
        ("status:ok)", "filter, at 10: this parenthesis closes none"),
        ("()", 'a condition must follow "("'),
        ("status:ok OR", 'filter, at 13: a condition must follow "OR"'),
        ("AND status:ok", 'filter, at 1: a condition must stand before "AND"'),
        ('name:"a', "filter, at 6: this quotation mark has no second one"),
        (">3s", "name a field before it"),
        ("a " * LONGEST, "at most 2,000 characters"),
        (
            "(" * (DEEPEST + 1) + "a" + ")" * (DEEPEST + 1),
            "filter, at 51: NOT and parentheses are nested at most 50 deep",
        ),
        ("not " * (DEEPEST + 1) + "a", "at most 50 deep"),
        ("spans>1 " * (MOST_TERMS + 1), "at most 100 conditions"),
        ("a " * (MOST_SEARCHES + 1), "at most 10 texts"),
    ],
)
def test_says_what_is_wrong(text: str, message: str) -> None:
    """An error says where and what, and what would be right."""
    with pytest.raises(FilterError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert caught.value.position is not None


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("duration", "500ms", 500_000_000),
        ("duration", "0", 0),
        ("ttft", "0.00", 0),
        ("duration", "1.5s", 1_500_000_000),
        ("duration", "2 m", 120_000_000_000),
        ("ttft", "1h", 3_600_000_000_000),
        ("tokens", "10k", 10_000),
        ("tokens", "1.5M", 1_500_000),
        ("cost", "$.05", 0.05),
        ("cost", "2", 2.0),
        ("spans", "3", 3),
    ],
)
def test_figures(field: str, text: str, value: float) -> None:
    """Figures carry units, and are as they are stored."""
    assert fields.amount(field, text) == value


def test_limits_can_be_met() -> None:
    """A filter may be as deep as the limit says."""
    assert parse("(" * DEEPEST + "status:ok" + ")" * DEEPEST) == A
    assert parse(render(parse("not " * DEEPEST + "status:ok"))) == parse("not " * DEEPEST + "status:ok")


@settings(max_examples=500)
@given(
    st.one_of(st.text(), st.text(alphabet='ab:<>=!"\\*() \n\ud800ANDORnot'), st.text(alphabet='()not "', max_size=3000))
)
def test_any_text(text: str) -> None:
    """Whatever is written is a filter that can be written again, or a clear error."""
    try:
        tree = parse(text)
    except FilterError:
        return
    written = render(tree)
    if len(written) <= LONGEST:
        assert parse(written) == tree


def terms() -> st.SearchStrategy[Term]:
    """Terms of every field."""
    values = st.text(st.one_of(st.sampled_from('ab*:="\\() <>'), st.characters(exclude_categories=["Cs"])), min_size=1)
    texts = [name for name in fields.FIELDS if name not in fields.FIGURES and name not in ("text", "feedback")]
    figures = st.tuples(st.integers(0, 999), st.sampled_from(["ms", "s", "m", "h"])).map(
        lambda pair: f"{pair[0]}{pair[1]}"
    )
    return st.one_of(
        st.builds(Term, st.sampled_from(texts), st.sampled_from(["=", "!="]), values),
        st.builds(Term, st.sampled_from(texts), st.just(":"), values.filter(is_kept), st.booleans(), st.booleans()),
        st.builds(Term, st.just("text"), st.just(":"), values.filter(is_kept), st.just(False), st.booleans()),
        st.builds(Term, st.just("duration"), st.sampled_from(fields.COMPARISONS), figures),
        st.builds(Term, st.just("feedback"), st.sampled_from(fields.EQUAL), st.sampled_from(fields.VERDICTS)),
    )


def is_kept(value: str) -> bool:
    """Whether a text to search for has anything in it."""
    return bool(value.strip())


def trees() -> st.SearchStrategy[Node]:
    """Trees as they are read: no And or Or of fewer than two."""
    return st.recursive(
        terms(),
        lambda parts: st.one_of(
            st.builds(Not, parts),
            st.builds(And, st.lists(parts, min_size=2, max_size=3).map(tuple)),
            st.builds(Or, st.lists(parts, min_size=2, max_size=3).map(tuple)),
        ),
        max_leaves=8,
    )


@settings(max_examples=300)
@given(trees())
def test_written_and_read(tree: Node) -> None:
    """What a tree is written as means the same tree."""
    written = render(tree)
    if len(written) <= LONGEST:
        assert parse(written) == tree


def test_rendering_is_plain() -> None:
    """Quotation marks stand only where they must."""
    text = 'status:ok (model:gpt-4o OR tool:"get weather") NOT user:ann refund 0123'
    assert render(parse(text)) == text
