"""Questions, each printed twice: in Trino's words for meesh, and in PostgreSQL's, meaning the same.

What means something else in PostgreSQL is spelled out there: texts are compared under COLLATE "C", floats without
its rule for NaN, sums and averages are cast to Trino's types.
"""

import random
from dataclasses import dataclass

from oracle.schema import BIG, KINDS, Column, literal


@dataclass(frozen=True)
class Sql:
    """The same thing twice."""

    trino: str
    postgres: str

    @staticmethod
    def both(text: str) -> "Sql":
        return Sql(text, text)


@dataclass(frozen=True)
class Value:
    sql: Sql
    kind: str


def join(pattern: str, *parts: Sql) -> Sql:
    """`pattern` with each `{}` replaced, in both."""
    return Sql(pattern.format(*(part.trino for part in parts)), pattern.format(*(part.postgres for part in parts)))


@dataclass(frozen=True)
class Relation:
    sql: Sql
    columns: list[Value]


# How deep the queries of a question are nested.
DEPTH = 2
# Values of floats that Trino has functions for.
FLOATS = {"NaN": "nan()", "Infinity": "infinity()", "-Infinity": "(-infinity())"}


class Generator:
    """`places` says where meesh finds each table: `{"t0": "pg.public.t0", …}`."""

    def __init__(self, chance: random.Random, tables: dict[str, list[Column]], places: dict[str, str]):
        self.chance, self.tables, self.places = chance, tables, places
        self.aliases = 0

    # Expressions.

    def constant(self, kind: str) -> Value:
        chance = self.chance
        if chance.random() < 0.04:
            names = {"int": "integer", "decimal": "decimal(12,2)", "float": "double", "text": "varchar", "date": "date",
                     "timestamp": "timestamp(6)", "bool": "boolean"}
            if kind in names:
                theirs = {"double": "double precision", "timestamp(6)": "timestamp", "decimal(12,2)": "numeric",
                          "varchar": "text"}.get(names[kind], names[kind])
                return Value(Sql(f"CAST(NULL AS {names[kind]})", f"NULL::{theirs}"), kind)
        value = chance.choice([value for value in KINDS[kind] if value != "12000-06-01"])
        quoted = "'" + value.replace("'", "''") + "'"
        match kind:
            case "int":
                return Value(Sql(f"({value})", f"({value})"), kind)
            case "decimal":
                value = value if "." in value else value + ".0"
                return Value(Sql(f"({value})", f"({value}::numeric)"), kind)
            case "float":
                return Value(Sql(FLOATS.get(value, f"DOUBLE '{value}'"), f"'{value}'::double precision"), kind)
            case "text":
                return Value(Sql(quoted, f"{literal(value)}::text"), kind)
            case "date":
                return Value(Sql(f"DATE '{value}'", f"'{value}'::date"), kind)
            case "timestamp":
                return Value(Sql(f"CAST('{value}' AS timestamp(6))", f"'{value}'::timestamp"), kind)
            case "instant":
                return Value(Sql(f"CAST('{value}' AS timestamp(6) with time zone)", f"'{value}'::timestamptz"), kind)
            case "bool":
                return Value(Sql.both(value), kind)
            case "uuid":
                return Value(Sql(f"'{value}'", f"'{value}'::uuid"), kind)
            case _:
                return Value(Sql(f"X'{value[2:]}'", f"'{value}'::bytea"), kind)

    def column(self, columns: list[Value], kind: str) -> Value | None:
        fitting = [column for column in columns if column.kind == kind]
        return self.chance.choice(fitting) if fitting else None

    def value(self, columns: list[Value], kind: str, depth: int = 2) -> Value:
        chance = self.chance
        plain = self.column(columns, kind)
        if depth == 0 or chance.random() < 0.55:
            return plain if plain and chance.random() < 0.85 else self.constant(kind)
        part = lambda of=kind: self.value(columns, of, depth - 1).sql
        form = chance.randrange(4)
        if form == 0:
            return Value(join("CASE WHEN {} THEN {} ELSE {} END", self.condition(columns, depth - 1), part(), part()), kind) \
                if kind != "uuid" else self.constant(kind)
        if form == 1 and kind not in ("uuid", "bytes"):
            return Value(join("coalesce({}, {})", part(), part()), kind)
        match kind:
            case "int":
                if form == 2 and (moment := self.column(columns, "date")):
                    unit = chance.choice(["year", "month", "day", "quarter"])
                    theirs = f"extract({unit} FROM {moment.sql.postgres})"
                    if unit == "year":
                        # PostgreSQL has no year 0.
                        theirs = f"({theirs} + (({moment.sql.postgres}) < '0001-01-01')::int)"
                    return Value(Sql(f"extract({unit} FROM {moment.sql.trino})", f"{theirs}::bigint"), kind)
                return Value(join("(CAST({} AS bigint) " + chance.choice("+-*") + " {})", part(), self.constant(kind).sql), kind)
            case "decimal":
                if form == 2:
                    a, digits = part(), chance.randint(0, 1)
                    return Value(Sql(f"CAST({a.trino} AS decimal(30,{digits}))", f"round(({a.postgres})::numeric, {digits})"), kind)
                return Value(join("({} " + chance.choice("+-") + " {})", part(), part()), kind)
            case "date":
                days = chance.choice(["1' day", "1' month", "-3' day", "11' month"])
                column = self.column(columns, kind)
                if column:
                    return Value(Sql(f"({column.sql.trino} + INTERVAL '{days})",
                                     f"({column.sql.postgres} + INTERVAL '{days.replace(chr(39), '')}')::date"), kind)
        return plain or self.constant(kind)

    def compared(self, op: str, left: Value, right: Value) -> Sql:
        a, b = left.sql, right.sql
        trino = f"{a.trino} {op} {b.trino}"
        match left.kind:
            case "text":
                return Sql(trino, f'({a.postgres})::text COLLATE "C" {op} ({b.postgres})::text COLLATE "C"')
            case "float":
                nan = "TRUE" if op == "<>" else "FALSE"
                return Sql(trino, f"CASE WHEN {a.postgres} IS NULL OR {b.postgres} IS NULL THEN NULL "
                                  f"WHEN 'NaN' IN ({a.postgres}, {b.postgres}) THEN {nan} "
                                  f"ELSE {a.postgres} {op} {b.postgres} END")
            case "uuid":
                return Sql(trino, f"({a.postgres})::text COLLATE \"C\" {op} ({b.postgres})::text COLLATE \"C\"")
            case _:
                return Sql(trino, f"{a.postgres} {op} {b.postgres}")

    def condition(self, columns: list[Value], depth: int = 2) -> Sql:
        chance = self.chance
        if depth > 0 and chance.random() < 0.4:
            a, b = self.condition(columns, depth - 1), self.condition(columns, depth - 1)
            return join(chance.choice(["({} AND {})", "({} OR {})", "NOT ({} OR {})"]), a, b)
        kind = chance.choice([column.kind for column in columns])
        value = self.value(columns, kind, depth)
        match chance.randrange(8):
            case 0:
                return join("({} IS " + chance.choice(["", "NOT "]) + "NULL)", value.sql)
            case 1 if kind in ("int", "date", "decimal"):
                return join("({} BETWEEN {} AND {})", value.sql, self.constant(kind).sql, self.constant(kind).sql)
            case 2 if kind in ("int", "date", "decimal", "text"):
                items = [self.constant(kind).sql for _ in range(chance.randint(1, 4))]
                left = Sql(value.sql.trino, f'({value.sql.postgres})::text COLLATE "C"') if kind == "text" else value.sql
                return join("({} " + chance.choice(["", "NOT "]) + "IN (" + ", ".join(["{}"] * len(items)) + "))", left, *items)
            case 3 if kind == "text":
                pattern = chance.choice(["a%", "%a", "_", "%", "a\\_b", "%é%", "", "Z%"])
                word = chance.choice(["LIKE", "NOT LIKE"])
                escape = " ESCAPE '\\'"
                return Sql(f"({value.sql.trino} {word} '{pattern}'{escape})",
                           f"(({value.sql.postgres})::text COLLATE \"C\" {word} {literal(pattern)} ESCAPE E'\\\\')")
            case 4 if kind not in ("text", "uuid"):
                return join("({} IS DISTINCT FROM {})", value.sql, self.value(columns, kind, depth - 1 if depth else 0).sql)
        other = self.value(columns, kind, depth - 1 if depth else 0)
        op = chance.choice(["=", "<>", "<", "<=", ">", ">="])
        return join("({})", self.compared(op, value, other))

    # Relations.

    def table(self, name: str | None = None) -> Relation:
        """The named table, or one of the small ones."""
        name = name or self.chance.choice([table for table in self.tables if table != BIG])
        self.aliases += 1
        alias = f"a{self.aliases}"
        # To meesh every text is one, of one order; PostgreSQL tells char(n), enums and collations apart.
        cast = {"text": '(({})::text COLLATE "C")'}
        columns = []
        for column in self.tables[name]:
            written = f'{alias}."{column.name}"'
            columns.append(Value(Sql(written, cast.get(column.kind, "{}").format(written)), column.kind))
        return Relation(Sql(f"{self.places[name]} {alias}", f"public.{name} {alias}"), columns)

    def relation(self, depth: int) -> Relation:
        chance = self.chance
        if depth == 0 or chance.random() < 0.4:
            return self.table()
        if chance.random() < 0.35:
            return self.derived(*self.query(depth - 1))
        left, right = self.relation(depth - 1), self.table()
        kind = chance.choice(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "CROSS JOIN"])
        both = left.columns + right.columns
        if kind == "CROSS JOIN":
            return Relation(join("{} CROSS JOIN {}", left.sql, right.sql), both)
        on = self.equality(left.columns, right.columns)
        if kind != "FULL JOIN" and chance.random() < 0.4:
            on = join("{} AND {}", on, self.condition(both, 1))
        return Relation(join("{} " + kind + " {} ON {}", left.sql, right.sql, on), both)

    def equality(self, left: list[Value], right: list[Value]) -> Sql:
        kinds = {column.kind for column in left} & {column.kind for column in right}
        kind = self.chance.choice(sorted(kinds)) if kinds else None
        if kind is None:
            return Sql.both("1 = 1")
        return self.matching(self.column(left, kind), self.column(right, kind))

    def matching(self, left: Value, right: Value) -> Sql:
        """Equality as the key of a join: in a form by which PostgreSQL can hash, as it must for a full join."""
        if left.kind != "float":
            return self.compared("=", left, right)
        a, b = (f"nullif(({value.sql.postgres})::double precision, 'NaN')" for value in (left, right))
        return Sql(f"{left.sql.trino} = {right.sql.trino}", f"{a} = {b}")

    def derived(self, query: Sql, kinds: list[str]) -> Relation:
        """A query in parentheses."""
        self.aliases += 1
        alias = f"a{self.aliases}"
        names = [f"x{number}" for number in range(len(kinds))]
        columns = [Value(Sql.both(f"{alias}.{name}"), kind) for name, kind in zip(names, kinds)]
        return Relation(join("({}) AS " + f"{alias}({', '.join(names)})", query), columns)

    # Queries.

    def output(self, value: Value) -> Sql:
        """A value as it leaves the query: in a type that both sides have."""
        casts = {"int": ("CAST({} AS bigint)", "({})::bigint"), "float": ("CAST({} AS double)", "({})::double precision"),
                 "decimal": ("CAST({} AS decimal(38,5))", "({})::numeric(38,5)"), "text": ("{}", "({})::text"),
                 "uuid": ("{}", "({})::text")}
        ours, theirs = casts.get(value.kind, ("{}", "{}"))
        return Sql(ours.format(value.sql.trino), theirs.format(value.sql.postgres))

    def ordered(self, value: Value) -> Sql:
        """A value as both order it."""
        return Sql(value.sql.trino, value.sql.postgres + (' COLLATE "C"' if value.kind == "text" else ""))

    def selected(self, values: list[Value], source: Sql, word: str = "") -> tuple[Sql, list[str]]:
        """A SELECT of these values from `source`, with all that follows it."""
        items = [self.output(value) for value in values]
        query = join(f"SELECT {word}" + ", ".join(["{}"] * len(items)) + " FROM {}", *items, source)
        return query, [value.kind for value in values]

    def query(self, depth: int) -> tuple[Sql, list[str]]:
        chance = self.chance
        if depth > 0 and chance.random() < 0.2:
            return self.set_operation(depth)
        source = self.relation(depth)
        where = self.where(source.columns, depth)
        return self.grouped(source, where) if chance.random() < 0.45 else self.rows(source, where)

    def rows(self, source: Relation, where: Sql) -> tuple[Sql, list[str]]:
        """A SELECT without aggregates."""
        chance = self.chance
        values = [self.value(source.columns, chance.choice(source.columns).kind) for _ in range(chance.randint(1, 4))]
        if chance.random() < 0.2:
            values.append(self.window(source.columns))
        elif chance.random() < 0.1:
            values.append(Value(self.subquery(source.columns, floats=False), "bool"))
        distinct = "DISTINCT " if chance.random() < 0.2 else ""
        return self.selected(values, join("{}{}", source.sql, where), distinct)

    def window(self, columns: list[Value]) -> Value:
        """A window function whose value rows that tie do not change."""
        chance = self.chance
        fitting = [column for column in columns if column.kind in ("int", "date", "decimal", "text")]
        if not fitting:
            return Value(Sql.both("count(*) OVER ()"), "int")
        key = chance.choice(fitting + [column for column in columns if column.kind == "float"])
        order = chance.choice(fitting)
        partition = join("PARTITION BY {}", self.ordered(key)) if chance.random() < 0.6 else Sql.both("")
        by = join(" ORDER BY {} " + chance.choice(["ASC NULLS LAST", "DESC NULLS LAST", "ASC NULLS FIRST"]), self.ordered(order))
        match chance.randrange(4):
            case 0:
                return Value(join(chance.choice(["rank", "dense_rank"]) + "() OVER ({}{})", partition, by), "int")
            case 1:
                return Value(join("count(*) OVER ({})", partition), "int")
            case 2 if number := self.column(columns, "int"):
                over = join("({}{})", partition, by)
                return Value(Sql(f"sum({number.sql.trino}) OVER {over.trino}",
                                 f"(sum({number.sql.postgres}) OVER {over.postgres})::bigint"), "int")
        moment = self.column(columns, "date") or self.column(columns, "int") or order
        name = chance.choice(["min", "max"])
        return Value(join(name + "({}) OVER ({}{})", self.ordered(moment), partition, by), moment.kind)

    def where(self, columns: list[Value], depth: int) -> Sql:
        chance = self.chance
        if chance.random() < 0.3:
            return Sql.both("")
        conditions = [self.condition(columns)]
        if depth > 0 and chance.random() < 0.3:
            conditions.append(self.subquery(columns) if chance.random() < 0.6 else self.among_others(columns))
        return join(" WHERE " + " AND ".join(["{}"] * len(conditions)), *conditions)

    def among_others(self, columns: list[Value]) -> Sql:
        """A subquery's answer as a part of a condition, where it counts whether it is false or NULL."""
        answer, other = self.subquery(columns, floats=False), self.condition(columns, 1)
        shape = self.chance.choice(["NOT ({} OR {})", "({} OR {})", "coalesce({}, {})", "(({}) IS NULL OR {})",
                                    "CASE WHEN {} THEN {} ELSE 1 = 1 END", "NOT ({} AND {})", "(({}) = ({}))"])
        return join(shape, answer, other)

    def subquery(self, columns: list[Value], floats: bool = True) -> Sql:
        """A condition on the rows of a subquery; without `floats` it is NULL where PostgreSQL's is."""
        chance = self.chance
        inner = self.table()
        if chance.random() < 0.25 and (number := self.column(columns, "int")):
            of = self.column(inner.columns, "int")
            single = join("(SELECT " + chance.choice(["max", "min"]) + "({}) FROM {} WHERE {})", of.sql, inner.sql,
                          self.condition(inner.columns, 1))
            return join("{} " + chance.choice(["<", "=", ">="]) + " {}", number.sql, single)
        kind = chance.choice(["int", "text", "date", "float"] if floats else ["int", "text", "date"])
        value, item = self.column(columns, kind), self.column(inner.columns, kind)
        if value is None or item is None:
            return Sql.both("1 = 1")
        if kind == "int" and chance.random() < 0.3:
            value = Value(join("nullif({}, " + str(chance.randint(-2, 4)) + ")", value.sql), "int")
        if kind != "float" and chance.random() < 0.4:
            return self.correlated(columns, (value, item), inner)
        return self.among([(value, item)], inner.sql, self.condition(inner.columns, 1))

    def among(self, keys: list[tuple[Value, Value]], inner: Sql, inner_where: Sql) -> Sql:
        """Whether rows of `inner` have these keys; one key also as IN."""
        chance = self.chance
        (value, item), *more = keys
        if not more and chance.random() < 0.5:
            word = chance.choice(["IN", "NOT IN"])
            if value.kind == "float":
                return self.float_in(word, value, item, inner, inner_where)
            a, b = self.comparable(value), self.comparable(item)
            return join("{} " + word + " (SELECT {} FROM {} WHERE {})", a, b, inner, inner_where)
        word = chance.choice(["EXISTS", "NOT EXISTS"])
        equal = join(" AND ".join(["{}"] * len(keys)), *(self.compared("=", value, item) for value, item in keys))
        return join(word + " (SELECT 1 FROM {} WHERE {} AND {})", inner, equal, inner_where)

    def correlated(self, columns: list[Value], keys: tuple[Value, Value], inner: Relation) -> Sql:
        """A condition on an aggregate of the rows of `inner` that have the same key: it has a row even of none."""
        chance = self.chance
        rows = join("{} WHERE {} AND {}", inner.sql, self.compared("=", *keys), self.condition(inner.columns, 1))
        if chance.random() < 0.15:
            return join(chance.choice(["", "NOT "]) + "EXISTS (SELECT 1 FROM {} OFFSET " + str(chance.randint(0, 2)) + ")", rows)
        of = self.column(inner.columns, "int")
        aggregate = join(chance.choice(["max", "min"]) + "({})", of.sql) if of and chance.random() < 0.6 else Sql.both("count(*)")
        having = f" HAVING count(*) {chance.choice(['<', '>', '='])} {chance.randint(0, 3)}" if chance.random() < 0.4 else ""
        of_keys = join("(SELECT {} FROM {}" + having + ")", aggregate, rows)
        number = self.column(columns, "int")
        if number is None or chance.random() < 0.25:
            return join(chance.choice(["", "NOT "]) + "EXISTS {}", of_keys)
        operator = chance.choice(["=", "<>", "<", ">="])
        word = chance.choice([operator, "IN", "NOT IN", f"{operator} ANY", f"{operator} ALL"])
        return join("{} " + word + " {}", number.sql, of_keys)

    def comparable(self, value: Value) -> Sql:
        """A value as PostgreSQL has to compare it."""
        cast = '({})::text COLLATE "C"' if value.kind in ("text", "uuid") else "{}"
        return Sql(value.sql.trino, cast.format(value.sql.postgres))

    def float_in(self, word: str, value: Value, item: Value, inner: Sql, inner_where: Sql) -> Sql:
        """IN means `=`, which to PostgreSQL is another one; there it is spelled out. Trino's own IN is not sure about NaN."""
        ours = f"{value.sql.trino} {word} (SELECT {item.sql.trino} FROM {inner.trino} WHERE {inner_where.trino} " \
               f"AND ({item.sql.trino} IS NULL OR {item.sql.trino} = {item.sql.trino}))"
        equal = f"({self.compared('=', value, item).postgres})"
        test = equal if word == "IN" else f"{equal} IS NOT FALSE"
        exists = "EXISTS" if word == "IN" else "NOT EXISTS"
        return Sql(ours, f"{exists} (SELECT 1 FROM {inner.postgres} WHERE {test} AND {inner_where.postgres} "
                         f"AND ({item.sql.postgres} IS NULL OR {item.sql.postgres} <> 'NaN'))")

    def grouped(self, source: Relation, where: Sql) -> tuple[Sql, list[str]]:
        chance = self.chance
        columns = source.columns
        keys = chance.sample(columns, min(chance.randint(0, 2), len(columns)))
        aggregates = [self.aggregate(columns) for _ in range(chance.randint(1, 3))]
        items = [self.output(value) for value in keys + aggregates]
        group = Sql.both("")
        if keys:
            # By their places: the same expression written twice is not always the same to PostgreSQL.
            places = ", ".join(str(number + 1) for number in range(len(keys)))
            group = Sql(" GROUP BY " + ", ".join(key.sql.trino for key in keys), f" GROUP BY {places}")
            items = [Sql(item.trino, f'({key.sql.postgres})::text COLLATE "C"') if key.kind == "text" else item
                     for item, key in zip(items, keys)] + items[len(keys):]
        having = join(" HAVING count(*) > {}", Sql.both(str(chance.randint(0, 3)))) if chance.random() < 0.3 else Sql.both("")
        query = join("SELECT " + ", ".join(["{}"] * len(items)) + " FROM {}{}{}{}", *items, source.sql, where, group, having)
        return query, [value.kind for value in keys + aggregates]

    def aggregate(self, columns: list[Value]) -> Value:
        chance = self.chance
        column = chance.choice(columns)
        a = column.sql
        only = Sql.both("")
        if chance.random() < 0.25:
            only = join(" FILTER (WHERE {})", self.condition(columns, 0))
        match chance.randrange(5):
            case 0:
                return Value(join("count(*){}", only), "int")
            case 1:
                inner = Sql(a.trino, f'({a.postgres})::text COLLATE "C"') if column.kind == "text" else a
                return Value(join("count(DISTINCT {}){}", inner, only), "int")
            case 2 if column.kind == "int":
                return Value(Sql(f"sum({a.trino}){only.trino}", f"(sum({a.postgres}){only.postgres})::bigint"), "int")
            case 2 | 3 if column.kind == "decimal":
                return Value(join("sum({}){}", a, only), "decimal")
            case 3 if column.kind == "int":
                return Value(Sql(f"avg({a.trino}){only.trino}", f"avg({a.postgres}::double precision){only.postgres}"), "float")
            case 4 if column.kind == "bool":
                return Value(join(chance.choice(["bool_and", "bool_or"]) + "({}){}", a, only), "bool")
        name = chance.choice(["min", "max"])
        if column.kind in ("text", "uuid"):
            return Value(Sql(f"{name}({a.trino}){only.trino}", f'{name}(({a.postgres})::text COLLATE "C"){only.postgres}'), "text")
        if column.kind in ("int", "decimal", "date", "timestamp", "instant"):
            return Value(join(name + "({}){}", a, only), column.kind)
        return Value(join("count({}){}", a, only), "int")

    def set_operation(self, depth: int) -> tuple[Sql, list[str]]:
        chance = self.chance
        kinds = [chance.choice(["int", "text", "date", "decimal", "float"]) for _ in range(chance.randint(1, 2))]
        sides = []
        for _ in range(2):
            source = self.relation(depth - 1)
            items = [self.output(self.value(source.columns, kind)) for kind in kinds]
            items = [Sql(item.trino, item.postgres + ' COLLATE "C"') if kind == "text" else item
                     for item, kind in zip(items, kinds)]
            sides.append(join("SELECT " + ", ".join(["{}"] * len(items)) + " FROM {}{}", *items, source.sql,
                              self.where(source.columns, depth - 1)))
        word = chance.choice(["UNION", "UNION ALL", "INTERSECT", "EXCEPT"])
        return join("{} " + word + " {}", *sides), kinds

    def question(self) -> tuple[Sql, list[str]]:
        """A whole statement, every row of whose answer is determined, and the kinds of its columns."""
        self.aliases = 0
        query, kinds = self.query(DEPTH)
        if self.chance.random() < 0.2 and not {"float", "number", "bytes"} & set(kinds):
            names = [f"x{number}" for number in range(len(kinds))]
            directions = [self.chance.choice(["ASC", "DESC"]) + self.chance.choice(["", " NULLS FIRST"]) for _ in kinds]
            ours = ", ".join(f"{name} {direction}" for name, direction in zip(names, directions))
            theirs = ", ".join(
                name + (' COLLATE "C"' if kind in ("text", "uuid") else "") + " " + (direction if "NULLS" in direction else direction + " NULLS LAST")
                for name, kind, direction in zip(names, kinds, directions))
            limit = self.chance.randint(1, 20)
            frame = f"SELECT {', '.join(names)} FROM ({{}}) AS q({', '.join(names)}) ORDER BY "
            query = Sql(frame.format(query.trino) + f"{ours} LIMIT {limit}",
                        frame.format(query.postgres) + f"{theirs} LIMIT {limit}")
        return query, kinds
