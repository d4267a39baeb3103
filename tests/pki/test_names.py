"""Names are tuples: one text for one name, and nobody's name can be made to look like another's."""

import unicodedata
from itertools import product

import pytest
from cryptography import x509
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from jobmon_pki import names
from jobmon_pki.names import COMMON_NAME, DOMAIN_COMPONENT, ORGANIZATIONAL_UNIT, DistinguishedNameError

ALICE = names.parse("/DC=org/DC=example/O=Example/OU=People/CN=alice")


visible = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=6)
# Words with single spaces between them; composing may make a text shorter, never empty.
values = st.lists(visible, min_size=1, max_size=2).map(lambda words: unicodedata.normalize("NFC", " ".join(words)))
plain_names = st.lists(
    st.tuples(st.sampled_from([ORGANIZATIONAL_UNIT, COMMON_NAME, "2.5.4.10", "2.5.4.7"]), values),
    min_size=1,
    max_size=6,
).map(tuple)
wild_names = st.lists(
    st.tuples(st.sampled_from([COMMON_NAME, "2.5.4.10", "1.2.3"]), st.text("/\\=,+CNu0 \n\x1b\u202ealice\U000e0001")),
    min_size=1,
    max_size=4,
).map(tuple)


@given(plain_names)
def test_a_name_is_read_back_from_its_text(name: names.Name) -> None:
    assert names.parse(names.display(name)) == name


@given(plain_names)
def test_a_name_is_read_back_from_its_der(name: names.Name) -> None:
    assert names.from_x509(names.to_x509(name)) == name


@given(plain_names)
def test_a_name_is_read_back_from_json(name: names.Name) -> None:
    assert names.from_document(names.to_document(name)) == name


@given(wild_names)
def test_the_text_of_any_name_is_printable_and_stands_for_that_name_alone(name: names.Name) -> None:
    text = names.display(name)

    assert all(c == " " or unicodedata.category(c)[0] not in "CZ" for c in text)
    assert names.read_display(text) == name


@given(plain_names, plain_names)
def test_owning_means_equal_rdns_and_one_cn_more(owner: names.Name, job: names.Name) -> None:
    if names.owns(owner, job):
        assert job[:-1] == owner
        assert len(job) == len(owner) + 1
        assert job[-1][0] == COMMON_NAME


@given(plain_names, values, values)
def test_an_owner_owns_what_is_named_below_her(base: names.Name, person: str, job: str) -> None:
    owner = base + ((COMMON_NAME, person),)

    assert names.owns(owner, owner + ((COMMON_NAME, job),))
    assert not names.owns(owner, owner)
    assert not names.owns(owner, owner + ((COMMON_NAME, job), (COMMON_NAME, job)))
    assert not names.owns(owner, owner + ((ORGANIZATIONAL_UNIT, job),))


def test_of_two_hundred_people_each_owns_her_own_jobs_alone() -> None:
    stems = [
        "alice",
        "alice2",
        "Alice",
        "alic",
        "alice/CN=job",
        "al ice",
        "alice,CN=job",
        "alice+CN=job",
        "bob",
        "élan",
    ]
    people = [ALICE[:-1] + ((COMMON_NAME, f"{stem}{number}"),) for stem in stems for number in range(20)]
    jobs = [(person, person + ((COMMON_NAME, "job"),)) for person in people]

    owned = [(owner, real) for owner, (real, job) in product(people, jobs) if names.owns(owner, job)]

    assert owned == [(person, person) for person in people]


def test_a_unit_owns_nobody() -> None:
    assert not names.owns(ALICE[:-1], ALICE)
    assert not names.owns((), ALICE[:1])


@pytest.mark.parametrize(
    "value",
    [
        "",
        " alice",
        "alice ",
        "al  ice",
        "alice\n",
        "alice\x00",
        "al\x1b[2Jice",
        "alice\x7f",
        "alice\x9b",
        "al\u200bice",  # zero width space
        "al\u202eice",  # right to left override
        "al\u00a0ice",  # no-break space
        "al\u2028ice",  # line separator
        "\ue000",  # private use
        "\ud800",  # lone surrogate
        "e\u0301lan",  # NFD
        "\u212bngstrom",  # the sign, whose NFC is the letter
        "a" * 65,
        "\U000e0041",  # tag character
    ],
)
def test_a_value_that_could_pass_for_another_is_refused(value: str) -> None:
    with pytest.raises(DistinguishedNameError):
        names.check_name(ALICE[:-1] + ((COMMON_NAME, value),))


