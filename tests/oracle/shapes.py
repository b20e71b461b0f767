"""Questions of further shapes: grouping sets, windows with frames, joins USING a column, a query that is read twice,
values of several types that meet, values beside casts of theirs.

Each stands on a query in parentheses, and can be asked wherever a query can.
"""

from oracle.generator import DEPTH, Generator, Relation, Sql, Value, join

# How often a query has one of these shapes.
SHARE = 0.25
# Kinds that both sides order, group and join alike; the first ones also have a least value.
ORDERED = ("int", "decimal", "text", "date", "timestamp")
GROUPED = (*ORDERED, "bool")
# Types whose values meet, and what they become: a number of any type, as it leaves the query.
MEETING = {("int", "decimal"): "number", ("int", "float"): "number", ("decimal", "float"): "number", ("date", "timestamp"): "timestamp"}
# What values of a kind are cast to: Trino's type, PostgreSQL's, and the kind they are of then.
CASTS = {"int": [("decimal(22, 2)", "numeric(22, 2)", "decimal"), ("double", "double precision", "float")],
         "date": [("timestamp(6)", "timestamp", "timestamp")]}
# The bounds of a frame in the order in which they may follow each other.
BOUNDS = ["UNBOUNDED PRECEDING", "{} PRECEDING", "CURRENT ROW", "{} FOLLOWING", "UNBOUNDED FOLLOWING"]


