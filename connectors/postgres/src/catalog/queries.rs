//! The catalog queries. They run with `search_path = pg_catalog`, for PostgreSQL 13 and newer; what
//! differs between versions stands in one table.

use crate::quote::quote_text;

/// Relations that can be read: tables, partitioned and foreign tables, views, materialized views.
const RELATION_KINDS: &str = "c.relkind IN ('r', 'p', 'f', 'v', 'm')";

/// Schemas that are never shown nor resolved: storage of large values and of other sessions.
const SCHEMA_FILTER: &str = "n.nspname !~ '^pg_(toast|temp|toast_temp)(_|$)'";

/// What to put where queries differ: from which version on, and the text.
struct Variant(u32, &'static str);

/// Whether a column is known to hold no NULL. Since 18 the flag is set for constraints NOT VALID, too.
const NOT_NULL: &[Variant] = &[
    Variant(0, "a.attnotnull"),
    Variant(
        18_00_00,
        "(a.attnotnull AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = a.attrelid \
         AND k.contype = 'n' AND k.conkey[1] = a.attnum AND NOT k.convalidated))",
    ),
];

/// The collation that `default` stands for. Of ICU's no name says that it is bytewise; both of the
/// built-in provider's (since 17) are.
const DEFAULT_COLLATION: &[Variant] = &[
    Variant(0, "d.datcollate"),
    Variant(15_00_00, "CASE d.datlocprovider WHEN 'c' THEN d.datcollate WHEN 'b' THEN 'C' ELSE 'icu' END"),
];

/// Whether a value is looked up in a list, instead of being compared with all of it.
const HASHES_LISTS: &[Variant] = &[Variant(0, "false"), Variant(14_00_00, "true")];

fn variant(variants: &[Variant], version: u32) -> &'static str {
    variants.iter().rev().find(|Variant(from, _)| version >= *from).map_or("", |Variant(_, text)| text)
}

/// Every schema's name.
pub(super) fn schemas() -> String {
    format!("SELECT n.nspname FROM pg_namespace n WHERE {SCHEMA_FILTER} ORDER BY n.nspname")
}

/// Name, kind and comment of every relation of one schema, by its exact name.
pub(super) fn tables(schema: &str) -> String {
    format!(
        "SELECT c.relname, c.relkind, obj_description(c.oid, 'pg_class') FROM pg_class c \
         JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = {} AND {RELATION_KINDS} ORDER BY c.relname",
        quote_text(schema)
    )
}

/// Which relations are described.
#[derive(Debug, Clone)]
pub(super) enum Which {
    /// Those whose schema and name are these without regard to the case of ASCII letters.
    Folded(String, String),
    /// Those with one of these exact names.
    Exact(Vec<(String, String)>),
    /// All of one schema, by its exact name.
    Schema(String),
}

impl Which {
    fn condition(&self) -> String {
        // "C" knows the case of ASCII letters only, whatever the database's locale.
        let folded = |name: &str| format!("lower({name}::text COLLATE \"C\")");
        match self {
            Self::Folded(schema, table) => format!(
                "{} = {} AND {} = {}",
                folded("n.nspname"),
                quote_text(&schema.to_ascii_lowercase()),
                folded("c.relname"),
                quote_text(&table.to_ascii_lowercase())
            ),
            Self::Exact(names) if names.is_empty() => "false".to_owned(),
            Self::Exact(names) => {
                let pairs: Vec<String> = names
                    .iter()
                    .map(|(schema, table)| format!("({}, {})", quote_text(schema), quote_text(table)))
                    .collect();
                format!("(n.nspname::text, c.relname::text) IN ({})", pairs.join(", "))
            }
            Self::Schema(schema) => format!("n.nspname = {}", quote_text(schema)),
        }
    }
}

/// Eight statements for one round trip: relations, columns, types, attributes of composite types, primary
/// keys, leading columns of indexes, the values of columns, and the database.
pub(super) fn details(which: &Which, version: u32) -> String {
    let chosen = format!(
        "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE {} AND {RELATION_KINDS} AND {SCHEMA_FILTER}",
        which.condition()
    );
    let with_sizes = !matches!(which, Which::Schema(_));
    let statements = [
        relations(&chosen, with_sizes, version),
        columns(&chosen, version),
        types(&chosen),
        attributes(&chosen),
        primary_keys(&chosen),
        index_leads(&chosen),
        values(&chosen, with_sizes),
        database(version),
    ];
    statements.join("; ")
}