@pytest.mark.parametrize("value", ["alice", "Alice Liddell", "élan", "a" * 64, "O'Neill", "a/b=c,d+e", "名前", "🙂"])
def test_a_value_that_can_be_seen_is_accepted(value: str) -> None:
    name = ALICE[:-1] + ((COMMON_NAME, value),)

    assert names.parse(names.display(name)) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "alice",
        "CN=alice",
        "/CN",
        "/CN=",
        "/cn=alice",
        "/XX=alice",
        "/2.5.4.3=alice",  # the label is the canonical way to write it
        "/CN=a\\x",
        "/CN=a\\u0061",  # an escape where none is needed: a second text for one name
        "/CN=a\\",
        "/CN=\\Uffffffff",
        "/CN=alice/",
        "CN=alice,O=Example",
        "/C=de",
        "/C=GER",
        "/DC=exämple",
        "/CN=a" * 17,
    ],
)
def test_a_text_that_display_would_not_write_is_no_name(text: str) -> None:
    with pytest.raises(DistinguishedNameError):
        names.parse(text)


def test_a_slash_in_a_value_is_not_a_second_rdn() -> None:
    one = ((COMMON_NAME, "alice/CN=job1"),)
    two = ((COMMON_NAME, "alice"), (COMMON_NAME, "job1"))

    assert names.display(one) == "/CN=alice\\/CN=job1"
    assert names.display(two) == "/CN=alice/CN=job1"


def test_a_name_with_two_attributes_in_one_rdn_is_refused() -> None:
    pair = [x509.NameAttribute(NameOID.COMMON_NAME, "alice"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "x")]

    with pytest.raises(DistinguishedNameError, match="more than one attribute"):
        names.from_x509(x509.Name([x509.RelativeDistinguishedName(pair)]))


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(DistinguishedNameError, match="empty"):
        names.from_x509(x509.Name([]))


@pytest.mark.parametrize("kind", [_ASN1Type.PrintableString, _ASN1Type.BMPString, _ASN1Type.IA5String])
def test_a_name_in_another_string_type_is_not_the_same_name(kind: _ASN1Type) -> None:
    foreign = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "alice", kind)])

    with pytest.raises(DistinguishedNameError, match="not encoded"):
        names.from_x509(foreign)


def test_a_type_of_attribute_that_is_not_ours_is_refused() -> None:
    with pytest.raises(DistinguishedNameError, match=r"0\.9\.2342\.19200300\.100\.1\.1"):
        names.from_x509(x509.Name([x509.NameAttribute(NameOID.USER_ID, "alice")]))


def test_a_domain_component_is_ia5_and_the_rest_utf8() -> None:
    written = names.to_x509(((DOMAIN_COMPONENT, "org"), (COMMON_NAME, "alice"))).public_bytes()

    assert b"\x16\x03org" in written
    assert b"\x0c\x05alice" in written


@pytest.mark.parametrize("document", [None, "x", {}, [[]], [["2.5.4.3"]], [["2.5.4.3", 1]], [[["2.5.4.3"], "a"]], []])
def test_a_document_that_is_no_list_of_pairs_is_refused(document: object) -> None:
    with pytest.raises(DistinguishedNameError):
        names.from_document(document)


def test_the_common_name_is_the_last_one() -> None:
    assert names.common_name(ALICE) == "alice"
    assert names.common_name(ALICE + ((COMMON_NAME, "job1"),)) == "job1"
    with pytest.raises(DistinguishedNameError):
        names.common_name(ALICE[:-1])


def test_what_is_made_visible_twice_is_as_after_once() -> None:
    once = names.visible("a/b\\c \x1b[2J\u202e é")

    assert once == "a/b\\c \\u001b[2J\\u202e é"
    assert names.visible(once) == once
