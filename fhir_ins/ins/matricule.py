"""The matricule INS: a NIR or a NIA of 13 characters with its key of 2 digits.

Source: référentiel INS (15 characters, key included); décret 82-103 art. 4 and INSEE for the key,
97 - (n mod 97), where Corsica's 2A is read as 19 and 2B as 18.
"""

import re
from dataclasses import dataclass

from fhir_ins.ins.malformed import Malformed

# Sex or register, year, month (INSEE gives 20 and above to incomplete civil status), department, commune, rank.
_NUMBER = re.compile(r"[1-478]\d{2}\d{2}(?:\d{2}|2[AB])\d{3}\d{3}", re.ASCII)
_KEY = re.compile(r"\d{2}", re.ASCII)
_CORSICA = {"2A": "19", "2B": "18"}


@dataclass(frozen=True, slots=True)
class Matricule:
    """A matricule as its holder gave it: `parse` refuses a bad form, the constructor takes INSi's own as it is."""

    number: str
    key: str

    @classmethod
    def parse(cls, text: str) -> "Matricule | Malformed":
        """Read 15 characters without separators; the key is not checked here (see `key_is_right`)."""
        number, key = text[:13], text[13:]
        if len(text) != 15:
            return Malformed(f"A matricule INS has 15 characters, key included; {len(text)} were given.")
        if not _NUMBER.fullmatch(number) or not _KEY.fullmatch(key):
            return Malformed(
                "A matricule INS is 13 characters (digits, or 2A and 2B for Corsica) and a key of 2 digits."
            )
        return cls(number, key)

    @property
    def expected_key(self) -> str | None:
        """The key its number calls for, or None when the number has no matricule's form."""
        if not _NUMBER.fullmatch(self.number):
            return None
        department = self.number[5:7]
        digits = self.number[:5] + _CORSICA.get(department, department) + self.number[7:]
        return f"{97 - int(digits) % 97:02d}"

    @property
    def bare(self) -> str:
        """The 13 characters that say whose it is, however they are written; INSi is known to send wrong keys."""
        return self.number.upper()

    @property
    def key_is_right(self) -> bool:
        return self.key == self.expected_key

    @property
    def masked(self) -> str:
        """The form errors and logs may carry: the last five characters only."""
        return "…" + str(self)[-5:]

    def __str__(self) -> str:
        return self.number + self.key

    def __repr__(self) -> str:
        return f"Matricule({self.masked})"