/// What inherits from or partitions the chosen relations, at any depth. Read from `pg_inherits`:
/// `pg_partition_tree` would wait for the locks of others.
fn below(chosen: &str) -> String {
    format!(
        "WITH RECURSIVE below(root, oid) AS (\
         SELECT i.inhparent, i.inhrelid FROM pg_inherits i WHERE i.inhparent IN ({chosen}) \
         UNION SELECT b.root, i.inhrelid FROM below b JOIN pg_inherits i ON i.inhparent = b.oid)"
    )
}

/// The rows of a partitioned table are those of its leaves, which inherit like any child; those of a
/// parent of plain inheritance are its children's, too. A table that was never analyzed has no
/// estimate, so its size is asked for, but not among all of a schema: that waits for the locks of others.
fn relations(chosen: &str, with_sizes: bool, version: u32) -> String {
    let size = if with_sizes { "pg_relation_size(c.oid)" } else { "NULL::bigint" };
    format!(
        "{} SELECT c.oid, n.nspname, c.relname, c.relkind, obj_description(c.oid, 'pg_class'), \
         CASE WHEN l.rows IS NULL THEN greatest(c.reltuples, -1)::float8 \
         ELSE l.rows + greatest(c.reltuples, 0)::float8 * (c.relkind <> 'p')::int END, \
         CASE WHEN c.relkind IN ('r', 'm') AND c.relpages = 0 AND l.rows IS NULL THEN {size} END, \
         CASE WHEN {} AND coalesce(l.in_heaps, true) THEN \
         greatest(c.relpages, l.pages, CASE WHEN c.relkind IN ('r', 'm') AND c.relpages = 0 AND l.rows IS NULL \
         THEN {size} / current_setting('block_size')::bigint END) END, \
         c.relkind IN ('r', 'p') AND has_table_privilege(c.oid, 'SELECT') \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN LATERAL (SELECT sum(greatest(x.reltuples, 0)::float8) AS rows, max(x.relpages) AS pages, \
         bool_and({}) AS in_heaps FROM below b JOIN pg_class x ON x.oid = b.oid \
         WHERE b.root = c.oid AND x.relkind <> 'p') l ON true \
         WHERE c.oid IN ({chosen}) ORDER BY n.nspname, c.relname",
        below(chosen),
        // Older servers read all pages for a range of them.
        if version >= 14_00_00 { in_heap("c") } else { "false".to_owned() },
        in_heap("x"),
    )
}

/// Whether a relation's rows, if it has any of its own, are in pages that `ctid` counts: PostgreSQL's own
/// access method has the oid 2 in every version.
fn in_heap(relation: &str) -> String {
    format!("({relation}.relkind = 'p' OR ({relation}.relkind IN ('r', 'm') AND {relation}.relam = 2))")
}

/// A child of plain inheritance may drop its parent's NOT NULL, and nobody watches over a foreign one's.
fn columns(chosen: &str, version: u32) -> String {
    format!(
        "{} SELECT a.attrelid, a.attname, a.atttypid, a.atttypmod, a.attndims, {} AND NOT EXISTS (SELECT FROM below b \
         JOIN pg_class x ON x.oid = b.oid WHERE b.root = a.attrelid AND (x.relkind = 'f' OR NOT x.relispartition)), \
         format_type(a.atttypid, a.atttypmod), col_description(a.attrelid, a.attnum), \
         a.attcollation, co.collisdeterministic, co.collname, co.collprovider \
         FROM pg_attribute a LEFT JOIN pg_collation co ON co.oid = a.attcollation \
         WHERE a.attrelid IN ({chosen}) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attrelid, a.attnum",
        below(chosen),
        variant(NOT_NULL, version)
    )
}

