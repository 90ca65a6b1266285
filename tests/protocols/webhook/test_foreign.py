import pytest

from labcore.protocols.webhook import SignatureError, verify_github, verify_stripe

# GitHub's documentation gives these values to test an implementation with.
GITHUB_SECRET = b"It's a Secret to Everybody"
GITHUB_BODY = b"Hello, World!"
GITHUB = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

STRIPE_SECRET, NOW_S = b"whsec_test", 1_700_000_000
STRIPE_BODY = b"{}"


def stripe(at_s: int = NOW_S, secret: bytes = STRIPE_SECRET) -> str:
    import hashlib
    import hmac

    signed = f"{at_s}.".encode() + STRIPE_BODY
    return f"t={at_s},v1={hmac.new(secret, signed, hashlib.sha256).hexdigest()},v0=legacy"


def test_github_s_own_example_verifies():
    verify_github({"X-Hub-Signature-256": GITHUB}, GITHUB_BODY, secrets=[b"old", GITHUB_SECRET])


@pytest.mark.parametrize(
    "value", ["", "sha1=" + GITHUB[7:], GITHUB[:-1], GITHUB.upper(), GITHUB[7:], "sha256="]
)
def test_other_github_signatures_are_refused(value: str):
    with pytest.raises(SignatureError):
        verify_github({"X-Hub-Signature-256": value}, GITHUB_BODY, secrets=[GITHUB_SECRET])


def test_a_missing_header_is_named():
    with pytest.raises(SignatureError, match="x-hub-signature-256"):
        verify_github({}, GITHUB_BODY, secrets=[GITHUB_SECRET])


def test_stripe_s_scheme_verifies_and_gives_its_time():
    headers = {"stripe-signature": stripe()}
    found = verify_stripe(headers, STRIPE_BODY, secrets=[STRIPE_SECRET], now_s=NOW_S + 100)
    assert found == NOW_S


@pytest.mark.parametrize(
    "value",
    [
        stripe(NOW_S - 301),
        stripe(NOW_S + 301),
        stripe(secret=b"other"),
        stripe().replace("v1=", "v0="),
        stripe().replace("t=", "time="),
        stripe().replace(str(NOW_S), str(NOW_S + 1)),
        stripe() + f",t={NOW_S}",
        "",
    ],
)
def test_other_stripe_signatures_are_refused(value: str):
    with pytest.raises(SignatureError):
        verify_stripe(
            {"Stripe-Signature": value}, STRIPE_BODY, secrets=[STRIPE_SECRET], now_s=NOW_S
        )
