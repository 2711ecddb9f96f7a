"""What browsers are told of every answer: to do nothing with it but hand it to the page that asked.

Source: OWASP, « REST Security Cheat Sheet », security headers; RFC 6797 (HSTS). A page of ours has a policy of its own.
"""

SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_POLICY = b"content-security-policy"
_BUT_POLICY = SECURITY_HEADERS[:-1]
_STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")

Headers = list[tuple[bytes, bytes]]


def secure(headers: Headers, scheme: str) -> None:
    """Add them to the headers of an answer; HSTS where the request came by TLS (`scheme` https)."""
    headers += _BUT_POLICY if any(name == _POLICY for name, _ in headers) else SECURITY_HEADERS
    if scheme == "https":
        headers.append(_STRICT_TRANSPORT)