class Shapes(Generator):

    def query(self, depth: int) -> tuple[Sql, list[str]]:
        if depth > 0 and self.chance.random() < SHARE:
            shapes = [self.grouping_sets, self.framed, self.joined_using, self.read_twice, self.beside_its_cast]
            return self.chance.choice(shapes + [self.mixed] * (depth == DEPTH))(depth)
        return super().query(depth)

    def inner(self, depth: int, kinds: tuple[str, ...]) -> tuple[Relation, list[Value]]:
        """A query in parentheses, and its columns of these kinds: one at least."""
        while True:
            source = self.derived(*self.query(depth - 1))
            if fitting := [column for column in source.columns if column.kind in kinds]:
                return source, fitting

    def narrowed(self, query: Sql, kinds: list[str]) -> tuple[Sql, list[str]]:
        """The query's rows, or those that pass a condition, which is not always to be tested further down."""
        if self.chance.random() < 0.5:
            return query, kinds
        source = self.derived(query, kinds)
        return self.selected(source.columns, join("{} WHERE {}", source.sql, self.condition(source.columns, 1)))

    def grouping_sets(self, depth: int) -> tuple[Sql, list[str]]:
        chance = self.chance
        source, fitting = self.inner(depth, GROUPED)
        keys = chance.sample(fitting, min(chance.randint(1, 3), len(fitting)))
        names = [key.sql.trino for key in keys]
        listed = lambda of: f"({', '.join(of)})"
        match chance.randrange(4):
            case 0:
                sets = f"ROLLUP {listed(names)}"
            case 1:
                sets = f"CUBE {listed(names)}"
            case 2 if len(names) > 1:
                sets = f"{names[0]}, ROLLUP {listed(names[1:])}"
            case _:
                more = [chance.sample(names, chance.randint(0, len(names))) for _ in range(chance.randint(0, 2))]
                sets = f"GROUPING SETS {listed([listed(of) for of in [names, *more]])}"
        values = [*keys, *(self.aggregate(source.columns) for _ in range(chance.randint(1, 2)))]
        if chance.random() < 0.5:
            values.append(Value(Sql.both(f"grouping{listed(names)}"), "int"))
        where = self.where(source.columns, 0)
        having = f" HAVING count(*) > {chance.randint(0, 3)}" if chance.random() < 0.3 else ""
        return self.narrowed(*self.selected(values, join("{}{} GROUP BY " + sets + having, source.sql, where)))

    def framed(self, depth: int) -> tuple[Sql, list[str]]:
        """A window function of the column that orders it: rows that tie are the same rows."""
        chance = self.chance
        source, fitting = self.inner(depth, ORDERED)
        order = chance.choice(fitting)
        partition = chance.choice(fitting) if chance.random() < 0.6 else None
        direction = f"{chance.choice(['ASC', 'DESC'])} NULLS {chance.choice(['FIRST', 'LAST'])}"
        by = join("ORDER BY {} " + direction, self.ordered(order))
        if partition:
            by = join("PARTITION BY {} {}", self.ordered(partition), by)
        function, kind = self.window_function(order, by)
        values = [partition or order, order, Value(function, kind)]
        where = self.where(source.columns, 0)
        return self.narrowed(*self.selected(values, join("{}{}", source.sql, where)))

    def window_function(self, order: Value, by: Sql) -> tuple[Sql, str]:
        chance = self.chance
        of, whole = self.ordered(order), join("({})", by)
        frame = join("({} " + self.frame(order.kind) + ")", by)
        match chance.randrange(7):
            case 0:
                return join("{} OVER {}", chance.choice([Sql.both("count(*)"), join("count({})", of)]), frame), "int"
            case 1 if order.kind == "int":
                return Sql(f"sum({of.trino}) OVER {frame.trino}", f"(sum({of.postgres}) OVER {frame.postgres})::bigint"), "int"
            case 2:
                return join(f"nth_value({{}}, {chance.randint(1, 3)}) OVER {{}}", of, frame), order.kind
            case 3:
                name = chance.choice(["lag", "lead"])
                return join(f"{name}({{}}, {chance.randint(0, 3)}) OVER {{}}", of, whole), order.kind
            case 4:
                name = chance.choice(["row_number()", "rank()", "dense_rank()", f"ntile({chance.randint(1, 4)})"])
                return join(name + " OVER {}", whole), "int"
        name = chance.choice(["min", "max", "first_value", "last_value"])
        return join(name + "({}) OVER {}", of, frame), order.kind

    def frame(self, kind: str) -> str:
        """A frame that is never empty by its own words. RANGE counts only in numbers."""
        chance = self.chance
        first = chance.choice([0, 1, 2, 3])
        last = chance.choice([bound for bound in [1, 2, 3, 4] if bound >= first])
        near, far = sorted([chance.randint(0, 3), chance.randint(0, 3)])
        start, end = (far, near) if last == 1 else (near, far)
        counted = {first, last} & {1, 3}
        units = chance.choice(["ROWS", "GROUPS"] if counted and kind != "int" else ["ROWS", "GROUPS", "RANGE"])
        return f"{units} BETWEEN {BOUNDS[first].format(start)} AND {BOUNDS[last].format(end)}"

    def mixed(self, depth: int) -> tuple[Sql, list[str]]:
        """Values of several types in one column, which has the type that they have in common."""
        chance = self.chance
        types, kind = chance.choice(list(MEETING.items()))
        types = chance.sample(types, 2)
        if chance.random() < 0.5:
            sides = []
            for of in types:
                source = self.relation(depth - 1)
                sides.append(join("SELECT {} FROM {}{}", self.value(source.columns, of).sql, source.sql, self.where(source.columns, 0)))
            query = join("{} " + chance.choice(["UNION", "UNION ALL"]) + " {}", *sides)
        else:
            source = self.relation(depth - 1)
            values = [self.value(source.columns, of).sql for of in types]
            either = join("coalesce({}, {})", *values) if chance.random() < 0.5 else \
                join("CASE WHEN {} THEN {} ELSE {} END", self.condition(source.columns, 1), *values)
            query = join("SELECT {} FROM {}{}", either, source.sql, self.where(source.columns, 0))
        if kind == "number" and "float" not in types and chance.random() < 0.5:
            bound = f"{chance.choice(['<', '>=', '<>'])} {chance.choice(['1.5', '0.5', '2', '-0.25'])}"
            used = chance.choice(["x", "coalesce(x, 7)", "x + x", "CASE WHEN x > 1 THEN x ELSE 7 END"])
            query = join(f"SELECT {used} FROM ({{}}) AS q(x) WHERE x " + bound, query)
        return query, [kind]

    def beside_its_cast(self, depth: int) -> tuple[Sql, list[str]]:
        """Groups, aggregates or windows that differ in a cast alone."""
        chance = self.chance
        source, fitting = self.inner(depth, tuple(CASTS))
        plain = chance.choice(fitting)
        trino, postgres, kind = chance.choice(CASTS[plain.kind])
        cast = Value(Sql(f"CAST({plain.sql.trino} AS {trino})", f"CAST({plain.sql.postgres} AS {postgres})"), kind)
        of, where = chance.choice(["min", "max"]), self.where(source.columns, 0)
        over = " OVER ()" if chance.random() < 0.3 else ""
        both = [Value(join(of + "({})" + over, value.sql), value.kind) for value in (plain, cast)]
        if over or chance.random() < 0.4:
            return self.narrowed(*self.selected(both, join("{}{}", source.sql, where)))
        by = join("{}{} GROUP BY {}, {}", source.sql, where, *chance.sample([plain.sql, cast.sql], 2))
        return self.narrowed(*self.selected([plain, cast, self.aggregate(source.columns), *both[1:]], by))

    def joined_using(self, depth: int) -> tuple[Sql, list[str]]:
        chance = self.chance
        left, fitting = self.inner(depth, GROUPED)
        key = chance.choice(fitting)
        right, fitting = self.inner(depth, (key.kind,))
        left, kept = self.keyed(left, key)
        right, brought = self.keyed(right, chance.choice(fitting))
        columns = [Value(Sql.both("k"), key.kind), *kept, *brought]
        kind = chance.choice(["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"])
        source = Relation(join("{} " + kind + " {} USING (k)", left, right), columns)
        if chance.random() < 0.4:
            return self.grouped(source, Sql.both(""))
        # Not as rows(), whose subqueries may ask for `k`: what USING joined is not found from inside one.
        values = [self.value(columns, chance.choice(columns).kind) for _ in range(chance.randint(1, 4))]
        return self.selected(values, join("{}{}", source.sql, self.where(columns, 0)))

    def keyed(self, source: Relation, key: Value) -> tuple[Sql, list[Value]]:
        """The relation with `key` named `k`, and its other columns."""
        self.aliases += 1
        alias = f"a{self.aliases}"
        others = [column for column in source.columns if column is not key]
        named = [Value(Sql.both(f"{alias}.x{number}"), column.kind) for number, column in enumerate(others)]
        query, _ = self.selected([key, *others], source.sql)
        names = ", ".join(["k", *(f"x{number}" for number in range(len(others)))])
        return join("({}) AS " + f"{alias}({names})", query), named

    def read_twice(self, depth: int) -> tuple[Sql, list[str]]:
        """A named query, joined to itself."""
        chance = self.chance
        query, kinds = self.query(depth - 1)
        self.aliases += 1
        name, columns = f"w{self.aliases}", ", ".join(f"x{number}" for number in range(len(kinds)))
        here, there = ([Value(Sql.both(f"{side}{name}.x{number}"), kind) for number, kind in enumerate(kinds)]
                       for side in ("l", "r"))
        on = self.equality(here, there)
        kind = chance.choice(["JOIN", "LEFT JOIN", "FULL JOIN"])
        source = Relation(join(f"{name} l{name} {kind} {name} r{name} ON {{}}", on), here + there)
        body, kinds = self.grouped(source, Sql.both("")) if chance.random() < 0.4 else self.rows(source, self.where(source.columns, 0))
        return join(f"WITH {name}({columns}) AS ({{}}) {{}}", query, body), kinds
