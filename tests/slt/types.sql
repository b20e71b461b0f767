CREATE SCHEMA shapes;
CREATE TYPE shapes.mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN shapes.positive AS integer CHECK (value > 0);
CREATE TYPE shapes.pair AS (x integer, y text);

CREATE TABLE shapes.all_types (
    id integer PRIMARY KEY,
    i2 smallint, i8 bigint, f4 real, f8 double precision, b boolean,
    n numeric, n12 numeric(12, 2), n38 numeric(38, 10),
    t text, v varchar(10), c char(5), j json, jb jsonb, by bytea, u uuid,
    d date, tm time, ts timestamp, tz timestamptz, iv interval,
    e shapes.mood, dom shapes.positive, pr shapes.pair, ip inet, m money,
    ia integer[], ta text[], o oid
);
INSERT INTO shapes.all_types VALUES
(1, 7, 9223372036854775807, 1.5, -0.1, true,
 12345.6789, 10.50, 1234567890123456789012345678.0123456789,
 'plain', 'ten chars!', 'ab', '{"a": 1}', '{"b": [1, 2]}', '\x00ff', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
 '2026-02-28', '23:59:59.999999', '1969-12-31 23:59:59.5', '2026-03-29 01:30:00+02', '1 month 2 days 03:04:05',
 'ok', 3, ROW(1, 'one'), '10.0.0.1', '12.34', '{1,NULL,3}', '{a,"b c",NULL}', 4294967295),
(2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
 NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
(3, -32768, -9223372036854775808, 'Infinity', 'NaN', false,
 -0.0000000001, -9999999999.99, -0.0000000001,
 'quote '' backslash \ "double"', '', '', '[]', 'null', '', '00000000-0000-0000-0000-000000000000',
 '9999-12-31', '00:00:00', '0001-01-01 00:00:00', '1900-01-01 00:00:00+00', '-1 day',
 'sad', 1, ROW(NULL, ''), '::1', '-1.00', '{}', '{}', 0);

CREATE TABLE shapes."Mixed Case" ("Id" integer, "Größe" text, "a""b" text);
INSERT INTO shapes."Mixed Case" VALUES (1, 'groß', 'quote'), (2, 'klein', NULL);

-- A collation that puts apple before Zebra, unlike code points.
CREATE TABLE shapes.words (w text COLLATE "en-x-icu");
INSERT INTO shapes.words VALUES ('Zebra'), ('apple'), ('Äpfel'), ('banana'), (''), (NULL), ('zebra'), ('apple ');

CREATE VIEW shapes.happy AS SELECT id, t FROM shapes.all_types WHERE e = 'ok';
CREATE MATERIALIZED VIEW shapes.counted AS SELECT count(*) AS n FROM shapes.words;
CREATE TABLE shapes.by_year (y integer, v integer) PARTITION BY RANGE (y);
CREATE TABLE shapes.by_year_2025 PARTITION OF shapes.by_year FOR VALUES FROM (2025) TO (2026);
CREATE TABLE shapes.by_year_2026 PARTITION OF shapes.by_year FOR VALUES FROM (2026) TO (2027);
INSERT INTO shapes.by_year VALUES (2025, 1), (2025, 2), (2026, 3);

GRANT USAGE ON SCHEMA shapes TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA shapes TO PUBLIC;
