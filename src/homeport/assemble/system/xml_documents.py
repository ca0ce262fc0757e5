"""XML that packages ship, read by expat: no entities of its own, no defaults of its DTD.

As libxml2 and GLib read it: they know the attributes that stand in the document alone.
"""

from __future__ import annotations

from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat


def read_xml(data: bytes) -> Element:
    """The root of a document. Raises ``ValueError`` for what is not well-formed."""
    builder = TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.specified_attributes = True
    parser.buffer_text = True
    parser.EntityDeclHandler = _refuse
    parser.StartElementHandler = lambda name, attributes: builder.start(
        _name(name), {_name(key): value for key, value in attributes.items()}
    )
    parser.EndElementHandler = lambda name: builder.end(_name(name))
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, LookupError) as error:
        raise ValueError(str(error)) from error
    return builder.close()


def _name(name: str) -> str:
    """A name as ElementTree writes it: {namespace}local."""
    return f"{{{name}" if "}" in name else name


def _refuse(name: str, *_: object) -> None:
    raise ValueError(f"the document declares the entity {name!r}")