/// Every type the columns reach: through domains to what they are built on, through arrays to their
/// elements, through composite types to their attributes.
fn reached(chosen: &str) -> String {
    format!(
        "WITH RECURSIVE reached(oid) AS (\
         SELECT DISTINCT a.atttypid FROM pg_attribute a WHERE a.attrelid IN ({chosen}) AND a.attnum > 0 \
         UNION SELECT x.oid FROM reached r JOIN pg_type t ON t.oid = r.oid CROSS JOIN LATERAL (\
         SELECT CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END AS oid \
         UNION ALL SELECT a.atttypid FROM pg_attribute a WHERE t.typtype = 'c' AND a.attrelid = t.typrelid \
         AND a.attnum > 0 AND NOT a.attisdropped) x WHERE x.oid <> 0)"
    )
}

/// A true array is its element's `typarray`; `int2vector` and its like are not.
fn types(chosen: &str) -> String {
    format!(
        "{} SELECT t.oid, t.typname, t.typtype, t.typbasetype, t.typtypmod, t.typndims, coalesce(e.oid, 0) \
         FROM reached r JOIN pg_type t ON t.oid = r.oid LEFT JOIN pg_type e ON e.oid = t.typelem AND e.typarray = t.oid",
        reached(chosen)
    )
}

fn attributes(chosen: &str) -> String {
    format!(
        "{} SELECT t.oid, a.attname, a.atttypid, a.atttypmod, a.attndims FROM reached r \
         JOIN pg_type t ON t.oid = r.oid AND t.typtype = 'c' JOIN pg_attribute a ON a.attrelid = t.typrelid \
         WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY t.oid, a.attnum",
        reached(chosen)
    )
}

fn primary_keys(chosen: &str) -> String {
    format!(
        "SELECT i.indrelid, a.attname FROM pg_index i \
         CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k(attnum, place) \
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
         WHERE i.indisprimary AND k.place <= i.indnkeyatts AND i.indrelid IN ({chosen}) ORDER BY i.indrelid, k.place"
    )
}

/// The columns by which an index finds rows: the first of each that covers all rows.
fn index_leads(chosen: &str) -> String {
    format!(
        "SELECT DISTINCT i.indrelid, a.attname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid \
         JOIN pg_am m ON m.oid = x.relam AND m.amname IN ('btree', 'hash') \
         JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
         WHERE i.indisvalid AND i.indpred IS NULL AND i.indrelid IN ({chosen})"
    )
}

/// What ANALYZE has found in each column; those of a parent with its children come last. The view is a
/// barrier: only the names of one relation find its rows fast. A schema's are not asked for.
fn values(chosen: &str, wanted: bool) -> String {
    let condition = if wanted { format!("c.oid IN ({chosen})") } else { "false".to_owned() };
    format!(
        "SELECT c.oid, s.attname, s.null_frac, s.n_distinct, s.avg_width, s.ends[1], s.ends[2], s.common \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL (\
         SELECT s.attname, s.null_frac, s.n_distinct, s.avg_width, s.inherited, \
         ARRAY[(s.histogram_bounds::text::text[])[1], \
         (s.histogram_bounds::text::text[])[cardinality(s.histogram_bounds::text::text[])]] AS ends, \
         CASE WHEN s.avg_width <= 16 THEN s.most_common_vals::text END AS common \
         FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname OFFSET 0) s \
         WHERE {condition} ORDER BY s.inherited"
    )
}

fn database(version: u32) -> String {
    format!(
        "SELECT current_setting('server_encoding'), {}, {} FROM pg_database d WHERE d.datname = current_database()",
        variant(DEFAULT_COLLATION, version),
        variant(HASHES_LISTS, version)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_choose_their_text() {
        assert_eq!(variant(NOT_NULL, 15_00_18), "a.attnotnull");
        assert!(variant(NOT_NULL, 18_00_01).contains("convalidated"));
        assert_eq!(variant(DEFAULT_COLLATION, 14_00_00), "d.datcollate");
        assert!(variant(DEFAULT_COLLATION, 17_00_04).contains("'b'"));
    }

    #[test]
    fn names_are_quoted_and_folded() {
        let which = Which::Folded("Pub".into(), "it's".into());
        assert!(which.condition().contains("= 'pub' AND") && which.condition().contains("= 'it''s'"));
    }
}
