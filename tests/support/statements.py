"""What PostgreSQL's log says it was asked, and the shape of a statement without its values and names."""

import re

from support.postgres import Postgres

# A server with these options writes every statement to its log, after the name of the role.
OPTIONS = {"log_statement": "all", "log_line_prefix": "[%u] "}
STATEMENT = re.compile(r"\[(\w*)\] LOG:  (?:statement|execute [^:]*): (.*)", re.DOTALL)
# As PostgreSQL reads a statement, with standard_conforming_strings on (manual, section 4.1).
TOKEN = re.compile(r"""
    (?P<text> [eE]'(?:\\.|''|[^'\\])*' | '(?:''|[^'])*' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
  | (?P<name> "(?:""|[^"])*" )
  | (?P<comment> --[^\n]* | /\* )
  | (?P<space> \s+ )
  | (?P<number> \d+ )
  | (?P<word> \w+ )
  | .
""", re.VERBOSE | re.DOTALL)
SHOWN = {"text": "'?'", "name": '"?"', "space": " ", "number": "0"}


def statements(server: Postgres, role: str, after: int = 0) -> list[str]:
    """Those that the role sent, from this byte of the log on."""
    lines: list[str] = []
    # Lines of a statement after its first one begin with a tab. Other characters that end a line to Python do not.
    for line in (server.folder / "log").read_bytes()[after:].decode().split("\n"):
        if line.startswith("\t"):
            lines[-1] += "\n" + line[1:]
        else:
            lines.append(line)
    found = (STATEMENT.fullmatch(line) for line in lines)
    return [match.group(2) for match in found if match and match.group(1) == role]


def log_bytes(server: Postgres) -> int:
    return (server.folder / "log").stat().st_size


def shape(statement: str) -> str:
    """The statement with `'?'` for each text, `"?"` for each name and 0 for each number."""
    return "".join(SHOWN.get(token.lastgroup if token.lastgroup != "tag" else "text", token.group())
                   for token in TOKEN.finditer(statement))
