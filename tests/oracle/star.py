"""Questions of the star shape: the big table, or something made of it, joined to a few rows by keys of every type.

Whatever hands the keys of one side to the other must hand them as far as they may go and no further: not below a LIMIT,
an outer join or a window function.
"""

import random

from oracle.generator import DEPTH, Relation, Sql, Value, join
from oracle.schema import BIG, ROWS, Column
from oracle.shapes import Shapes

# Kinds beside a kind's own that it is compared with.
COMPARED = {("int", "decimal"), ("decimal", "int"), ("date", "timestamp"), ("timestamp", "date")}
JOINS = ["JOIN", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]


class Star(Shapes):
    """`share` of its questions have this shape."""

    def __init__(self, chance: random.Random, tables: dict[str, list[Column]], places: dict[str, str], share: float):
        super().__init__(chance, tables, places)
        self.share = share

    def query(self, depth: int) -> tuple[Sql, list[str]]:
        if depth == DEPTH and self.chance.random() < self.share:
            return self.star()
        return super().query(depth)

    def star(self) -> tuple[Sql, list[str]]:
        chance = self.chance
        big, few = self.big(), self.few()
        keys = self.keys(big, few)
        if chance.random() < 0.3:
            return self.half_join(big, few, keys)
        source = self.joined(big, few, keys)
        if chance.random() < 0.3:
            more = self.few()
            on = self.on(self.keys(source, more))
            source = Relation(join("{} " + chance.choice(["JOIN", "LEFT JOIN"]) + " {} ON {}", source.sql, more.sql, on),
                              source.columns + more.columns)
        # Keys of few values meet in very many rows.
        many = all(value.kind == "bool" for value, _ in keys)
        return self.answer(source, Sql.both("") if chance.random() < 0.6 else self.where(source.columns, 0), many)

    def answer(self, source: Relation, where: Sql, many: bool = False) -> tuple[Sql, list[str]]:
        return self.grouped(source, where) if many or self.chance.random() < 0.5 else self.rows(source, where)

    # The two sides.

    def big(self) -> Relation:
        """The big table itself, or a query over it that passes its keys on."""
        form = self.chance.choice([self.plain, self.plain, self.filtered, self.first, self.numbered, self.counted, self.united])
        return form(self.table(BIG))

    def few(self) -> Relation:
        table = self.table()
        return table if self.chance.random() < 0.5 else self.filtered(table)

    def plain(self, table: Relation) -> Relation:
        return table

    def picked(self, table: Relation) -> list[Value]:
        """The id and some other columns."""
        return table.columns[:1] + self.chance.sample(table.columns[1:], 6)

    def chosen(self, columns: list[Value], table: Relation, rest: Sql) -> Relation:
        return self.derived(*self.selected(columns, join("{}{}", table.sql, rest)))

    def filtered(self, table: Relation) -> Relation:
        return self.chosen(self.picked(table), table, join(" WHERE {}", self.condition(table.columns, 1)))

    def first(self, table: Relation) -> Relation:
        """Some rows of it: which ones must not depend on what is joined."""
        limit, offset = self.chance.randint(1, ROWS[BIG]), self.chance.choice([0, 0, self.chance.randint(1, ROWS[BIG])])
        rest = join(" ORDER BY {} " + self.chance.choice(["ASC", "DESC"]), table.columns[0].sql)
        skip = f" OFFSET {offset}" if offset else ""
        return self.chosen(self.picked(table), table, Sql(f"{rest.trino}{skip} LIMIT {limit}", f"{rest.postgres}{skip} LIMIT {limit}"))

    def numbered(self, table: Relation) -> Relation:
        """With numbers that count the rows which find no partner as well."""
        columns = self.picked(table)
        partition = join("PARTITION BY {} ", self.chance.choice(columns).sql) if self.chance.random() < 0.5 else Sql.both("")
        number = join("row_number() OVER ({}ORDER BY {})", partition, columns[0].sql)
        return self.chosen([*columns, Value(number, "int")], table, Sql.both(""))

    def counted(self, table: Relation) -> Relation:
        """Its groups by one or two keys."""
        source, kinds = self.groups_of(table, self.chance.sample(table.columns[1:], self.chance.randint(1, 2)))
        return self.derived(source, kinds)

    def groups_of(self, table: Relation, keys: list[Value]) -> tuple[Sql, list[str]]:
        number = table.columns[0]
        counts = [Value(Sql.both("count(*)"), "int"), Value(join("min({})", number.sql), "int"),
                  Value(join("max({})", number.sql), "int")]
        places = ", ".join(str(place + 1) for place in range(len(keys)))
        return self.selected(keys + counts, join("{}" + f" GROUP BY {places}", table.sql))

    def united(self, table: Relation) -> Relation:
        """Its rows and those of a small table."""
        picked, other = self.picked(table), self.table()
        parts = [(picked, table), ([self.column(other.columns, column.kind) for column in picked], other)]
        sides = []
        for columns, source in parts:
            sides.append(self.selected(columns, source.sql)[0])
        return self.derived(join("{} UNION ALL {}", *sides), [column.kind for column in picked])

    # Joins.

    def keys(self, left: Relation, right: Relation) -> list[tuple[Value, Value]]:
        """One to three pairs of columns; every pair of kinds is as likely as another."""
        chance = self.chance
        kinds = sorted({(a.kind, b.kind) for a in left.columns for b in right.columns
                        if a.kind == b.kind or (a.kind, b.kind) in COMPARED})
        found = []
        for _ in range(chance.choice([1, 1, 1, 2, 2, 3])):
            a, b = chance.choice(kinds)
            found.append((self.column(left.columns, a), self.column(right.columns, b)))
        return found

    def on(self, keys: list[tuple[Value, Value]]) -> Sql:
        return join(" AND ".join(["{}"] * len(keys)), *(self.matching(a, b) for a, b in keys))

    def joined(self, big: Relation, few: Relation, keys: list[tuple[Value, Value]]) -> Relation:
        chance = self.chance
        kind, on = chance.choice(JOINS), self.on(keys)
        both = big.columns + few.columns
        if kind != "FULL JOIN" and chance.random() < 0.3:
            on = join("{} AND {}", on, self.condition(both, 0))
        left, right = (big, few) if chance.random() < 0.5 else (few, big)
        return Relation(join("{} " + kind + " {} ON {}", left.sql, right.sql, on), both)

    def half_join(self, big: Relation, few: Relation, keys: list[tuple[Value, Value]]) -> tuple[Sql, list[str]]:
        """The rows of one side with, or without, a partner on the other."""
        outer, inner = big, few
        if self.chance.random() < 0.4:
            outer, inner, keys = few, big, [(b, a) for a, b in keys]
        where = join(" WHERE {}", self.among(keys, inner.sql, self.condition(inner.columns, 0)))
        return self.answer(outer, where)
