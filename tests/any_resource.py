"""Resources of any type for hypothesis: every element the definitions know may come, in any number and order."""

from functools import cache

from hypothesis import strategies as st

from fhir_ins.fhir.json import Number
from fhir_ins.fhir.structure import definitions, elements_of, resource_types

DIVS = [
    '<div xmlns="http://www.w3.org/1999/xhtml">é &lt; &#233; &amp;</div>',
    "<div lang='fr' xmlns='http://www.w3.org/1999/xhtml'>\r\n\t<p>a<br/>b<br></br></p><!-- c --><![CDATA[<]]></div >",
    '<div xmlns="http://www.w3.org/1999/xhtml" xml:lang="fr" title=">"/>',
    '<div xmlns="http://www.w3.org/1999/xhtml" xmlns:h="http://www.w3.org/1999/xhtml"><div>\u2028<div/></div></div>',
]
TEXTS = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff", include_characters="\t\n\r")
)
DECIMALS = st.from_regex(
    r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,9}([eE][+-]?[0-9]{1,3})?|[eE][+-]?[0-9]{1,3})", fullmatch=True
)
INTEGERS = st.integers(-(2**31), 2**31 - 1)
TYPES = sorted(resource_types())
VALUES = {
    "boolean": st.booleans(),
    "decimal": DECIMALS.map(Number) | INTEGERS,
    "integer": INTEGERS,
    "positiveInt": INTEGERS,
    "unsignedInt": INTEGERS,
    "xhtml": st.sampled_from(DIVS),
}


@st.composite
def resources(draw, depth=3):
    return draw(objects(draw(st.sampled_from(TYPES)), "", depth))


@st.composite
def objects(draw, type_, path, depth):
    """The object of a type, or of the backbone element at `path` of it."""
    made = {}
    if not path and type_ in resource_types():
        made["resourceType"] = type_
    children = children_of(type_, path)
    for leaf in draw(st.lists(st.sampled_from(list(children)), min_size=not made, max_size=4, unique=True)):
        draw_element(draw, made, type_, f"{path}.{leaf}".lstrip("."), children[leaf], depth)
    if not made.keys() - {"id"}:
        made["extension"] = [{"url": "http://example.org/e", "valueCode": "a"}]
    return made


def draw_element(draw, made, type_, path, element, depth):
    name = path.rpartition(".")[2]
    named = draw(st.sampled_from(element.get("types", ["content"])))
    if name.endswith("[x]"):
        datatype = definitions()["types"].get(named, {})
        suffix = datatype["base"] if datatype.get("profile") else named
        name = name.removesuffix("[x]") + suffix[0].upper() + suffix[1:]
    repeats = element.get("max") == "*"
    if named.startswith("@"):
        made[name] = draw(TEXTS)
    elif named in definitions()["primitives"]:
        draw_primitive(draw, made, name, VALUES.get(named, TEXTS), repeats, attached=named != "xhtml")
    elif depth:
        one = objects_for(type_, path, named, element, depth - 1)
        made[name] = draw(st.lists(one, min_size=1, max_size=3) if repeats else one)


def objects_for(type_, path, named, element, depth):
    if named == "Resource":
        return resources(depth)
    if named == "content":
        return objects(type_, element["content"], depth)
    return objects(type_, path, depth) if named in ("BackboneElement", "Element") else objects(named, "", depth)


def draw_primitive(draw, made, name, values, repeats, attached):
    one = st.tuples(values, st.none())
    if attached:
        one |= st.tuples(values | st.none(), INSIDES)
    pairs = draw(st.lists(one, min_size=1, max_size=4 if repeats else 1))
    for key, several in zip((name, "_" + name), zip(*pairs, strict=True), strict=True):
        if any(value is not None for value in several):
            made[key] = list(several) if repeats else several[0]


INSIDES = st.sampled_from([{"id": "a"}, {"id": "b", "extension": [{"url": "http://example.org/e", "valueCode": "a"}]}])


@cache
def children_of(type_, path):
    """The elements directly inside a type or backbone element, inherited ones too, but those that may not come."""
    elements = elements_of(type_)
    within = path + "." if path else ""
    own = {
        p.removeprefix(within): e for p, e in elements.items() if p.startswith(within) and "." not in p[len(within) :]
    }
    inherited = elements_of(elements[path]["types"][0]) if path else {}
    return {leaf: element for leaf, element in (inherited | own).items() if element.get("max") != "0"}
