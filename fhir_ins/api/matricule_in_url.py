"""Matricules kept out of URLs, which proxies and browsers write down: by setting, one is searched for by POST only."""

from urllib.parse import unquote_plus

from starlette.requests import Request

from fhir_ins.api.context import context_of
from fhir_ins.api.responses import ENTRY
from fhir_ins.fhir.outcome import Forbidden
from fhir_ins.ins.matricule import Matricule
from fhir_ins.ins.oid import ins_oid

_BETWEEN = str.maketrans(dict.fromkeys("=&,|$\\@:/;", " "))


def require_no_matricule_in_url(request: Request) -> None:
    """Raises Forbidden for a query that names an INS by its OID, or has a number of 15 characters with its right key.

    An entry of a Bundle has its URL in a body.
    """
    query = request.scope["query_string"]
    if not query or ENTRY in request.scope or not context_of(request).settings.ins_search_by_post:
        return
    words = unquote_plus(query.decode("latin-1"), errors="replace").translate(_BETWEEN).split()
    if any(_is_ins(word) for word in words):
        raise Forbidden(
            "An INS is searched for by POST only: send the parameters as a form to [base]/Patient/_search, so that no "
            "log of URLs keeps it."
        )


def _is_ins(word: str) -> bool:
    matricule = Matricule.parse(word.upper())
    return ins_oid(word) is not None or (isinstance(matricule, Matricule) and matricule.key_is_right)
