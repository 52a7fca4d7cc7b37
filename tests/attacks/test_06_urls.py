"""Attack 6: a URL that looks as if it lay below an allowed one; and passwords that a URL's own signs cut in two."""

from __future__ import annotations

import pytest

from pot_driver.config.urls import parse, without_credentials

ALLOWED = parse("http://good/images")


@pytest.mark.parametrize(
    "url",
    [
        "http://good%2F@evil/images/x",
        "http://good/images/../other",
        "http://good/images/%2e%2e/other",
        "http://good/images%2F..%2Fother",
        "http://good:80@evil/images",
        "http://good.evil/images",
        "http://good:81/images",
        "https://good/images",
        "http://good/images-of-others",
        "http://good/images//x",
    ],
)
def test_what_only_looks_allowed_is_not(url: str) -> None:
    assert not parse(url).below(ALLOWED)


@pytest.mark.parametrize("url", ["http://GOOD:80/images", "http://u:p@good/images/x", "http://good/images/a%20b"])
def test_other_spellings_of_the_same_are(url: str) -> None:
    assert parse(url).below(ALLOWED)


@pytest.mark.parametrize("secret", ["s3c/r3t", "s3c@r3t", "s3c#r3t"])
def test_a_password_with_a_sign_of_urls_is_refused_and_no_part_of_it_is_shown(secret: str) -> None:
    url = f"http://user:{secret}@good/images"

    with pytest.raises(ValueError, match=r"write / as %2F|no file name can be added") as refused:
        parse(url)
    for part in ("s3c", "r3t"):
        assert part not in str(refused.value)
        assert part not in without_credentials(url)
